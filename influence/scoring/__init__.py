"""Every influence score, and the score step. The door to cleanlab."""

"""Choose which training examples a text classifier really needs."""

"""The train step, and checkpoints imported from elsewhere."""

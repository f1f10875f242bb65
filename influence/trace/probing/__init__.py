"""What scores read of a probe: a small head on frozen representations."""

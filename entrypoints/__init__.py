"""The commands: one module per step, each parses, calls and logs."""

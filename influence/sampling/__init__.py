"""Every sampling rule, and the sample step."""

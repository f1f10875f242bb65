"""Ways to the same numbers with less work than transformers or autocast takes."""

"""Tokens, the classifier and the loop that trains it. The door to transformers."""

"""The voice assistant's stack: joint intent and slot models, and their error rates."""

"""Trainings: one model at a time, or on a GPU several side by side, each step one launch."""

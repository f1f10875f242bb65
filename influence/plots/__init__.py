"""Figures for files. The door to matplotlib."""

"""Runs, and what is sent to them. The door to MLflow."""

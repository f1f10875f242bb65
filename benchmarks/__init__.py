"""Measurements that anyone can repeat: one command each, one JSON with hardware and medians."""

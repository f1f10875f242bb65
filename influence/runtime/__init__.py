"""Finished directories, locks, jobs, devices and signals: how steps run. The door to Ray."""

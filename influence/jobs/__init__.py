"""Where independent jobs run: here, in processes, side by side on GPUs, or on a cluster."""

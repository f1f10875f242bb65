"""The output folder of a Trainer, or of anything that saves checkpoints as one does."""

"""One fused pass under all checkpoints: logits, gradient norms, VoG."""

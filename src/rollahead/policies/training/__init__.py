"""Training: policies to train by name, the training loop, and checkpoints."""

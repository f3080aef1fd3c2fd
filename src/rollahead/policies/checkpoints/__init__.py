"""Checkpoints: where they are found, what is read from them, and the card beside the weights."""

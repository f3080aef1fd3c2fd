"""Checkpoints: finding and reading trained policies, and the card beside the weights."""

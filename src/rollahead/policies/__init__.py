"""Policies: the seam to LeRobot checkpoints, samplers and token caching. Empty until the first policy is written."""

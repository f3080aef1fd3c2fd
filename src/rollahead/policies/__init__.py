"""Policies: LeRobot checkpoints, data sets, samplers, training and correctors."""

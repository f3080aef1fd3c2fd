"""Robots behind the `Robot` protocol: a loopback, a pair of arms, and those of LeRobot."""

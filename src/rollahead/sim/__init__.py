"""Simulation: tasks in MuJoCo, simulated robots, experts, demonstrations and rendering."""

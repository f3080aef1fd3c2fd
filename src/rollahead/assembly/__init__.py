"""Planners and rollers by name, made for a scene, which is a real robot or a simulated task."""

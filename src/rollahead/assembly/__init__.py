"""Assembly of planners and rollers by name, for a real robot or for a simulated task."""

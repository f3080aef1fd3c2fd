"""Episodes in simulation: played by many processes, measured, summarised and searched."""

"""The functions that `import rollahead` gives: evaluate a strategy, drive a robot, load a policy."""

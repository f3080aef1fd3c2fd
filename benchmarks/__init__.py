"""Every figure that README and docs name, and the commands that make them again."""

"""The operating system: clocks, signals, scheduling, deadlines for calls that may hang."""

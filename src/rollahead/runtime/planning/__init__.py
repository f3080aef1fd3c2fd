"""The inference thread's work: the planner protocol, one inference, and latency models."""

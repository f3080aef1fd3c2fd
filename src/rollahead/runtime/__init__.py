"""The real-time core: the executor that sends one action per tick, the worker that plans, and what both rest on."""

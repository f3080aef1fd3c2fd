"""What the benchmarks run in the peers' environment (`make peers`): LeRobot 0.6.1's own loop, and ours beside the same
policy."""

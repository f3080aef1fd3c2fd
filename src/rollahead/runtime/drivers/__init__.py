"""Two drivers of the same core: lockstep in simulated time, and threads or processes on the wall clock."""

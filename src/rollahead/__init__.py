"""rollahead: a real-time control runtime for robots driven by slow policies.

Import what you need from `rollahead.runtime` (the core), `rollahead.sim` (tasks, evaluation) and, as they come,
`rollahead.policies`, `rollahead.kernels` and `rollahead.trt_engines`. This module imports nothing, so that
`rollahead --help` stays fast.
"""

__version__ = "0.1.0"

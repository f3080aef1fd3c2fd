"""What is sent when there is no action for a tick, as the kind of each dimension defines it.

    position, rotation   the last one again
    velocity, delta      brought to zero, no faster than the dimension's rate limit
    discrete             the last one again

Before the first action of an epoch, positions are held where they were measured.

Hot path: `first`, `rows` and `skipped` are of the executor's tick.
"""

import numpy as np

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.spec import Kind, RobotSpec, mask, names_of

MOVING = (Kind.VELOCITY, Kind.DELTA)  # kinds for which repeating the last value keeps the robot moving


class Hold:
    """Holds for one robot. Stateless: what was sent last is an argument."""

    def __init__(self, spec: RobotSpec) -> None:
        self._moving = mask(spec.action, *MOVING)
        self._delta = mask(spec.action, Kind.DELTA)
        limits = np.array([dim.rate_limit for dim in spec.action])
        self._step = np.where(self._moving, limits * spec.period_s, 0.0)  # towards zero, per tick
        state = names_of(spec.state)
        still = [(j, dim) for j, dim in enumerate(spec.action) if dim.kind not in MOVING and dim.drives is not None]
        self._measured = {j: state.index(str(dim.drives)) for j, dim in still}
        self._kept = {j for j, dim in still if dim.kind is Kind.DISCRETE}

    def first(self, state: FloatArray, last: FloatArray | None) -> FloatArray:
        """(A,), the first action of an epoch: the positions of `state` (S,), and of `last` (A,), which was sent before,
        the velocities, braked, and the discrete values; if nothing was sent, no velocity, the rest as measured.
        Phase: hot."""
        action = np.zeros(len(self._moving)) if last is None else self.rows(last, 1)[0]
        for j, i in self._measured.items():
            if last is None or j not in self._kept:
                action[j] = state[i]
        return action

    def rows(self, last: FloatArray, n: int) -> FloatArray:
        """(n, A), the `n` holds that follow `last` (A,), which was sent. Phase: hot."""
        braking = np.arange(1, n + 1)[:, None] * self._step
        return last - np.minimum(np.maximum(last, -braking), braking)

    def still(self, last: FloatArray) -> FloatArray:
        """(A,), no motion any more, after `last` (A,). Phase: hot."""
        return np.where(self._moving, 0.0, last)

    def skipped(self, last: FloatArray) -> FloatArray:
        """(A,), what the robot in effect did in a tick in which nothing was sent, after `last` (A,). Phase: hot."""
        return np.where(self._delta, 0.0, last)

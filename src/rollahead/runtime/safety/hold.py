"""Holds: what is sent when there is no action for a tick, by the kind of each dimension.

    position, rotation   the last one again
    velocity, delta      brought to zero, no faster than the dimension's rate limit
    discrete             the last one again

Before the first setpoint, and after an e-stop, the measured positions are held.

Hot path: `first`, `rows`, `still`, `skipped` and `far`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import Kind, RobotSpec, is_turn, mask, names_of

MOVING = (Kind.VELOCITY, Kind.DELTA)  # kinds for which repeating the last value keeps the robot moving
FAR_S = 0.25  # a robot is far from its target if covering the distance at the rate limit takes longer than this


class Hold:
    """Computes holds for one robot. It has no state: what was sent last is an argument."""

    def __init__(self, spec: RobotSpec) -> None:
        self._moving = mask(spec.action, *MOVING)
        self._delta = mask(spec.action, Kind.DELTA)
        limits = np.array([dim.rate_limit for dim in spec.action])
        self._step = np.where(self._moving, limits * spec.period_s, 0.0)  # towards zero, per tick
        state = names_of(spec.state)
        still = [(j, dim) for j, dim in enumerate(spec.action) if dim.kind not in MOVING and dim.drives is not None]
        self._measured = {j: state.index(str(dim.drives)) for j, dim in still}
        self._kept = {j for j, dim in still if dim.kind is Kind.DISCRETE}
        targets = [(j, self._measured[j]) for j, dim in still if dim.kind is Kind.POSITION]
        self._target, self._state = (np.array([pair[n] for pair in targets], np.intp) for n in (0, 1))
        self._far = np.array([FAR_S * spec.action[j].rate_limit for j, _ in targets])
        self._turns = np.array([is_turn(spec.state[i]) for _, i in targets], np.bool_)

    def first(self, state: FloatArray, last: FloatArray | None) -> FloatArray:
        """Hold (A,) of a robot at rest: its measured positions, and zero velocities and steps. Phase: hot.

        Args:
            state: (S,), the measured state.
            last: (A,), the last action, whose discrete values are kept; if None, those of `state` are.
        """
        action = np.zeros(len(self._moving)) if last is None else self.still(last)
        for j, i in self._measured.items():
            if last is None or j not in self._kept:
                action[j] = state[i]
        return action

    def rows(self, last: FloatArray, n: int) -> FloatArray:
        """Holds (n, A), the `n` that follow the action `last` (A,). Phase: hot."""
        braking = np.arange(1, n + 1)[:, None] * self._step
        return last - np.minimum(np.maximum(last, -braking), braking)

    def still(self, last: FloatArray) -> FloatArray:
        """Returns `last` (A,) with velocities and steps set to zero. Phase: hot."""
        return np.where(self._moving, 0.0, last)

    def skipped(self, last: FloatArray) -> FloatArray:
        """Action (A,) that the robot in effect carries out in a tick in which nothing is sent, after `last` (A,).

        Phase: hot.
        """
        return np.where(self._delta, 0.0, last)

    def far(self, state: FloatArray, last: FloatArray) -> NDArray[np.bool_] | None:
        """Position dimensions (A,) in which `state` (S,) is far from the action `last` (A,); None if there are none.

        That is so if something else moved the robot or blocked it. Phase: hot.
        """
        distance = np.abs(state[self._state] - last[self._target])
        around = distance % (2 * math.pi)
        far = np.where(self._turns, np.minimum(around, 2 * math.pi - around), distance) > self._far
        if not far.any():
            return None
        where = np.zeros(len(last), np.bool_)
        where[self._target[far]] = True
        return where

"""A plan that moves every joint along a sine, to see a robot move before it is given a policy."""

import math

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Kind, RobotSpec


class Sine:
    """A plan that moves every position on a sine about its first value, and every velocity and delta on a cosine.

    Actions of other kinds are held.

    Args:
        spec: Spec of the robot.
        horizon: H, rows per chunk.
        share: Amplitude, as a share of half the action's range, at most 1.
        period_s: Period of the sine in seconds.
    """

    def __init__(self, spec: RobotSpec, horizon: int, share: float, period_s: float) -> None:
        if not (0 < share <= 1 and period_s > 0):
            raise ConfigError(f"share is {share} and period_s {period_s}; give a share up to 1, and a positive time")
        if endless := [dim.name for dim in spec.action if not math.isfinite(dim.high - dim.low)]:
            raise ConfigError(
                f"no range to wave in: {', '.join(endless)}; give low and high, as in robot.limits={{{endless[0]}: "
                "{low: -90, high: 90}}"
            )
        kinds = [dim.kind for dim in spec.action]
        sizes = [share * (dim.high - dim.low) / 2 for dim in spec.action]
        self._sine = np.where([kind is Kind.POSITION for kind in kinds], sizes, 0.0)
        self._cosine = np.where([kind in (Kind.VELOCITY, Kind.DELTA) for kind in kinds], sizes, 0.0)
        self._low, self._high = (np.array([getattr(dim, end) for dim in spec.action]) for end in ("low", "high"))
        self._hold = Hold(spec)
        self._home: FloatArray | None = None
        self._newest = 0  # tick of the newest observation
        self._ticks = np.arange(horizon)
        self._turn = 2 * math.pi * spec.period_s / period_s  # radians per tick

    def __call__(self, seen: Observation, rng: np.random.Generator) -> FloatArray:
        """The chunk (H, A) whose row 0 is for the tick of `seen`."""
        if self._home is None or seen.tick < self._newest:  # another run has begun
            self._home = self._hold.first(seen.state, None)
        self._newest = seen.tick
        at = self._turn * (seen.tick + self._ticks)[:, None]
        return np.clip(self._home + self._sine * np.sin(at) + self._cosine * np.cos(at), self._low, self._high)

"""The step test: a plan that moves one axis after the other in steps, so that it can be seen how each follows.

    position   home + A   home   home - A   home       each for `hold_s`, after as long at rest
    velocity   A          -A     0                     an axis ends where it began

A is the amplitude. The other axes stay where they were. What is planned for a tick depends on the tick alone, so that
any strategy at any latency sends the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.analysis.identify import checked_axes
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

LEVELS: Mapping[Kind, tuple[int, ...]] = {Kind.POSITION: (1, 0, -1, 0), Kind.VELOCITY: (1, -1, 0)}
LONGEST_S = 3600.0  # of one step of an axis, and all its repeats
LARGEST: Mapping[Kind, int] = {Kind.POSITION: 1, Kind.VELOCITY: 2}  # step, in amplitudes


@dataclass(frozen=True, slots=True)
class StepConfig:
    """hold_s: how long each step is held; repeats: how often an axis goes through its steps; share: of the range of an
    action, its amplitude; amplitude: that of every axis in its own unit, instead."""

    hold_s: float = 0.5
    repeats: int = 3
    share: float = 0.05
    amplitude: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.hold_s <= LONGEST_S and 1 <= self.repeats <= LONGEST_S / self.hold_s):
            raise ConfigError(
                f"hold_s is {self.hold_s} and repeats {self.repeats}; give a positive time, at least 1, and "
                f"{LONGEST_S:g} s together at most"
            )
        if not 0 < self.share <= 0.5 or not (self.amplitude is None or self.amplitude > 0):
            raise ConfigError(
                f"share is {self.share} and amplitude {self.amplitude}; give a share of more than 0 up to 0.5, and a "
                "positive amplitude or null"
            )


class StepTest:
    """The test of `config` for a robot. amplitudes: of each axis that moves, by name; ticks: how long it takes.

    Raises: ConfigError, if an axis has no range to take a share of, or there is none that has a lag to find.
    """

    def __init__(self, spec: RobotSpec, config: StepConfig) -> None:
        axes = checked_axes(spec)
        self._hold = Hold(spec)
        self._low, self._high = (np.array([getattr(dim, end) for dim in spec.action]) for end in ("low", "high"))
        self.amplitudes = {dim.name: _amplitude(dim, config) for dim in (spec.action[axis.action] for axis in axes)}
        ticks = max(round(config.hold_s * spec.rate_hz), 1)  # of a step
        steps = [(axis.action, level) for axis in axes for level in LEVELS[axis.kind] * config.repeats]
        self.ticks = ticks * (1 + len(steps))
        self._offsets = np.zeros((self.ticks, len(spec.action)))
        for n, (action, level) in enumerate(steps, start=1):
            self._offsets[n * ticks : (n + 1) * ticks, action] = level * self.amplitudes[spec.action[action].name]

    def plan(self, horizon: int) -> Plan:
        """The plan, for a robot that is home where it is first seen: chunks of `horizon` rows. At the end it stays
        there."""
        home: list[FloatArray] = []

        def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
            if not home:
                home.append(self._hold.first(seen.state, None))
            ticks = np.minimum(seen.tick + np.arange(horizon), self.ticks - 1)
            return np.clip(home[0] + self._offsets[ticks], self._low, self._high)

        return plan


def _amplitude(dim: Dim, config: StepConfig) -> float:
    wanted = config.share * (dim.high - dim.low) if config.amplitude is None else config.amplitude
    if not math.isfinite(wanted):
        raise ConfigError(
            f"{dim.name} goes from {dim.low} to {dim.high}, of which no share can be taken; give the robot its limits, "
            "low and high, or amplitude=..."
        )
    most = dim.jump_limit / LARGEST[dim.kind]
    if dim.kind is Kind.VELOCITY:  # as fast back as there
        most = min(most, dim.high, -dim.low)
        if most <= 0:
            raise ConfigError(
                f"{dim.name} goes from {dim.low} to {dim.high}, and a step test back too; give it a range around 0"
            )
    return min(wanted, most)

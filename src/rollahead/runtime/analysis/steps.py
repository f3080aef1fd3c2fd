"""Step test: a plan that moves one axis after the other in steps, to show how each follows.

    position   home + A   home   home - A   home       each for `hold_s`, after as long at rest
    velocity   A          -A     0                     an axis ends where it began

A is the amplitude. The other axes stay where they were. The plan for a tick depends on the tick alone, so that any
strategy at any latency sends the same.
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
LONGEST_S = 3600.0  # longest time of one step of an axis with all its repeats
LARGEST: Mapping[Kind, int] = {Kind.POSITION: 1, Kind.VELOCITY: 2}  # largest step, in amplitudes


@dataclass(frozen=True, slots=True)
class StepConfig:
    """Options of a step test.

    Attributes:
        hold_s: How long each step is held, in seconds.
        repeats: How often an axis goes through its steps.
        share: Amplitude as a share of the range of an action, more than 0 and at most 0.5.
        amplitude: Amplitude of every axis in its own unit, in place of `share`; None to use `share`.

    Raises ConfigError if a value is out of range.
    """

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
    """Step test of `config` for a robot of `spec`.

    `amplitudes` has the amplitude of each axis that moves, by name; `ticks` is the length of the test. Raises
    ConfigError if an axis has no range to take a share of, or the robot has no axis with a lag to find.
    """

    def __init__(self, spec: RobotSpec, config: StepConfig) -> None:
        axes = checked_axes(spec)
        self._hold = Hold(spec)
        self._low, self._high = (np.array([getattr(dim, end) for dim in spec.action]) for end in ("low", "high"))
        self.amplitudes = {dim.name: _amplitude(dim, config) for dim in (spec.action[axis.action] for axis in axes)}
        ticks = max(round(config.hold_s * spec.rate_hz), 1)  # length of a step
        steps = [(axis.action, level) for axis in axes for level in LEVELS[axis.kind] * config.repeats]
        self.ticks = ticks * (1 + len(steps))
        self._offsets = np.zeros((self.ticks, len(spec.action)))
        for n, (action, level) in enumerate(steps, start=1):
            self._offsets[n * ticks : (n + 1) * ticks, action] = level * self.amplitudes[spec.action[action].name]

    def plan(self, horizon: int) -> Plan:
        """Plan in chunks of `horizon` rows, for a robot whose home is where it is first seen.

        At the end it stays there.
        """
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
    if dim.kind is Kind.VELOCITY:  # the axis moves back as fast as it moved away
        most = min(most, dim.high, -dim.low)
        if most <= 0:
            raise ConfigError(
                f"{dim.name} goes from {dim.low} to {dim.high}, and a step test back too; give it a range around 0"
            )
    return min(wanted, most)

"""The guard: the last check of a setpoint before the robot is sent it.

A setpoint that cannot be followed as a whole (NaN, a jump, a tool outside the workspace) is refused, and the robot
brakes to a hold. One that goes too far or too fast is brought within the limits. In this order:

    NaN -> jump -> ramp -> range -> rate, acceleration -> edges of the state -> workspace

Limits hold across pauses, resets and refusals: each setpoint continues from the last one, with its speed, except in
dimensions that restart from the measured position (`rejoin`). A position target brakes before the end of its range. A
stream that keeps every limit passes unchanged, to the bit. The flags say what the guard did; the trace keeps them.

Threads: the executor's alone. Hot path: all but the constructors.
"""

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import le

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.safety.edges import Edges, is_bounded
from rollahead.runtime.safety.follower import Follower
from rollahead.runtime.safety.hold import MOVING
from rollahead.runtime.types.arrays import FloatArray, finite, frozen
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.rotation import rotation_triples, turned
from rollahead.runtime.types.spec import Kind, RobotSpec, mask, names_of

MOST = np.finfo(np.float64).max  # in place of an infinite limit: infinity is beyond it

Ages = NDArray[np.int64] | int  # (S,) ticks since each number was measured, or one for all


class Flag(enum.IntFlag):
    """Reasons why a setpoint was changed, or why a state or an image is not usable."""

    NAN = 1
    JUMP = 2
    RAMP = 4
    RANGE = 8
    RATE = 16
    ACCEL = 32
    BOX = 64
    STALE = 128
    IMAGE = 256


NAN, JUMP, RAMP, RANGE, RATE, ACCEL, BOX, STALE, IMAGE = (flag.value for flag in Flag)  # `|` is faster on ints
CHANGED = NAN | JUMP | RAMP | RANGE | RATE | ACCEL | BOX  # reasons why a setpoint was changed


def flag_names(flags: int) -> str:
    """Formats flags as text, such as 'range, rate'; empty if there are none."""
    return ", ".join(flag.name.lower() for flag in Flag(flags) if flag.name)


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """A cuboid that the tool must stay in.

    Attributes:
        low: (3,), lower corner, in m.
        high: (3,), upper corner, in m.
        tool: Function from a setpoint (A,) of position targets to the tool's position (3,).
    """

    low: Sequence[float]
    high: Sequence[float]
    tool: Callable[[FloatArray], FloatArray]

    def __post_init__(self) -> None:
        if not (len(self.low) == len(self.high) == 3 and all(np.less(self.low, self.high))):
            raise ConfigError(
                f"the workspace goes from {self.low} to {self.high}; give three values of low, each below its high"
            )

    def holds(self, setpoint: FloatArray) -> bool:
        """Whether `setpoint` (A,) keeps the tool inside. Phase: hot."""
        at = self.tool(setpoint)
        return bool((at >= self.low).all() and (at <= self.high).all())


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """Options of the guard.

    Attributes:
        enabled: False lets every setpoint pass as it is, for robots with a guard of their own.
        ramp_s: Seconds in which the robot is moved from where it is to what is asked, from the first row of an epoch
            on.
        stale_ticks: Largest usable age of a state, in ticks.
        frozen_ticks: A state that is equal to the bit for so many ticks, while what is sent changes, is stale; None for
            no check.
        image_stale_ticks: Largest usable age of an image, in ticks; None for no limit.
        give_up_ticks: After so many ticks in a row without a usable state and images the robot is stopped, as by an
            e-stop, and the run ends.
        workspace: Cuboid that the tool must stay in; None for no check.
    """

    enabled: bool = True
    ramp_s: float = 0.0
    stale_ticks: int = 5
    frozen_ticks: int | None = None
    image_stale_ticks: int | None = 25
    give_up_ticks: int = 25
    workspace: Workspace | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.ramp_s < math.inf:
            raise ConfigError(f"the ramp takes {self.ramp_s} s; give 0 (none) or more")
        if self.stale_ticks < 0 or self.give_up_ticks < 1 or (self.frozen_ticks is not None and self.frozen_ticks < 1):
            raise ConfigError(
                f"stale_ticks is {self.stale_ticks}, frozen_ticks {self.frozen_ticks} and give_up_ticks "
                f"{self.give_up_ticks}; give at least 0, 1 (or null) and 1"
            )
        if self.image_stale_ticks is not None and self.image_stale_ticks < 1:
            raise ConfigError(f"image_stale_ticks is {self.image_stale_ticks}; give at least 1, or null for no limit")


class Guard:
    """Limits setpoints to what `spec` and `config` allow, at `substeps` setpoints per tick.

    Raises ConfigError if a component of a rotation has a limit of rate, acceleration or jump.
    """

    def __init__(self, spec: RobotSpec, config: GuardConfig, *, substeps: int = 1) -> None:
        self._config = config
        self._dt = spec.period_s / substeps
        self._moving = mask(spec.action, *MOVING)
        snapped = np.array([dim.threshold is not None for dim in spec.action], np.bool_)  # to low or high, by Discrete
        self._targets = ~(self._moving | snapped)
        self._deltas = mask(spec.action, Kind.DELTA)
        self._as_is = mask(spec.action, Kind.DISCRETE)
        self._triples = rotation_triples(spec) if config.ramp_s else []
        _check_rotations(spec)
        share = np.where(self._deltas, 1.0 / substeps, 1.0)  # a step per tick is divided among its substeps
        rates = np.array([dim.rate_limit for dim in spec.action])
        accels = np.array([dim.accel_limit for dim in spec.action])
        self._low = share * np.array([max(dim.low, -MOST) for dim in spec.action])
        self._high = share * np.array([min(dim.high, MOST) for dim in spec.action])
        self._jump = share * np.array([dim.jump_limit for dim in spec.action])
        self._jumps = bool(np.isfinite(self._jump).any())
        self._brake = np.where(self._moving, share * rates * self._dt, 0.0)
        self._brakes = self._moving & np.isfinite(accels)
        rate, change = share * rates * self._dt, share * accels * self._dt**2
        edges_low, edges_high = _edges_of_targets(spec)
        self._least, self._greatest = np.maximum(self._low, edges_low), np.minimum(self._high, edges_high)
        self._follower = Follower(rate, change, self._least, self._greatest)
        self._edges = Edges(spec, self._dt, rate, change, config.stale_ticks + config.give_up_ticks + 2)
        self._lows, self._highs = self._least.tolist(), self._greatest.tolist()
        self._simple = not (self._jumps or self._edges.any or config.workspace)
        self._workspace = config.workspace
        self._ramp = round(config.ramp_s / self._dt)
        self._ramped = self._ramp  # number of setpoints of the ramp that were sent
        self._last: FloatArray | None = None
        self._frozen = _Frozen(config.frozen_ticks)

    def rejoin(self, start: FloatArray, where: NDArray[np.bool_] | None = None) -> None:
        """Restarts at rest from `start` (A,) and begins the ramp. Phase: hot.

        Args:
            start: (A,), the values to start from.
            where: (A,), the dimensions to restart, None for all; the others continue from the last setpoint.
        """
        self._follower.begin(start, where if self._last is not None else None)
        self._last = start if self._last is None or where is None else frozen(np.where(where, start, self._last))
        self.ease()

    def ease(self) -> None:
        """Begins the ramp, from the last setpoint. Phase: hot."""
        if self._last is not None:
            self._start = self._last
            self._ramped = 0

    def tick(self) -> None:
        """Notes that a tick begins. Called once per tick, sent or skipped. Phase: hot."""
        if self._edges.any:
            self._edges.tick()

    def left_out(self, setpoints: int) -> None:
        """Notes that so many `setpoints` of this tick were too late to be sent. Phase: hot."""
        if self._edges.any and self._last is not None:
            self._edges.left_out(self._last, setpoints)

    def check(self, reading: Reading, sent: FloatArray | None) -> int:
        """Flags of why `reading` is not usable, 0 if it is; called once per tick. Phase: hot.

        Args:
            reading: What was measured.
            sent: (A,), the last action; None if there is none.
        """
        if not (finite(reading.state) and finite(reading.environment)):
            return NAN
        if reading.age > self._config.stale_ticks or self._frozen(reading.state, sent):
            return STALE
        return 0

    @property
    def image_stale_ticks(self) -> int | None:
        """The largest usable age of an image, in ticks; None for no limit."""
        return self._config.image_stale_ticks

    def why_stale(self, age: int) -> str:
        """Explains, for an error message, why a reading that is `age` ticks old is stale."""
        if age > self._config.stale_ticks:
            return f"the state was {age} ticks old, and the limit is {self._config.stale_ticks} (guard.stale_ticks)"
        return f"the state repeated itself for {self._config.frozen_ticks} ticks (guard.frozen_ticks)"

    @property
    def rest_s(self) -> float:
        """Upper bound, in seconds, of the time until the robot is at rest if only holds are asked for from now on."""
        if self._last is None or not self._config.enabled:
            return 0.0
        return self._dt * self._follower.rest_setpoints(self._moving)

    @property
    def stands(self) -> bool:
        """Whether the last setpoint commands no motion: no target changed, velocities and steps are zero.

        Phase: hot.
        """
        if self._last is None or not self._config.enabled:
            return True
        return self._follower.stands(~self._moving) and not self._last.any(where=self._moving)

    def resting(self, setpoint: FloatArray) -> FloatArray:
        """Setpoint (A,) to ask for in place of the hold `setpoint` (A,).

        Targets come to rest as soon as their limits allow. Velocities and steps with an `accel_limit` are asked to be
        zero, which the follower reaches within that limit; a target that shrank step by step would make the follower
        overshoot. Phase: hot.
        """
        if not self._config.enabled or self._last is None:
            return setpoint
        held = np.where(self._targets, self._follower.braking(self._targets), setpoint)
        if not self._brakes.any():
            return held
        self._follower.to_zero(self._brakes)
        return np.where(self._brakes, 0.0, held)

    def __call__(
        self, setpoint: FloatArray, state: FloatArray, age: Ages = 0, *, eases: bool = True
    ) -> tuple[FloatArray, int]:
        """Setpoint (A,) that may be sent when `setpoint` (A,) is asked for, and flags of what was changed.

        Phase: hot.

        Args:
            setpoint: (A,), what is asked for.
            state: (S,), the measured state.
            age: Ticks since it was measured, (S,) or one for all.
            eases: Whether the ramp applies; False for a hold.
        """
        setpoint = frozen(setpoint)
        if not self._config.enabled:
            return setpoint, 0
        numbers = setpoint.tolist()
        inside = all(map(le, self._lows, numbers)) and all(map(le, numbers, self._highs))
        joined = self._last is not None and self._ramped == self._ramp
        if inside and joined and self._simple and self._follower.follows(setpoint, numbers):
            self._last = setpoint
            return setpoint, 0
        if not inside and not finite(setpoint):
            return self._refuse(setpoint, state, age, NAN)
        asked, flags = (setpoint, 0) if inside else self._ranged(setpoint)
        last = self._last
        if last is None:
            return asked, flags
        if self._jumps and (np.abs(np.where(self._deltas, setpoint, setpoint - last)) > self._jump).any():
            return self._refuse(asked, state, age, JUMP)
        return self._limit(asked, state, age, flags, last, eases)

    def _limit(
        self,
        asked: FloatArray,
        state: FloatArray,
        age: Ages,
        flags: int,
        last: FloatArray,
        eases: bool,
    ) -> tuple[FloatArray, int]:
        ramps = eases and self._ramped < self._ramp
        if ramps:
            asked, flags = frozen(self._inward(self._eased(asked), last)), flags | RAMP
        asked, allowed, limited = self._within(asked, state, age, last)
        if self._workspace is not None and not self._workspace.holds(allowed):
            return self._refuse(asked, state, age, flags | limited | BOX)
        self._ramped += ramps
        return self._sent(asked, allowed), flags | limited

    def _within(
        self, asked: FloatArray, state: FloatArray, age: Ages, last: FloatArray
    ) -> tuple[FloatArray, FloatArray, int]:
        """Applies the limits of rate, acceleration and the edges of the state to `asked` (A,).

        Returns `asked` (A,) with zeros where an axis brakes before the end of its range; the setpoint (A,) that all
        limits allow after `last` (A,); and flags.
        """
        allowed, fast, abrupt = self._follower.toward(asked)
        flags = (RATE if fast else 0) | (ACCEL if abrupt else 0)
        if self._edges.any:
            room = self._edges.room(state, age)
            brakes = self._edges.brakes(allowed, last, room)
            if brakes.any():
                asked = np.where(brakes, 0.0, asked)
                self._follower.to_zero(brakes)
                allowed, flags = self._follower.toward(asked)[0], flags | BOX
            kept = self._edges.within(allowed, last, room)
            if (kept != allowed).any():
                allowed, flags = kept, flags | BOX
        if allowed is not asked:  # a robot outside its range may only move inwards, at its rate limit
            allowed = self._inward(allowed, last)
        return asked, allowed, flags

    def _inward(self, setpoint: FloatArray, last: FloatArray) -> FloatArray:
        """Clips `setpoint` (A,) to the range, or, outside it, to no farther outside than `last` (A,)."""
        return np.minimum(np.maximum(setpoint, np.minimum(self._least, last)), np.maximum(self._greatest, last))

    def _refuse(self, asked: FloatArray, state: FloatArray, age: Ages, flags: int) -> tuple[FloatArray, int]:
        """Returns a hold to send in place of a refused setpoint, and flags: targets, velocities and steps brake."""
        last = self._last
        if last is None:  # nothing was sent yet that could be held
            return frozen(np.where(self._moving, 0.0, self._ranged(np.nan_to_num(asked))[0])), flags
        slower = last - np.minimum(np.maximum(last, -self._brake), self._brake)
        rest, held, limited = self._within(frozen(self.resting(slower)), state, age, last)
        if self._workspace is not None and not self._workspace.holds(held):
            rest = held = slower
        return self._sent(frozen(rest), held), flags | (limited & BOX)

    def _sent(self, asked: FloatArray, allowed: FloatArray) -> FloatArray:
        allowed = frozen(allowed)
        self._follower.went(asked, allowed)
        if self._edges.any:
            self._edges.sent(allowed)
        self._last = allowed
        return allowed

    def _eased(self, setpoint: FloatArray) -> FloatArray:
        share = (1 - math.cos(math.pi * (self._ramped + 1) / self._ramp)) / 2
        eased = np.where(self._moving, share * setpoint, self._start + share * (setpoint - self._start))
        for triple in self._triples:
            eased[triple] = turned(self._start[triple], setpoint[triple], share)
        return np.where(self._as_is, setpoint, eased)

    def _ranged(self, setpoint: FloatArray) -> tuple[FloatArray, int]:
        """Clips `setpoint` (A,) to the range of the action and of the state that it drives.

        Also returns RANGE or BOX for the range that clipped it.
        """
        ranged = np.minimum(np.maximum(setpoint, self._low), self._high)
        inside = np.minimum(np.maximum(ranged, self._least), self._greatest)
        return frozen(inside), (RANGE if (ranged != setpoint).any() else 0) | (BOX if (inside != ranged).any() else 0)


def _edges_of_targets(spec: RobotSpec) -> tuple[FloatArray, FloatArray]:
    """Lower and upper ends (A,), (A,) of the range of the state that each target drives.

    They are -MOST and MOST where there is no end, and for velocities and steps.
    """
    states = dict(zip(names_of(spec.state), spec.state, strict=True))
    driven = [None if dim.kind in MOVING or dim.drives is None else states[dim.drives] for dim in spec.action]
    ends = [(dim.low, dim.high) if dim is not None and is_bounded(dim) else (-MOST, MOST) for dim in driven]
    low, high = zip(*ends, strict=True) if ends else ((), ())
    return np.maximum(low, -MOST), np.minimum(high, MOST)


def _check_rotations(spec: RobotSpec) -> None:
    limits = ("rate_limit", "accel_limit", "jump_limit")
    for dim in spec.action:
        limited = [limit for limit in limits if math.isfinite(getattr(dim, limit))]
        if dim.kind is Kind.ROTATION and limited:
            raise ConfigError(
                f"{dim.name!r} is a component of a rotation and has a {limited[0]}, which a turn cannot have; "
                "use the robot's own, and leave it out here"
            )


class _Frozen:
    """Detects a state that repeats itself to the bit for `ticks` ticks while what is sent changes."""

    def __init__(self, ticks: int | None) -> None:
        self._ticks = ticks
        self._repeats = 0
        self._changed = False
        self._state: FloatArray | None = None
        self._sent: FloatArray | None = None

    def __call__(self, state: FloatArray, sent: FloatArray | None) -> bool:
        if self._ticks is None:
            return False
        same = self._state is not None and np.array_equal(state, self._state)
        changed = sent is not None and self._sent is not None and not np.array_equal(sent, self._sent)
        self._repeats = self._repeats + 1 if same else 0
        self._changed = same and (self._changed or changed)
        self._state, self._sent = state, sent
        return self._changed and self._repeats >= self._ticks

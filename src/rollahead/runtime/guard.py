"""The guard: the last to see a setpoint before the robot does.

A setpoint that cannot be followed as a whole is refused, and what was sent last is held: NaN, a jump, a tool outside
the workspace. One that goes too far or too fast is brought within the limits. In this order:

    NaN -> jump -> ramp -> range -> rate, acceleration -> edges of the state -> workspace

Hard limits come last: where they and a rate contradict each other, they win. A stream that keeps every limit passes to
the bit. What was done is said in flags, which the trace keeps.

Threads: the executor's alone. Hot path: all but the constructors.
"""

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import le

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.arrays import FloatArray, finite, frozen
from rollahead.runtime.follower import Follower
from rollahead.runtime.hold import MOVING
from rollahead.runtime.robots import Reading
from rollahead.runtime.rotation import rotation_triples, turned
from rollahead.runtime.spec import Dim, Kind, RobotSpec, is_turn, mask, names_of

MOST = np.finfo(np.float64).max  # in place of an infinite limit: infinity is beyond it
AT_ONCE = 1e100  # in place of an infinite rate: zero times that is zero


class Flag(enum.IntFlag):
    """Why a setpoint is not what was asked, or a state not usable."""

    NAN = 1
    JUMP = 2
    RAMP = 4
    RANGE = 8
    RATE = 16
    ACCEL = 32
    BOX = 64
    STALE = 128


NAN, JUMP, RAMP, RANGE, RATE, ACCEL, BOX, STALE = (flag.value for flag in Flag)  # numbers join faster than flags


def words(flags: int) -> str:
    """'range, rate'; empty if there are none."""
    return ", ".join(flag.name.lower() for flag in Flag(flags) if flag.name)


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """A box for the tool. low, high: (3,), m; tool: where a setpoint (A,) of position targets puts it, (3,)."""

    low: Sequence[float]
    high: Sequence[float]
    tool: Callable[[FloatArray], FloatArray]

    def __post_init__(self) -> None:
        if not (len(self.low) == len(self.high) == 3 and all(np.less(self.low, self.high))):
            raise ConfigError(
                f"the workspace goes from {self.low} to {self.high}; give three lows, each below its high"
            )

    def holds(self, setpoint: FloatArray) -> bool:
        """Whether `setpoint` keeps the tool inside. Phase: hot."""
        at = self.tool(setpoint)
        return bool((at >= self.low).all() and (at <= self.high).all())


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """enabled: False lets every setpoint pass as it is, for robots that guard themselves; ramp_s: how long the robot
    takes, from the first row of an epoch on, to get from where it is to what is asked; stale_ticks: an older state is
    stale; frozen_ticks: so is one that repeats itself to the bit for so long while what is sent changes, None not to
    look; give_up_ticks: after so many ticks in a row without a usable state the robot is stopped, as by an e-stop."""

    enabled: bool = True
    ramp_s: float = 0.0
    stale_ticks: int = 5
    frozen_ticks: int | None = None
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


class Guard:
    """Keeps to the limits of `spec`, at `substeps` setpoints per tick."""

    def __init__(self, spec: RobotSpec, config: GuardConfig, *, substeps: int = 1) -> None:
        self._config = config
        self._dt = spec.period_s / substeps
        self._moving = mask(spec.action, *MOVING)
        self._deltas = mask(spec.action, Kind.DELTA)
        self._as_is = mask(spec.action, Kind.DISCRETE)
        self._triples = rotation_triples(spec) if config.ramp_s else []
        _check_rotations(spec)
        share = np.where(self._deltas, 1.0 / substeps, 1.0)  # a step per tick comes as so many
        rates = np.array([dim.rate_limit for dim in spec.action])
        accels = np.array([dim.accel_limit for dim in spec.action])
        self._low = share * np.array([max(dim.low, -MOST) for dim in spec.action])
        self._high = share * np.array([min(dim.high, MOST) for dim in spec.action])
        self._jump = share * np.array([dim.jump_limit for dim in spec.action])
        self._jumps = bool(np.isfinite(self._jump).any())
        self._brake = np.where(self._moving, share * rates * self._dt, 0.0)
        self._brakes = self._moving & np.isfinite(accels)
        self._follower = Follower(share * rates * self._dt, share * accels * self._dt**2)
        self._edges = _Edges(spec, rates, substeps)
        self._lows, self._highs = self._low.tolist(), self._high.tolist()
        self._simple = not (self._jumps or self._edges.any or config.workspace)
        self._workspace = config.workspace
        self._ramp = round(config.ramp_s / self._dt)
        self._ramped = self._ramp  # setpoints of the ramp that are over
        self._last: FloatArray | None = None
        self._frozen = _Frozen(config.frozen_ticks)

    def rejoin(self, start: FloatArray) -> None:
        """From now on the robot is taken to stand at `start` (A,), and the ramp begins. Phase: hot."""
        self._start = self._last = start
        self._ramped = 0
        self._follower.begin(start)

    def check(self, reading: Reading, sent: FloatArray | None) -> int:
        """Flags of why `reading` is not usable, once a tick; sent: (A,), the last action. Phase: hot."""
        if not (finite(reading.state) and finite(reading.environment)):
            return NAN
        if reading.age > self._config.stale_ticks or self._frozen(reading.state, sent):
            return STALE
        return 0

    def hold(self, row: FloatArray) -> FloatArray:
        """(A,), what to ask for where `row` (A,) is a hold: rest itself, in dimensions with a limit of acceleration,
        which are then braked in time. Asked to brake step by step they would swing about. Phase: hot."""
        return np.where(self._brakes, 0.0, row) if self._config.enabled and self._brakes.any() else row

    def __call__(self, setpoint: FloatArray, state: FloatArray, age: int = 0) -> tuple[FloatArray, int]:
        """(A,), what may be sent when `setpoint` (A,) is asked in `state` (S,), which is `age` ticks old, and the flags
        of what was done to it. Phase: hot."""
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
            return self._refuse(setpoint, NAN)
        asked = setpoint if inside else frozen(self._ranged(setpoint))
        flags = 0 if inside else RANGE
        if self._last is None:
            return asked, flags
        if self._jumps and (np.abs(np.where(self._deltas, setpoint, setpoint - self._last)) > self._jump).any():
            return self._refuse(asked, JUMP)
        return self._limit(asked, state, age, flags, self._last)

    def _limit(
        self, asked: FloatArray, state: FloatArray, age: int, flags: int, last: FloatArray
    ) -> tuple[FloatArray, int]:
        ramps = self._ramped < self._ramp
        if ramps:
            asked, flags = frozen(self._eased(asked)), flags | RAMP
        allowed, fast, abrupt = self._follower.toward(asked)
        flags |= (RATE if fast else 0) | (ACCEL if abrupt else 0)
        if allowed is not asked:  # a robot that was found outside its range comes in at its rate
            allowed = np.clip(allowed, np.minimum(self._low, last), np.maximum(self._high, last))
        if self._edges.any:
            kept = self._edges(allowed, state, age, last)
            if (kept != allowed).any():
                allowed, flags = kept, flags | BOX
        if self._workspace is not None and not self._workspace.holds(allowed):
            return self._refuse(asked, flags | BOX)
        self._ramped += ramps
        return self._sent(asked, allowed), flags

    def _refuse(self, asked: FloatArray, flags: int) -> tuple[FloatArray, int]:
        """What was sent last again, velocities and steps braking."""
        if self._last is None:  # nothing is known but that this must not be sent
            return frozen(np.where(self._moving, 0.0, self._ranged(np.nan_to_num(asked)))), flags
        last = self._last
        held = frozen(last - np.minimum(np.maximum(last, -self._brake), self._brake))
        return self._sent(held, held), flags

    def _sent(self, asked: FloatArray, allowed: FloatArray) -> FloatArray:
        allowed = frozen(allowed)
        self._follower.went(asked, allowed)
        self._last = allowed
        return allowed

    def _eased(self, setpoint: FloatArray) -> FloatArray:
        share = (1 - math.cos(math.pi * (self._ramped + 1) / self._ramp)) / 2
        eased = np.where(self._moving, share * setpoint, self._start + share * (setpoint - self._start))
        for triple in self._triples:
            eased[triple] = turned(self._start[triple], setpoint[triple], share)
        return np.where(self._as_is, setpoint, eased)

    def _ranged(self, setpoint: FloatArray) -> FloatArray:
        return np.minimum(np.maximum(setpoint, self._low), self._high)


def _check_rotations(spec: RobotSpec) -> None:
    limits = ("rate_limit", "accel_limit", "jump_limit")
    for dim in spec.action:
        limited = [limit for limit in limits if math.isfinite(getattr(dim, limit))]
        if dim.kind is Kind.ROTATION and limited:
            raise ConfigError(
                f"{dim.name!r} is a component of a rotation and has a {limited[0]}, which a turn cannot have; "
                "use the robot's own, and leave it out here"
            )


class _Edges:
    """The ranges of the state dimensions that actions drive. A target stays inside, or comes no farther out; a velocity
    or a step towards an edge is no more than stops there, by what was measured and has been sent since."""

    def __init__(self, spec: RobotSpec, rates: FloatArray, substeps: int) -> None:
        names = names_of(spec.state)
        bounded = [
            (j, dim, names.index(dim.drives))
            for j, dim in enumerate(spec.action)
            if dim.drives is not None and _bounded(spec.state[names.index(dim.drives)])
        ]
        self.any = bool(bounded)
        self._at = np.array([j for j, _, _ in bounded], np.intp)
        self._state = np.array([i for _, _, i in bounded], np.intp)
        self._low = np.array([spec.state[i].low for _, _, i in bounded])
        self._high = np.array([spec.state[i].high for _, _, i in bounded])
        kinds = [dim.kind for _, dim, _ in bounded]
        self._targets = np.array([kind not in MOVING for kind in kinds], np.bool_)
        self._moving = np.array([kind in MOVING for kind in kinds], np.bool_)
        self._per_tick = np.array([spec.period_s if kind is Kind.VELOCITY else substeps for kind in kinds])
        brakes = np.array([kind is Kind.VELOCITY for kind in kinds], np.bool_) & np.isfinite(rates[self._at])
        self._rates = np.where(brakes, rates[self._at], AT_ONCE)

    def __call__(self, setpoint: FloatArray, state: FloatArray, age: int, last: FloatArray) -> FloatArray:
        """state: (S,), `age` ticks old, of which the robot has gone on with `last` (A,)."""
        before = last[self._at]
        at = state[self._state] + np.where(self._moving, age * self._per_tick * before, 0.0)
        most = np.where(self._targets, np.maximum(self._high, before), self._speed(self._high - at))
        least = np.where(self._targets, np.minimum(self._low, before), -self._speed(at - self._low))
        kept = setpoint.copy()
        kept[self._at] = np.minimum(np.maximum(setpoint[self._at], least), most)
        return kept

    def _speed(self, room: FloatArray) -> FloatArray:
        """What may be sent with so much room left; nothing if there is none."""
        room = np.maximum(room, 0.0)
        return np.minimum(room / self._per_tick, np.sqrt(2 * self._rates * room))


def _bounded(dim: Dim) -> bool:
    return not is_turn(dim) and bool(np.isfinite(dim.low) or np.isfinite(dim.high))


class _Frozen:
    """Whether a state repeats itself to the bit while what is sent changes."""

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

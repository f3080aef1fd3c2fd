"""Specs: the names, units, limits and kind of every dimension, and the mapping between two of them, by name.

A robot and a policy each state what they have and what they expect. They are joined here once, before anything
moves, and never by position in a vector.
"""

import enum
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation

MOST_HZ = 10_000.0  # what is kept of minutes of ticks is in memory


EFFORTS = ("effort", "force", "torque", "current")  # in the words of ros2_control and of drivers
EFFORT_UNITS = ("N", "mN", "kN", "Nm", "mNm", "kNm", "Ncm", "kgcm", "kgfcm", "A", "mA")  # without what separates
EFFORT_WORDS = ("newton", "newtonmetre", "newtonmeter", "ampere", "amp")
SEPARATORS = re.compile(r"[\s.*·⋅-]")
NO_EFFORT = (
    "use a position or a velocity, with the loop that makes an effort of it in the robot's driver: no effort can be "
    "held safely when there is no action (zero lets an arm fall, the last one speeds it up)"
)


class Kind(enum.Enum):
    """Kind of an action dimension; it decides how it is held, rolled, sped up and averaged."""

    POSITION = "position"  # an absolute target
    VELOCITY = "velocity"  # a rate, in units per second
    DELTA = "delta"  # a step from where the robot is, per tick
    DISCRETE = "discrete"  # open or shut, on or off; never averaged
    ROTATION = "rotation"  # part of an absolute orientation; never averaged one by one

    @classmethod
    def _missing_(cls, value: object) -> "Kind":
        if value in EFFORTS:
            raise ConfigError(f"{value} is no kind of action; {NO_EFFORT}")
        raise unknown_name("kind of dimension", str(value), [kind.value for kind in cls])


@dataclass(frozen=True, slots=True)
class Dim:
    """One dimension of an action or a state.

    low, high: the range, in `unit`; they may be infinite for a state. rate_limit: the most that the value may
    change per second, in `unit`/s; holds slow down within it; accel_limit: the most that this rate may change per
    second, in `unit`/s^2; jump_limit: a setpoint farther than this from the last one is refused. drives: for an
    action, the state dimension that it moves. threshold, hysteresis: a discrete action is `high` from threshold +
    hysteresis / 2 on, `low` up to threshold - hysteresis / 2, and what it was in between. rate_of: for a state
    or the environment, the dimension of the same whose rate this is.
    """

    name: str
    unit: str = ""
    kind: Kind = Kind.POSITION
    low: float = -np.inf
    high: float = np.inf
    rate_limit: float = np.inf
    drives: str | None = None
    accel_limit: float = np.inf
    jump_limit: float = np.inf
    threshold: float | None = None
    hysteresis: float = 0.0
    rate_of: str | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"dimension {self.name!r} has low {self.low} and high {self.high}; low must be less")
        for limit in ("rate_limit", "accel_limit", "jump_limit"):
            if not getattr(self, limit) > 0:
                raise ConfigError(f"dimension {self.name!r} has {limit} {getattr(self, limit)}; give a positive one")
        if self.threshold is not None:
            self._check_threshold(self.threshold)

    def _check_threshold(self, threshold: float) -> None:
        if self.kind is not Kind.DISCRETE or not (np.isfinite(self.low) and np.isfinite(self.high)):
            raise ConfigError(
                f"dimension {self.name!r} has a threshold, and is {self.kind.value} from {self.low} to {self.high}; "
                "set one only on a discrete dimension with a finite low and high"
            )
        low, high = threshold - self.hysteresis / 2, threshold + self.hysteresis / 2
        if not (self.low < low <= high < self.high):
            raise ConfigError(
                f"dimension {self.name!r} switches at {low:g} and {high:g}, and goes from {self.low} to {self.high}; "
                "keep both inside, and the hysteresis not negative"
            )


def is_turn(dim: Dim) -> bool:
    """Whether it is an angle that is kept in [-pi, pi): its range is no limit."""
    return dim.unit == "rad" and math.isclose(dim.low, -math.pi) and math.isclose(dim.high, math.pi)


def is_effort_unit(unit: str) -> bool:
    """Whether `unit` is one of a force, a torque or a current: `N.m`, `N*m` and `newton metres` are all `Nm`."""
    plain = SEPARATORS.sub("", unit)  # capitals count: nm is a length
    return plain in EFFORT_UNITS or plain.lower().removesuffix("s") in EFFORT_WORDS


def check_effort_name(name: str) -> None:
    """Raises: ConfigError, if `name`, of an action, ends in one of `EFFORTS`, as `wrist.torque` does."""
    if re.split(r"[._/\s]", name.lower())[-1] in EFFORTS:
        raise ConfigError(f"action {name!r} is an effort by its name; give it a unit if it is none, else {NO_EFFORT}")


def names_of(dims: Sequence["Dim | Camera"]) -> tuple[str, ...]:
    """Returns the names of `dims`, in their order."""
    return tuple(dim.name for dim in dims)


def _unknown_state(name: str, state: Sequence[Dim]) -> ConfigError:
    return unknown_name("state dimension", name, names_of(state))


def mask(dims: Sequence[Dim], *kinds: Kind) -> NDArray[np.bool_]:
    """Returns which of `dims` are of one of `kinds`, as booleans (len(dims),)."""
    return np.array([dim.kind in kinds for dim in dims], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Camera:
    """Camera of a robot, with the size of its images, `(height, width, 3)` uint8."""

    name: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class RobotSpec:
    """Dimensions, cameras and control rate of a robot. action: what it can be sent; state: what it measures;
    environment: what else is seen of the scene, as numbers (object positions; empty on most robots); rate_hz: the ticks
    per second it is driven at."""

    action: tuple[Dim, ...]
    state: tuple[Dim, ...]
    rate_hz: float
    environment: tuple[Dim, ...] = ()
    cameras: tuple[Camera, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz <= MOST_HZ:
            raise ConfigError(f"rate_hz is {self.rate_hz}; give a positive control rate, {MOST_HZ:g} Hz at most")
        for what, dims in (("action", self.action), ("state", self.state), ("environment", self.environment)):
            names = names_of(dims)
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ConfigError(f"the {what} names {', '.join(twice)} twice; every name must be its own")
        for dim in self.action:
            self._check_drives(dim)
        for what, dims in (("state", self.state), ("environment", self.environment)):
            for dim in dims:
                if dim.rate_of is not None and dim.rate_of not in names_of(dims):
                    error = unknown_name(f"{what} dimension", dim.rate_of, names_of(dims))
                    raise ConfigError(f"{what} {dim.name!r} is the rate of what is not measured: {error}")

    def _check_drives(self, dim: Dim) -> None:
        if dim.kind is not Kind.DISCRETE:
            self._check_effort(dim)
        if dim.drives is not None and dim.drives not in names_of(self.state):
            raise ConfigError(
                f"action {dim.name!r} drives what is not measured: {_unknown_state(dim.drives, self.state)}"
            )
        if dim.drives is None and dim.kind in (Kind.POSITION, Kind.ROTATION):
            raise ConfigError(
                f"action {dim.name!r} is an absolute {dim.kind.value} that drives no state, so it could not be held "
                "before the first chunk; name the state dimension that it moves in `drives`"
            )

    def _check_effort(self, dim: Dim) -> None:
        if is_effort_unit(dim.unit):
            raise ConfigError(
                f"action {dim.name!r} is a {dim.kind.value} in {dim.unit}, which is an effort; {NO_EFFORT}"
            )
        if not dim.unit:  # another unit says that it is none, whatever its name
            check_effort_name(dim.name)

    @property
    def period_s(self) -> float:
        """Seconds per tick."""
        return 1.0 / self.rate_hz


STATE_IN = ("suffix", "prefix", "prompt", "condition")


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Names of the dimensions and cameras that a policy takes and gives, with its rate. horizon: H, rows per chunk;
    n_obs: observations per request, one tick apart; rate_hz: the rate of the data it was trained on; state_in: where
    the state enters (`suffix`, `prefix`, `prompt`, `condition`), which says what binding it late costs."""

    action: tuple[str, ...]
    state: tuple[str, ...]
    horizon: int
    rate_hz: float
    environment: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    n_obs: int = 1
    state_in: str = "suffix"

    def __post_init__(self) -> None:
        if self.horizon < 1 or self.n_obs < 1:
            raise ConfigError(f"horizon is {self.horizon} and n_obs {self.n_obs}; both must be at least 1")
        if self.state_in not in STATE_IN:
            raise unknown_name("place for the state", self.state_in, STATE_IN)


@dataclass(frozen=True, slots=True)
class NameMap:
    """How a policy's vectors are picked from a robot's, and back: index arrays, made by `map_by_name`."""

    action: NDArray[np.intp] = field(repr=False)  # robot action j is policy action action[j]
    state: NDArray[np.intp] = field(repr=False)  # policy state i is robot state state[i]
    environment: NDArray[np.intp] = field(repr=False)

    def rows(self, policy_rows: FloatArray) -> FloatArray:
        """(H, A) in the robot's order, from rows in the policy's."""
        return policy_rows[:, self.action]

    def observation(self, seen: Observation) -> Observation:
        """What the policy expects of what the robot has `seen`, in the policy's order."""
        state, environment = seen.state[self.state], seen.environment[self.environment]
        return replace(seen, state=frozen(state), environment=frozen(environment))


def map_by_name(robot: RobotSpec, policy: PolicySpec, remedy: str = "rename it in one of the two specs") -> NameMap:
    """Joins `policy` to `robot`. Every state, scene number and camera that the policy expects must be there, and every
    action that the robot takes must be made. remedy: how a name without a partner is given one.

    Raises: ConfigError, if a name has no partner, or the rates differ.
    """
    if policy.rate_hz != robot.rate_hz:
        raise ConfigError(
            f"the policy was made for {policy.rate_hz:g} Hz and the robot runs at {robot.rate_hz:g} Hz; "
            f"drive the robot at {policy.rate_hz:g} Hz"
        )
    indices_of("camera", policy.cameras, tuple(camera.name for camera in robot.cameras), "robot", remedy)
    return NameMap(
        action=indices_of("action", names_of(robot.action), policy.action, "policy", remedy),
        state=indices_of("state", policy.state, names_of(robot.state), "robot", remedy),
        environment=indices_of("environment", policy.environment, names_of(robot.environment), "robot", remedy),
    )


def indices_of(what: str, wanted: Sequence[str], given: Sequence[str], giver: str, remedy: str) -> NDArray[np.intp]:
    """Where each name `wanted` is among those `given` by the `giver`. Raises: ConfigError, if one is not."""
    for name in wanted:
        if name not in given:
            error = unknown_name(what, name, given)
            raise ConfigError(f"the {giver} does not give what is needed: {error}; {remedy}")
    return np.array([given.index(name) for name in wanted], dtype=np.intp)


def check_same(made: RobotSpec, told: RobotSpec) -> None:
    """Checks that two specs of one robot are equal, so that executor and planner give every number the same meaning.

    made: spec of the robot that the executor drives; told: spec of the robot made in the user's process. Raises:
    ConfigError, if they differ in dimensions, their order, units, limits or rate.
    """
    for what in ("action", "state", "environment", "cameras"):
        theirs, ours = (names_of(getattr(spec, what)) for spec in (made, told))
        if theirs != ours:
            raise ConfigError(
                f"the robot was made twice, and has {what} {', '.join(theirs) or 'nothing'} the second time and "
                f"{', '.join(ours) or 'nothing'} the first; make it name them in the same order each time"
            )
    if made != told:
        raise ConfigError(
            "the robot was made twice, with other units, limits or another rate the second time; make its spec the "
            "same each time"
        )

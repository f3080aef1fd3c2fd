"""Specs of robots and policies: the name, unit, limits and kind of every dimension, and how two specs are joined.

A robot and a policy each state what they have and what they expect. They are joined by name, before anything moves, and
never by position in a vector.
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

MOST_HZ = 10_000.0  # records of minutes of ticks are kept in memory


EFFORTS = ("effort", "force", "torque", "current")  # names that ros2_control and drivers use
EFFORT_UNITS = ("N", "mN", "kN", "Nm", "mNm", "kNm", "Ncm", "kgcm", "kgfcm", "A", "mA")  # without separators
EFFORT_WORDS = ("newton", "newtonmetre", "newtonmeter", "ampere", "amp")
SEPARATORS = re.compile(r"[\s.*·⋅-]")
NO_EFFORT = (
    "use a position or a velocity, with the loop that makes an effort of it in the robot's driver: no effort can be "
    "held safely when there is no action (zero lets an arm fall, the last one speeds it up)"
)


class Kind(enum.Enum):
    """Meaning of a number in an action; it decides how the number is held, rolled, sped up and averaged."""

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
    """One dimension of an action, a state or an environment.

    Attributes:
        name: Unique within its vector.
        unit: Unit of the values, such as `rad`; empty for none.
        kind: Meaning of the values of an action.
        low: Lower end of the range, in `unit`; may be -inf for a state.
        high: Upper end of the range, in `unit`; may be inf for a state.
        rate_limit: Largest change of the value per second, in `unit`/s; holds slow down within it.
        drives: State dimension that an action moves.
        accel_limit: Largest change of the rate per second, in `unit`/s^2.
        jump_limit: Largest distance, in `unit`, from one setpoint to the next; a setpoint farther away is refused.
        threshold: For a discrete action: it is `high` from threshold + hysteresis / 2 on, `low` up to threshold -
            hysteresis / 2, and keeps its last value in between.
        hysteresis: Width of the band around `threshold` in which the value is kept.
        rate_of: For a state or the environment: the dimension of the same vector whose rate this is.
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
    """Whether `dim` is an angle that wraps round in [-pi, pi), so that its range is no limit."""
    return dim.unit == "rad" and math.isclose(dim.low, -math.pi) and math.isclose(dim.high, math.pi)


def is_effort_unit(unit: str) -> bool:
    """Whether `unit` is a unit of force, torque or current; `N.m`, `N*m` and `newton metres` are all read as `Nm`."""
    plain = SEPARATORS.sub("", unit)  # capitals count: nm is a length
    return plain in EFFORT_UNITS or plain.lower().removesuffix("s") in EFFORT_WORDS


def check_effort_name(name: str) -> None:
    """Checks the name of an action. Raises ConfigError if it ends in one of `EFFORTS`, as `wrist.torque` does."""
    if re.split(r"[._/\s]", name.lower())[-1] in EFFORTS:
        raise ConfigError(f"action {name!r} is an effort by its name; give it a unit if it is none, else {NO_EFFORT}")


def names_of(dims: Sequence["Dim | Camera"]) -> tuple[str, ...]:
    """Names of `dims`, in their order."""
    return tuple(dim.name for dim in dims)


def _unknown_state(name: str, state: Sequence[Dim]) -> ConfigError:
    return unknown_name("state dimension", name, names_of(state))


def mask(dims: Sequence[Dim], *kinds: Kind) -> NDArray[np.bool_]:
    """Boolean vector (len(dims),): whether each dimension is of one of `kinds`."""
    return np.array([dim.kind in kinds for dim in dims], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Camera:
    """Name and size of a camera, whose images are (height, width, 3) uint8.

    on_demand: whether an image is made only when it is asked for, as by a renderer in simulated time. `Robot.frames` is
    then called only in ticks whose images a request or an image encoder needs, else in every tick.
    """

    name: str
    height: int
    width: int
    on_demand: bool = False


@dataclass(frozen=True, slots=True)
class RobotSpec:
    """Description of a robot: what it is sent, what it measures, and at which rate it is driven.

    Attributes:
        action: Dimensions of an action.
        state: Dimensions that the robot measures.
        rate_hz: Ticks per second.
        environment: Numbers about the scene beside the state, such as object positions; empty on most robots.
        cameras: Cameras, in their order.

    Raises ConfigError if the rate is out of range, a name is used twice, or a reference names no dimension.
    """

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
                    raise ConfigError(f"{what} {dim.name!r} is the rate of a dimension that is not measured: {error}")

    def _check_drives(self, dim: Dim) -> None:
        if dim.kind is not Kind.DISCRETE:
            self._check_effort(dim)
        if dim.drives is not None and dim.drives not in names_of(self.state):
            raise ConfigError(
                f"action {dim.name!r} drives a state that is not measured: {_unknown_state(dim.drives, self.state)}"
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


STATE_IN = ("bind", "encode")


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Description of what a policy expects and gives, by name.

    Attributes:
        action: Names of the action dimensions.
        state: Names of the state dimensions.
        horizon: H, rows per chunk.
        rate_hz: Rate of the data that the policy was trained on.
        environment: Names of the numbers about the scene.
        cameras: Names of the cameras.
        n_obs: Observations per request, one tick apart.
        state_in: The stage that needs the state. `bind`: images and task are encoded without it, so that it is bound
            after that, as late as possible, and costs little. `encode`: it is encoded with them, as in a prompt, so
            that it is bound before, and a newer state would cost a new encoding.
    """

    action: tuple[str, ...]
    state: tuple[str, ...]
    horizon: int
    rate_hz: float
    environment: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    n_obs: int = 1
    state_in: str = "bind"

    def __post_init__(self) -> None:
        if self.horizon < 1 or self.n_obs < 1:
            raise ConfigError(f"horizon is {self.horizon} and n_obs {self.n_obs}; both must be at least 1")
        if self.state_in not in STATE_IN:
            raise unknown_name("stage that needs the state (state_in)", self.state_in, STATE_IN)


@dataclass(frozen=True, slots=True)
class NameMap:
    """Index arrays that pick a policy's vectors from a robot's, and a robot's actions from a policy's.

    Attributes:
        action: (A,), robot action j is policy action `action[j]`.
        state: Policy state i is robot state `state[i]`.
        environment: The same for the numbers about the scene.
    """

    action: NDArray[np.intp] = field(repr=False)
    state: NDArray[np.intp] = field(repr=False)
    environment: NDArray[np.intp] = field(repr=False)

    def rows(self, policy_rows: FloatArray) -> FloatArray:
        """Rows (H, A) in the robot's order, from rows in the policy's order."""
        return policy_rows[:, self.action]

    def observation(self, seen: Observation) -> Observation:
        """Observation with the dimensions that the policy expects, in its order, from one of the robot."""
        state, environment = seen.state[self.state], seen.environment[self.environment]
        return replace(seen, state=frozen(state), environment=frozen(environment))


def map_by_name(robot: RobotSpec, policy: PolicySpec, remedy: str = "rename it in one of the two specs") -> NameMap:
    """Joins `policy` to `robot` by name.

    Every state, scene number and camera that the policy expects must be among the robot's, and every action of the
    robot among the policy's.

    Args:
        robot: Spec of the robot.
        policy: Spec of the policy.
        remedy: End of the error message: how a name without a partner is given one.

    Raises ConfigError if a name has no partner, or the rates differ.
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
    """Position of each name `wanted` among the names `given`. Raises ConfigError if one is missing.

    Args:
        what: Noun for a name, in the error message.
        wanted: Names to look for.
        given: Names to look among.
        giver: Noun for the one who gives the names, in the error message.
        remedy: End of the error message: what to do.
    """
    for name in wanted:
        if name not in given:
            error = unknown_name(what, name, given)
            raise ConfigError(f"the {giver} does not give what is needed: {error}; {remedy}")
    return np.array([given.index(name) for name in wanted], dtype=np.intp)


def check_same(made: RobotSpec, expected: RobotSpec) -> None:
    """Checks that two specs of one robot are equal, so that executor and planner give every number the same meaning.

    Args:
        made: Spec of the robot that the executor drives.
        expected: Spec of the robot made in the user's process.

    Raises ConfigError if they differ in dimensions, their order, units, limits or rate.
    """
    for what in ("action", "state", "environment", "cameras"):
        theirs, ours = (names_of(getattr(spec, what)) for spec in (made, expected))
        if theirs != ours:
            raise ConfigError(
                f"the robot was made twice, and has {what} {', '.join(theirs) or 'nothing'} the second time and "
                f"{', '.join(ours) or 'nothing'} the first; make it name them in the same order each time"
            )
    if made != expected:
        raise ConfigError(
            "the robot was made twice, with other units, limits or another rate the second time; make its spec the "
            "same each time"
        )

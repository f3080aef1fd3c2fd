"""State rollers: where the robot will be, given the actions between now and then.

A roller takes the state measured at the head of a tick and the actions of the ticks that follow, and gives the state
at the head of the tick after them (VLASH, arXiv 2512.01031, section 4: the plan starts from there). Each kind of
action has its own; `for_spec` puts together those that a robot's action kinds call for. Anything callable the same
way is a roller, a user's own model included.

A robot with a pure delay still does what it was told before it was measured. A roller that knows of one has a
`lookback`, in ticks: so many rows more come first, those of the ticks before the state was measured.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.rotation import matrix_from_rotvec, rotvec_from_matrix, skew
from rollahead.runtime.types.spec import Kind, RobotSpec, is_turn, names_of

Indices = NDArray[np.intp]
ABSOLUTE = (Kind.POSITION, Kind.DISCRETE, Kind.ROTATION)  # kinds of actions that say what the state is to be


class StateRoller(Protocol):
    """Function that predicts a robot's state: state (S,), rows (n, A), one per tick -> the state (S,) n ticks later.
    `n = 0` gives the state as it is.

    With a `lookback` of m, rows are (m + n, A). None at all, be m what it may: nothing was ever sent.
    """

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray: ...


class SceneRoller(Protocol):
    """Function that predicts the scene's numbers: environment (E,), the robot's state (S,) at that tick, rows (n, A)
    -> the environment n ticks later. For scenes that move, or that the robot moves. With a `lookback` of m, rows are
    (m + n, A), as for a `StateRoller`."""

    def __call__(self, environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Rollers:
    """Models that roll the starting point of a plan to the switch. state: the robot; scene: what is seen of the scene
    as numbers; None leaves it as it was seen."""

    state: StateRoller
    scene: SceneRoller | None = None


def lookback_of(roller: StateRoller | SceneRoller) -> int:
    """How many rows from before the state was measured `roller` wants; 0 unless it says so."""
    return getattr(roller, "lookback", 0)


def check_lookback(roller: StateRoller, horizon: int) -> StateRoller:
    """`roller`, if history holds what it wants. horizon: H, the ticks that a chunk lasts: what was sent in the last 2 H
    is kept, and the state may be H ticks old.

    Raises: ConfigError, if it looks back farther than H.
    """
    if lookback_of(roller) > horizon:
        raise ConfigError(
            f"the roller knows of a delay of {lookback_of(roller)} ticks, and what was sent is kept for H = {horizon} "
            "ticks before the state; use chunks of more rows, or a roller with a shorter delay"
        )
    return roller


def still(state: FloatArray, rows: FloatArray) -> FloatArray:
    """The roller that rolls nothing: the state as measured."""
    return state


@dataclass(frozen=True, slots=True, eq=False)
class Absolute:
    """Position targets that the robot reaches within a tick: the state is the last target.

    action, state: indices of the dimensions, pairwise. Chunk-relative policies roll by this one too: their rows are
    un-anchored (`unanchor`) before the executor sees them, so what is sent is absolute.
    """

    action: Indices
    state: Indices

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        rolled = state.copy()
        if len(rows):
            rolled[self.state] = rows[-1, self.action]
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Steps that add up. wraps: where a state dimension is an angle that is kept in [-pi, pi)."""

    action: Indices
    state: Indices
    wraps: NDArray[np.bool_]

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        rolled = state.copy()
        if len(rows):
            moved = rolled[self.state] + rows[:, self.action].sum(axis=0)
            turned = (moved + np.pi) % (2 * np.pi) - np.pi
            turned[turned >= np.pi] = -np.pi  # the remainder may round up to the whole turn
            rolled[self.state] = np.where(self.wraps, turned, moved)
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class Velocity:
    """Rates that the robot follows at once: positions integrate them, measured velocities are the last one.

    position, velocity: state indices, pairwise with `action`; `velocity` may be empty if the robot measures none.
    """

    action: Indices
    position: Indices
    velocity: Indices
    period_s: float

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        rolled = state.copy()
        rolled[self.position] += rows[:, self.action].sum(axis=0) * self.period_s
        if len(rows) and len(self.velocity):
            rolled[self.velocity] = rows[-1, self.action]
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class FirstOrderLag:
    """Position targets that the robot approaches with time constant `tau_s`, after a pure delay of `delay` ticks:

    x(k + 1) = a + (x(k) - a) exp(-T / tau),    a = a(k - delay)
    """

    action: Indices
    state: Indices
    tau_s: float
    period_s: float
    delay: int = 0

    def __post_init__(self) -> None:
        _check_lag(self.tau_s, self.delay)

    @property
    def lookback(self) -> int:
        """The delay: what is in effect when the state is measured was sent that long ago."""
        return self.delay

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        rolled = state.copy()
        decay = np.exp(-self.period_s / self.tau_s)
        x = rolled[self.state]
        for target in _in_effect(rows, self.delay)[:, self.action]:
            x = target + (x - target) * decay
        rolled[self.state] = x
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class VelocityLag:
    """Rates that the robot approaches with time constant `tau_s`, after a pure delay of `delay` ticks; positions
    integrate the lagged rate exactly:

        v(k + 1) = a + (v(k) - a) e,    x(k + 1) = x(k) + a T + (v(k) - a) tau (1 - e),
        a = a(k - delay),    e = exp(-T / tau)
    """

    action: Indices
    position: Indices
    velocity: Indices
    tau_s: float
    period_s: float
    delay: int = 0

    def __post_init__(self) -> None:
        _check_lag(self.tau_s, self.delay)

    @property
    def lookback(self) -> int:
        """The delay, as of `FirstOrderLag`."""
        return self.delay

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        rolled = state.copy()
        decay = np.exp(-self.period_s / self.tau_s)
        x, v = rolled[self.position], rolled[self.velocity]
        for target in _in_effect(rows, self.delay)[:, self.action]:
            x = x + target * self.period_s + (v - target) * self.tau_s * (1 - decay)
            v = target + (v - target) * decay
        rolled[self.position], rolled[self.velocity] = x, v
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Twists on SE(3): a pose (position, rotation vector) moved by (linear, angular) steps, composed on the group.

    position, rotation: three state indices each; action: six, linear first. scale: seconds per row for rates, 1 for
    steps per tick. body: twists are in the tool's own frame (the full exponential); else in the base frame, where
    the tool's position moves by the linear part and its rotation is multiplied from the left.
    """

    action: Indices
    position: Indices
    rotation: Indices
    scale: float = 1.0
    body: bool = False

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        rolled = state.copy()
        p, r = rolled[self.position], matrix_from_rotvec(rolled[self.rotation])
        for twist in rows[:, self.action] * self.scale:
            turn = matrix_from_rotvec(twist[3:])
            if self.body:
                p, r = p + r @ (_left_jacobian(twist[3:]) @ twist[:3]), r @ turn
            else:
                p, r = p + twist[:3], turn @ r
        rolled[self.position], rolled[self.rotation] = p, rotvec_from_matrix(r)
        return rolled


@dataclass(frozen=True, slots=True)
class Chain:
    """Several rollers, each for its own dimensions, one after the other. lookback: the largest of theirs."""

    rollers: tuple[StateRoller, ...]
    lookback: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lookback", max(map(lookback_of, self.rollers), default=0))

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        for roller in self.rollers:
            state = roller(state, rows[self.lookback - lookback_of(roller) :])
        return state


def unanchor(relative: FloatArray, anchor: FloatArray, action: Indices, state: Indices) -> FloatArray:
    """(H, A), rows in robot units from rows relative to the `anchor` state (S,) that the policy was given.

    Only the `action` dimensions are relative, each to its `state` dimension. The anchor must be the *bound* state: any
    other makes a jump of all that the robot moved between the two.
    """
    rows = relative.copy()
    rows[:, action] += anchor[state]
    return rows


def for_spec(spec: RobotSpec, without: Container[str] = ()) -> StateRoller:
    """Returns the roller that `spec` calls for, taking the robot to follow at once: absolute for positions, discrete
    values and rotations, the sum for deltas (turned into [-pi, pi) where that is a state's range in rad), the integral
    for velocities. Measured velocities stay as they are, and so does what nothing drives.

    without: actions that are left to other rollers.
    """
    state = names_of(spec.state)
    driven = [(j, dim) for j, dim in enumerate(spec.action) if dim.drives in state and dim.name not in without]
    pairs = [(j, state.index(str(dim.drives)), dim.kind) for j, dim in driven]

    def of(*kinds: Kind) -> tuple[Indices, Indices]:
        chosen = [(j, i) for j, i, kind in pairs if kind in kinds]
        return np.array([j for j, _ in chosen], np.intp), np.array([i for _, i in chosen], np.intp)

    build: Sequence[tuple[tuple[Kind, ...], Callable[[Indices, Indices], StateRoller]]] = (
        (ABSOLUTE, Absolute),
        (
            (Kind.DELTA,),
            lambda a, s: Delta(a, s, np.array([is_turn(spec.state[i]) for i in s], np.bool_)),
        ),
        ((Kind.VELOCITY,), lambda a, s: Velocity(a, s, np.empty(0, np.intp), spec.period_s)),
    )
    rollers = [make(action, position) for kinds, make in build for action, position in [of(*kinds)] if len(action)]
    return rollers[0] if len(rollers) == 1 else Chain(tuple(rollers))


def _check_lag(tau_s: float, delay: int) -> None:
    if not tau_s > 0 or delay < 0:
        raise ConfigError(f"tau_s is {tau_s} and delay {delay}; give a positive time and 0 or more ticks")


def _in_effect(rows: FloatArray, delay: int) -> FloatArray:
    """(n, A), what the robot does after the state was measured, of (delay + n, A) from `delay` ticks before."""
    return rows[: max(len(rows) - delay, 0)]


def _left_jacobian(rotvec: FloatArray) -> FloatArray:
    """V of SE(3): the translation of exp((v, w)) is V(w) v."""
    angle = float(np.linalg.norm(rotvec))
    k = skew(rotvec)
    if angle < 1e-6:
        return np.eye(3) + k / 2 + k @ k / 6
    return np.eye(3) + (1 - np.cos(angle)) / angle**2 * k + (angle - np.sin(angle)) / angle**3 * (k @ k)

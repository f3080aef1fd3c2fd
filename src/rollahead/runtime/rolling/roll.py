"""State rollers: models that compute where the robot will be after the actions between now and then.

A roller takes the state measured at the head of a tick and the actions of the ticks that follow, and gives the state at
the head of the tick after them (VLASH, arXiv 2512.01031, section 4: the plan starts from there). There is one for each
kind of action; `for_spec` combines those that a robot's action kinds call for. Anything callable the same way is a
roller, a user's own model included.

A robot with a pure delay still carries out what it was sent before it was measured. A roller that models this has a
`lookback`, in ticks: so many rows more come first, for the ticks before the state was measured.
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
ABSOLUTE = (Kind.POSITION, Kind.DISCRETE, Kind.ROTATION)  # kinds of actions that give a target for the state


class StateRoller(Protocol):
    """A model of the robot: state (S,), rows (n, A), one per tick -> the state (S,) n ticks later.

    With `n = 0` the state is returned as it is. With a `lookback` of m, rows are (m + n, A). If nothing was ever sent
    there are no rows at all, whatever m is.
    """

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """State (S,) after the actions `rows`, from `state` (S,) on."""
        ...


class SceneRoller(Protocol):
    """A model of the scene, for scenes that move or that the robot moves.

    It takes the environment (E,), the robot's state (S,) at that tick and rows (n, A), one per tick, and returns the
    environment (E,) n ticks later. With a `lookback` of m, rows are (m + n, A), as for a `StateRoller`.
    """

    def __call__(self, environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
        """Environment (E,) after the actions `rows`, from `environment` (E,) and `state` (S,) on."""
        ...


@dataclass(frozen=True, slots=True)
class Rollers:
    """Models that roll the starting point of a plan.

    Attributes:
        state: Rolls the robot's state.
        scene: Rolls the numbers about the scene; None leaves them as they were seen.
    """

    state: StateRoller
    scene: SceneRoller | None = None


def lookback_of(roller: StateRoller | SceneRoller) -> int:
    """Number of rows from before the state was measured that `roller` takes; 0 unless it has a `lookback`."""
    return getattr(roller, "lookback", 0)


def check_lookback(roller: StateRoller, horizon: int) -> StateRoller:
    """Returns `roller` if the history of what was sent is long enough for it.

    Args:
        roller: The roller to check.
        horizon: H, the ticks that a chunk lasts. What was sent in the last 2 H is kept, and the state may be H ticks
            old.

    Raises ConfigError if the roller's `lookback` is larger than H.
    """
    if lookback_of(roller) > horizon:
        raise ConfigError(
            f"the roller models a delay of {lookback_of(roller)} ticks, and what was sent is kept for H = {horizon} "
            "ticks before the state; use chunks of more rows, or a roller with a shorter delay"
        )
    return roller


def still(state: FloatArray, rows: FloatArray) -> FloatArray:
    """A roller that leaves the state as it was measured."""
    return state


@dataclass(frozen=True, slots=True, eq=False)
class Absolute:
    """Position targets that the robot reaches within a tick: the state is the last target.

    Chunk-relative policies use this roller too: their rows are un-anchored (`unanchor`) before the executor sees them,
    so what is sent is absolute.

    Attributes:
        action: (n,), indices of the action dimensions.
        state: (n,), indices of the state dimensions that they drive.
    """

    action: Indices
    state: Indices

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """State (S,) with the targets of the last row."""
        rolled = state.copy()
        if len(rows):
            rolled[self.state] = rows[-1, self.action]
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Steps that add up.

    Attributes:
        action: (n,), indices of the action dimensions.
        state: (n,), indices of the state dimensions that they drive.
        wraps: (n,), whether the state dimension is an angle that is kept in [-pi, pi).
    """

    action: Indices
    state: Indices
    wraps: NDArray[np.bool_]

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """State (S,) with the steps of all rows added."""
        rolled = state.copy()
        if len(rows):
            moved = rolled[self.state] + rows[:, self.action].sum(axis=0)
            turned = (moved + np.pi) % (2 * np.pi) - np.pi
            turned[turned >= np.pi] = -np.pi  # the remainder may round up to the whole turn
            rolled[self.state] = np.where(self.wraps, turned, moved)
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class Velocity:
    """Rates that the robot follows at once: positions integrate them, measured velocities equal the last one.

    Attributes:
        action: (n,), indices of the action dimensions.
        position: (n,), state indices of the positions.
        velocity: (n,), state indices of the velocities; empty if the robot measures none.
        period_s: Seconds per tick.
    """

    action: Indices
    position: Indices
    velocity: Indices
    period_s: float

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """State (S,) with positions moved by the integral of the rows."""
        rolled = state.copy()
        rolled[self.position] += rows[:, self.action].sum(axis=0) * self.period_s
        if len(rows) and len(self.velocity):
            rolled[self.velocity] = rows[-1, self.action]
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class FirstOrderLag:
    """Position targets that the robot approaches with time constant `tau_s`, after a pure delay of `delay` ticks.

        x(k + 1) = a + (x(k) - a) exp(-T / tau),    a = a(k - delay)

    Attributes:
        action: (n,), indices of the action dimensions.
        state: (n,), indices of the state dimensions that they drive.
        tau_s: Time constant in seconds, positive.
        period_s: T, seconds per tick.
        delay: Pure delay in ticks, 0 or more.
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
        """Number of rows from before the state that are needed: the delay, since a row takes effect that much later."""
        return self.delay

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """State (S,) with positions that have approached the targets of the rows in effect."""
        rolled = state.copy()
        decay = np.exp(-self.period_s / self.tau_s)
        x = rolled[self.state]
        for target in _in_effect(rows, self.delay)[:, self.action]:
            x = target + (x - target) * decay
        rolled[self.state] = x
        return rolled


@dataclass(frozen=True, slots=True, eq=False)
class VelocityLag:
    """Rates that the robot approaches with time constant `tau_s`, after a pure delay of `delay` ticks.

    Positions integrate the lagged rate exactly:

        v(k + 1) = a + (v(k) - a) e,    x(k + 1) = x(k) + a T + (v(k) - a) tau (1 - e),
        a = a(k - delay),    e = exp(-T / tau)

    Attributes:
        action: (n,), indices of the action dimensions.
        position: (n,), state indices of the positions.
        velocity: (n,), state indices of the velocities.
        tau_s: Time constant in seconds, positive.
        period_s: T, seconds per tick.
        delay: Pure delay in ticks, 0 or more.
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
        """Number of rows from before the state that are needed: the delay, since a row takes effect that much later."""
        return self.delay

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """State (S,) with velocities that have approached the rows in effect, and positions that integrate them."""
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

    Attributes:
        action: (6,), indices of the twist in an action, the linear part first.
        position: (3,), state indices of the position.
        rotation: (3,), state indices of the rotation vector.
        scale: Seconds per row for rates, 1 for steps per tick.
        body: Whether twists are in the tool's own frame (the full exponential). Otherwise they are in the base frame,
            where the tool's position moves by the linear part and its rotation is multiplied from the left.
    """

    action: Indices
    position: Indices
    rotation: Indices
    scale: float = 1.0
    body: bool = False

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """State (S,) with the pose moved by the twists of all rows."""
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
    """Several rollers, each for its own dimensions, applied one after the other.

    Attributes:
        rollers: The rollers, in the order in which they are applied.
        lookback: Largest `lookback` of the rollers.
    """

    rollers: tuple[StateRoller, ...]
    lookback: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lookback", max(map(lookback_of, self.rollers), default=0))

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """State (S,) after all rollers."""
        for roller in self.rollers:
            state = roller(state, rows[self.lookback - lookback_of(roller) :])
        return state


def unanchor(relative: FloatArray, anchor: FloatArray, action: Indices, state: Indices) -> FloatArray:
    """Rows (H, A) in robot units, from rows relative to the `anchor` state (S,) that the policy was given.

    Only the `action` dimensions are relative, each to its `state` dimension. The anchor must be the *bound* state: with
    any other the rows jump by as much as the robot moved between the two.
    """
    rows = relative.copy()
    rows[:, action] += anchor[state]
    return rows


def for_spec(spec: RobotSpec, without: Container[str] = ()) -> StateRoller:
    """Builds the roller for `spec`, assuming that the robot follows its actions at once.

    - Positions, discrete values and rotations: the last value.
    - Deltas: the sum, wrapped into [-pi, pi) where that is the state's range in rad.
    - Velocities: the integral. Measured velocities stay as they are, and so does a state that no action drives.

    Args:
        spec: Spec of the robot.
        without: Names of actions that are left to other rollers.
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
    """Rows (n, A) that take effect after the state was measured.

    rows: (delay + n, A), the actions sent from `delay` ticks before that on.
    """
    return rows[: max(len(rows) - delay, 0)]


def _left_jacobian(rotvec: FloatArray) -> FloatArray:
    """Matrix V (3, 3) of SE(3): the translation of exp((v, w)) is V(w) v."""
    angle = float(np.linalg.norm(rotvec))
    k = skew(rotvec)
    if angle < 1e-6:
        return np.eye(3) + k / 2 + k @ k / 6
    return np.eye(3) + (1 - np.cos(angle)) / angle**2 * k + (angle - np.sin(angle)) / angle**3 * (k @ k)

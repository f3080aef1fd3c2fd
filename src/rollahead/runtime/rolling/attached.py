"""A scene roller for an object that the robot's gripper holds.

A robot that is rolled ahead of an object that it holds sees the object behind its gripper, as if it had dropped it.
Tick by tick along the roll, an object between closed jaws moves by as much as the tool does, for the last time in the
tick in which they open:

    gripper    open    closed  closed  closed  open
    tool       0.0     0.1     0.2     0.3     0.4
    object     0.1     0.1     0.2     0.3     0.4
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rollahead.errors import ConfigError, counted, unknown_name
from rollahead.runtime.rolling.roll import Indices, StateRoller, lookback_of
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.spec import Dim, RobotSpec, names_of


@dataclass(frozen=True, slots=True, eq=False)
class Attached:
    """A scene roller that moves an object with the tool while the gripper holds it.

    Attributes:
        robot: Roller of the robot's state.
        tool: (D,), indices of the tool's position in the state.
        object: (D,), indices of the object's position in the environment.
        gripper: Index of the gripper in the state.
        closed: Lowest and highest reading of the gripper at which it may hold something.
        within: Largest distance from tool to object, in their unit, at which the object is held.
    """

    robot: StateRoller
    tool: Indices
    object: Indices
    gripper: int
    closed: tuple[float, float]
    within: float

    @property
    def lookback(self) -> int:
        """Number of rows from before the state that the robot's roller takes."""
        return lookback_of(self.robot)

    def __call__(self, environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
        """Environment (E,) after the `rows` (lookback + n, A) that follow on `state` (S,)."""
        rolled, span = environment.copy(), self.lookback + 1
        for k in range(len(rows) - self.lookback):
            after = self.robot(state, rows[k : k + span])
            if self._holds(state, rolled):
                rolled[self.object] += after[self.tool] - state[self.tool]
            state = after
        return frozen(rolled)

    def _holds(self, state: FloatArray, environment: FloatArray) -> bool:
        low, high = self.closed
        away = float(np.linalg.norm(environment[self.object] - state[self.tool]))
        return low <= state[self.gripper] <= high and away <= self.within


@dataclass(frozen=True, slots=True)
class Held:
    """Names of the dimensions that say what can be held and when it is held.

    Attributes:
        object: Environment dimensions of the object's position.
        tool: State dimensions of the tool's position, in the same order.
        gripper: State dimension of the gripper's reading.
        closed: Lowest and highest reading of the gripper at which it may hold something.
        within: Largest distance from tool to object, in their unit, at which the object is held.

    Raises ConfigError if the names do not pair, or a range is empty.
    """

    object: Sequence[str]
    tool: Sequence[str]
    gripper: str
    closed: tuple[float, float]
    within: float

    def __post_init__(self) -> None:
        if not self.object or len(self.object) != len(self.tool):
            raise ConfigError(
                f"roller.object names {counted(len(self.object), 'dimension')} and roller.tool {len(self.tool)}; name "
                "as many of each, in the same order, such as roller.object=[obj_x,obj_y] roller.tool=[x,y]"
            )
        for option, names in (("object", self.object), ("tool", self.tool)):
            if twice := sorted({name for name in names if list(names).count(name) > 1}):
                raise ConfigError(
                    f"roller.{option} names {', '.join(twice)} twice; name each dimension of the position once, such "
                    "as roller.object=[obj_x,obj_y] roller.tool=[x,y]"
                )
        if not self.closed[0] <= self.closed[1]:
            raise ConfigError(
                f"roller.closed is from {self.closed[0]} to {self.closed[1]}; give the least and then the largest "
                "reading of the gripper at which it may hold something, such as [0.0, 0.042]"
            )
        if not self.within > 0:
            raise ConfigError(f"roller.within is {self.within}; give a positive distance from the tool to the object")


def attached(spec: RobotSpec, robot: StateRoller, held: Held) -> Attached:
    """Builds an `Attached` roller for a robot of `spec` whose state the roller `robot` rolls.

    Raises ConfigError if the robot has no dimension of a name, or sees nothing of the scene as numbers.
    """
    if not spec.environment:
        raise ConfigError(
            f"roller=attached moves {', '.join(held.object)} with the tool, and the robot sees no numbers of the "
            "scene; use roller=robot"
        )
    return Attached(
        robot,
        tool=_indices("state dimension", held.tool, spec.state),
        object=_indices("environment dimension", held.object, spec.environment),
        gripper=int(_indices("state dimension", [held.gripper], spec.state)[0]),
        closed=held.closed,
        within=held.within,
    )


def _indices(what: str, wanted: Sequence[str], dims: Sequence[Dim]) -> Indices:
    known = names_of(dims)
    for name in wanted:
        if name not in known:
            raise unknown_name(what, name, known)
    return np.array([known.index(name) for name in wanted], np.intp)

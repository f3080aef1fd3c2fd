"""Rollers by name: models that predict the state of robot and scene at the switch to the next plan.

    robot        the task's own model of its robot; for a real robot, or a task without such a model, a roller for the
                 kinds of the robot's actions
    scene        as robot, and the task's model of the moving scene; for a real robot, everything whose rate is in the
                 environment goes on at that rate
    told         a roller for the kinds of the robot's actions, even in a task: for position targets, the last target
    attached     as robot, and an object that the gripper holds moves with it
    identified   a model with the lags that `rollahead identify` has found
    none         nothing is rolled

Other packages register theirs as entry points in the group `rollahead.rollers`: a function that takes the `Scene` and
options, and returns a `StateRoller`, or `Rollers`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rollahead.blame import blamed
from rollahead.errors import ConfigError
from rollahead.runtime.analysis.identify import read_lags, roller_of
from rollahead.runtime.config.extensions import load
from rollahead.runtime.rolling.attached import Held, attached
from rollahead.runtime.rolling.roll import Rollers, SceneRoller, StateRoller, for_spec, still
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import Kind, RobotSpec, mask, names_of

if TYPE_CHECKING:
    from rollahead.sim.task import Task

GROUP = "rollahead.rollers"
LEFT_BEHIND = (
    "the robot has a gripper, and what it holds is seen where it was, behind a robot that is rolled ahead: use "
    "roller=attached where the object's position is a number of the scene, or compare with strategy=naive"
)


@dataclass(frozen=True, slots=True)
class Scene:
    """The robot and the task that planners and rollers are made for; `task` is None for a real robot."""

    spec: RobotSpec
    task: "Task | None" = None


def make_rollers(config: Mapping[str, Any], scene: Scene) -> Rollers:
    """Makes the rollers that `config`, a `name` and options, names.

    Raises: ConfigError, if there is no such roller, or it does not fit this robot.
    """
    options = dict(config)
    name = options.pop("name", None)
    make = load(GROUP, "roller", name, "add what its package needs", ROLLERS)
    with blamed(f"roller {name!r}", make):
        made: Rollers | StateRoller = call(make, options, "roller", scene=scene)
    if not (isinstance(made, Rollers) or callable(made)):
        raise ConfigError(
            f"roller {name!r} is made as {type(made).__name__}; give a function (state, rows) -> state, or Rollers"
        )
    return made if isinstance(made, Rollers) else Rollers(made)


def leaves_behind(scene: Scene, roller: Mapping[str, Any]) -> bool:
    """Whether `roller`, a `name` and options, probably rolls the robot ahead but not the object that it holds.

    It does if the robot has a gripper and velocity or delta actions, and nothing rolls the scene.
    """
    action = scene.spec.action
    moves = bool(mask(action, Kind.VELOCITY, Kind.DELTA).any())
    grips = any("gripper" in dim.name.lower() for dim in action)
    return moves and grips and make_rollers(roller, scene).scene is None


def check_offset_state(offset_state: str, roller: Mapping[str, Any], scene: Scene) -> None:
    """Checks that `roller`, a `name` and options, gives a policy the kind of state that it was trained on.

    A roller that another package registered is not checked.

    Args:
        offset_state: Kind of state in the policy's training, see `Trained.offset_state`.
        roller: `name` and options of the roller.
        scene: Robot and task.

    Raises: ConfigError, if the policy was trained on commanded positions, and is given predicted ones.
    """
    name = roller.get("name")
    identified = name == "identified" or roller.get("path") is not None
    reached = ("told",) if _has_model(scene) or identified else ("told", "robot", "scene", "attached")
    if offset_state == "told" and name in ROLLERS and name not in reached:
        given = "is" if name == "none" else "will be"
        raise ConfigError(
            f"with offset_state=told a policy learns from a robot that is where it was told to be, and roller={name} "
            f"gives it where the robot {given}; use roller=told"
        )


def going_on(spec: RobotSpec) -> SceneRoller:
    """The roller of a scene in which every dimension with a rate (`Dim.rate_of`) goes on at the rate last seen.

    Raises: ConfigError, if no dimension has a rate.
    """
    names = names_of(spec.environment)
    pairs = [(names.index(dim.rate_of), i) for i, dim in enumerate(spec.environment) if dim.rate_of is not None]
    if not pairs:
        raise ConfigError(
            f"roller=scene needs to know how fast things move, and of {', '.join(names) or 'the scene'} nothing is a "
            "rate; name what it is the rate of in the environment's `rate_of`, or use roller=robot"
        )
    moved, rates = (np.array(indices, np.intp) for indices in zip(*pairs, strict=True))

    def roll(environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
        rolled = environment.copy()
        rolled[moved] += environment[rates] * spec.period_s * len(rows)
        return rolled

    return roll


def _robot(scene: Scene) -> StateRoller:
    if scene.task is None or not _has_model(scene):
        return for_spec(scene.spec)
    from rollahead.sim.task_calls import robot_roller_of

    return robot_roller_of(scene.task)


def _has_model(scene: Scene) -> bool:
    """Whether `scene` has a task with a model of its robot."""
    if scene.task is None:
        return False
    from rollahead.sim.task import has_robot_model

    return has_robot_model(scene.task)


def _told(scene: Scene) -> StateRoller:
    return for_spec(scene.spec)


def _with_scene(scene: Scene) -> Rollers:
    return Rollers(_robot(scene), _moving(scene))


def _moving(scene: Scene) -> SceneRoller:
    if scene.task is None:
        return going_on(scene.spec)
    from rollahead.sim.task import MovingScene
    from rollahead.sim.task_calls import scene_roller_of

    return scene_roller_of(scene.task) if isinstance(scene.task, MovingScene) else going_on(scene.spec)


def _attached(
    scene: Scene,
    object: Sequence[str],
    tool: Sequence[str],
    gripper: str,
    closed: tuple[float, float],
    within: float,
    path: str | None = None,
) -> Rollers:
    robot = _robot(scene) if path is None else _identified(scene, path)
    return Rollers(robot, attached(scene.spec, robot, Held(object, tool, gripper, closed, within)))


def _identified(scene: Scene, path: str) -> StateRoller:
    return roller_of(scene.spec, read_lags(path, scene.spec))


def _none(scene: Scene) -> StateRoller:
    return still


ROLLERS: Mapping[str, Callable[..., Rollers | StateRoller]] = {
    "robot": _robot,
    "scene": _with_scene,
    "told": _told,
    "attached": _attached,
    "identified": _identified,
    "none": _none,
}

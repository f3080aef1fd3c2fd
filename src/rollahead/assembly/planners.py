"""Planners by name, for a robot and, where it is simulated, the task that it is in.

scripted   the task's expert, as a perfect chunk predictor
sine       every joint on a slow sine about where it was: to see a robot move before it is given a policy
policy     a trained one, from its checkpoint

Other packages register theirs as entry points in the group `rollahead.planners`: a function that takes the `Brief` and
options, and gives a `Planning`, a `Planner` with a `horizon`, or a function from an `Observation` to rows (H, A).
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rollahead.assembly.rollers import Scene, check_offset_state
from rollahead.assembly.sine import Sine
from rollahead.blame import blamed
from rollahead.errors import ConfigError
from rollahead.runtime.config.build import VLASH, StrategyConfig, features_taken, seeing_head
from rollahead.runtime.config.extensions import load
from rollahead.runtime.drivers.encoder_worker import ImageEncoder
from rollahead.runtime.planning.planner import Plan, Planner, ScriptedPlanner
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.rolling.binding import bind
from rollahead.runtime.rolling.roll import Rollers, check_lookback
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import RobotSpec, names_of

if TYPE_CHECKING:
    from rollahead.policies.checkpoints.card import Card
    from rollahead.policies.checkpoints.checkpoint import Checkpoint

Say = Callable[[str], object]
Function = Callable[[Observation], FloatArray | None]

GROUP = "rollahead.planners"
MOST_ROWS = 10_000  # of a chunk
EXPERT = "scripted"  # the planner that is a task's expert
POLICY = "policy"  # the planner that is a trained policy
AUTO: Mapping[str, Any] = {"name": "auto"}  # the sampler that the policy is best served by


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """The episodes that a policy has learned from. task: its name; start, stop: their seeds, `stop` not included."""

    task: str
    start: int
    stop: int

    def check(self, task: str, seed: int, episodes: int) -> None:
        """Raises: ConfigError, if one of so many episodes of `task`, from `seed` on, was demonstrated."""
        if task == self.task and seed < self.stop and seed + episodes > self.start:
            raise ConfigError(
                f"the policy has learned from the episodes of {task} with the seeds {self.start} to {self.stop - 1}, "
                f"and seed={seed} with episodes={episodes} plays some of them again; give seed={self.stop} or more"
            )


@dataclass(frozen=True, slots=True)
class Planning:
    """A planner and what it needs. horizon: H, policy rows per chunk; n_obs: observations per request; cameras: names,
    in the robot's spec, of the cameras whose images it needs; demonstrated: None if it has learned from no episodes, or
    nothing says from which; offset_state: of a policy's training (`Trained.offset_state`)."""

    planner: Planner
    horizon: int
    n_obs: int = 1
    cameras: tuple[str, ...] = ()
    demonstrated: Demonstrated | None = None
    offset_state: str = "recorded"

    def check_seeds(self, task: str, seed: int, episodes: int) -> None:
        """Raises: ConfigError, if one of so many episodes of `task`, from `seed` on, was demonstrated to the planner's
        policy."""
        if self.demonstrated is not None:
            self.demonstrated.check(task, seed, episodes)

    def check_roller(self, roller: Mapping[str, Any], scene: Scene, strategy: StrategyConfig) -> None:
        """Raises: ConfigError, if `strategy` rolls, and `roller`, a `name` and options, gives the planner's policy a
        state of a kind that it was not trained on."""
        if strategy.name == "vlash":
            check_offset_state(self.offset_state, roller, scene)


@dataclass(frozen=True, slots=True)
class Brief:
    """What a planner is made for. sampler: a `name` and options, for planners that have one; strategy: what its rows
    are for; say: takes a line for the user, found when it plans for the first time."""

    scene: Scene
    rollers: Rollers
    sampler: Mapping[str, Any]
    strategy: StrategyConfig
    say: Say = lambda line: None


def make_planning(
    config: Mapping[str, Any],
    scene: Scene,
    rollers: Rollers,
    strategy: StrategyConfig = VLASH,
    sampler: Mapping[str, Any] = AUTO,
    say: Say = lambda line: None,
) -> Planning:
    """The planner of `config`, a `name` and options. strategy: what its rows are for; say: as of `Brief`.

    Raises: ConfigError, if there is none such, or not for this scene, or its chunks are too short for the roller.
    """
    options = dict(config)
    name = options.pop("name", None)
    make = load(GROUP, "planner", name, "add what its package needs", PLANNERS)
    brief = Brief(scene, rollers, sampler, strategy, say)
    with nullcontext() if name in PLANNERS else blamed(f"planner {name!r}", make):
        made = call(make, options, "planner", brief=brief)
    return planning_from(made, brief, f"planner {name!r}")


def planning_from(given: object, brief: Brief, what: str = "the planner") -> Planning:
    """Returns the planning of what a user gives: a `Planning`, a `Planner` with a `horizon`, or a function from an
    `Observation` to rows (H, A) in robot units, or to None for no answer. what: its name in errors.

    A function is called once with a blank observation, for its H. Raises: ConfigError, if it is none of these, or does
    not go with `brief`.
    """
    if isinstance(given, Planning):
        planning = given
    elif hasattr(given, "infer"):
        planning = Planning(given, _horizon_of(given, what))
    elif callable(given):
        planning = _of_function(given, brief, what)
    else:
        raise ConfigError(
            f"{what} is made as {type(given).__name__}; make it a Planning, a Planner, or a function from an "
            "observation to rows (H, A)"
        )
    check_lookback(brief.rollers.state, planning.horizon // max(brief.strategy.q, 1))
    return planning


def _horizon_of(planner: object, what: str) -> int:
    horizon = getattr(planner, "horizon", None)
    if not isinstance(horizon, int):
        raise ConfigError(
            f"{what} is made as {type(planner).__name__}, whose horizon is {horizon!r}; give it a horizon, the rows of "
            "a chunk, or make it a Planning, which has one"
        )
    return horizon


class FunctionPlanner:
    """Planner that calls `function` with the bound observation: rows (H, A), or None for no answer this time."""

    def __init__(self, function: Function, rollers: Rollers) -> None:
        self._function = function
        self._rollers = rollers

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result | None:
        """Binds the newest state, and calls the function. Phase: hot, in the worker."""
        seen = bind(request, newest(), self._rollers.state, self._rollers.scene)[-1]
        rows = self._function(seen)
        return None if rows is None else Result(request, frozen(rows), seen.state_tick, seen.state, cost=0.0)


def _of_function(function: Function, brief: Brief, what: str) -> Planning:
    _check_plain(brief)
    with blamed(what, function):
        rows = function(blank(brief.scene.spec))
    shape = np.shape(rows)  # type: ignore[arg-type]
    if len(shape) != 2 or shape[1] != len(brief.scene.spec.action):
        raise ConfigError(
            f"{what} gives {'no rows' if rows is None else f'rows of shape {shape}'} for a blank observation; make it "
            f"give (H, {len(brief.scene.spec.action)}), an action of the robot per tick"
        )
    return Planning(FunctionPlanner(function, brief.rollers), _checked(shape[0]))


def blank(spec: RobotSpec) -> Observation:
    """An observation of tick 0 with black images, and with zeros for all numbers, or the nearest value in range."""
    state, environment = (
        frozen([min(max(0.0, dim.low), dim.high) for dim in dims]) for dims in (spec.state, spec.environment)
    )
    images = {camera.name: np.zeros((camera.height, camera.width, 3), np.uint8) for camera in spec.cameras}
    return Observation(0, state, environment, images, dict.fromkeys(images, 0))


def _scripted(brief: Brief, horizon: int) -> Planning:
    task = brief.scene.task
    if task is None:
        raise ConfigError("planner=scripted is a task's expert, and there is no task; use robot=sim, or planner=sine")
    from rollahead.sim.task_calls import expert_of

    return _planning(expert_of(task, _checked(horizon)), brief, horizon)


def _sine(brief: Brief, horizon: int, share: float, period_s: float) -> Planning:
    return _planning(Sine(brief.scene.spec, _checked(horizon), share, period_s), brief, horizon)


def _planning(plan: Plan, brief: Brief, horizon: int) -> Planning:
    _check_plain(brief)
    return Planning(ScriptedPlanner(plan, brief.rollers.state, brief.rollers.scene), horizon)


def _check_plain(brief: Brief) -> None:
    """Raises: ConfigError, if the sampler, the strategy or the corrector of `brief` needs a policy."""
    if brief.sampler != AUTO:
        raise ConfigError(f"sampler={brief.sampler.get('name')} needs a policy that denoises; use planner=policy")
    if brief.strategy.steers:
        what = "strategy.guidance=true" if brief.strategy.guidance else f"strategy={brief.strategy.name}"
        raise ConfigError(f"{what} steers a policy that denoises; use planner=policy, or strategy=vlash alone")
    if taken := features_taken(brief.strategy):
        raise ConfigError(
            f"the corrector takes {taken} features of its base policy, and this planner is none; use planner=policy"
        )


@dataclass(frozen=True, slots=True)
class Source:
    """Where a policy is read from, as options of `planner=policy` say it (configs/planner/policy.yaml)."""

    checkpoint: str
    dataset: str | None = None
    trust_order: bool = False

    def read(self, robot: RobotSpec) -> "Checkpoint":
        """The checkpoint, without its weights, for `robot`. Raises: ConfigError, if it cannot be read."""
        from rollahead.policies.checkpoints.checkpoint import read_checkpoint
        from rollahead.policies.checkpoints.shipped import find

        folder = find(self.checkpoint)
        return read_checkpoint(folder, dataset=self.dataset, robot=robot, trust_order=self.trust_order)


def opened(config: Mapping[str, Any], robot: RobotSpec) -> "Checkpoint | None":
    """The checkpoint of the planner in `config`, a `name` and options, for `robot`, without its weights; None for other
    planners. Raises: ConfigError, if it cannot be read."""
    if config.get("name") != POLICY:
        return None
    options = {field.name: config[field.name] for field in fields(Source) if field.name in config}
    return call(Source, options, "planner").read(robot)


def _policy(
    brief: Brief,
    checkpoint: str,
    dataset: str | None = None,
    rename: Any = None,
    deadline_aware: bool = False,
    snap: bool = False,
    trust_order: bool = False,
    device: str | None = None,
) -> Planning:
    import torch

    from rollahead.policies.checkpoints.card import read_card
    from rollahead.policies.device import device_of
    from rollahead.policies.local import local_planner

    given = _names({} if rename is None else rename)
    robot, own, on = brief.scene.spec, brief.strategy, torch.device(device_of(device))
    source = Source(checkpoint, dataset, trust_order)
    read = source.read(robot)
    _check_pictures(read.camera_sizes, brief)
    policy = read.policy(on)
    weak = None if own.weak is None else replace(source, checkpoint=own.weak).read(robot).policy(on)
    names = {**_renamed_cameras(read, robot), **given}
    planner = local_planner(
        policy,
        brief.sampler,
        robot,
        brief.rollers,
        names,
        read.camera_sizes,
        own,
        deadline_aware=deadline_aware,
        snap=snap,
        weak=weak,
        look=partial(_look, read, brief.say),
    )
    cameras = tuple(names.get(camera, camera) for camera in policy.spec.cameras)
    return Planning(
        planner,
        policy.spec.horizon,
        policy.spec.n_obs,
        cameras,
        _demonstrated(read_card(read.folder)),
        policy.trained.offset_state,
    )


def _check_pictures(cameras: Iterable[str], brief: Brief) -> None:
    """Raises: ConfigError, if the policy sees images and the simulated task has no camera."""
    if cameras and brief.scene.task is not None and not brief.scene.spec.cameras:
        raise ConfigError(
            f"the policy sees images of {', '.join(cameras)}, and this task has no cameras; drive a robot that "
            "has them, as with rollahead run robot=lerobot robot.type=..., or use a policy without images"
        )


def _renamed_cameras(checkpoint: "Checkpoint", robot: RobotSpec) -> Mapping[str, str]:
    """The robot's camera for each of the policy's that LeRobot's training renamed: the one that the data set called so,
    unless the robot has none of that name but one of the policy's."""
    there = names_of(robot.cameras)
    return {own: theirs for own, theirs in checkpoint.rename.items() if theirs in there or own not in there}


def _look(checkpoint: "Checkpoint", say: Say, state: FloatArray) -> None:
    """Says what of the first `state` is unlike those that the policy was trained on."""
    from rollahead.policies.checkpoints.first_look import unlike

    if line := unlike(checkpoint.state_statistics(), checkpoint.card.state, state):
        say(line)


def _demonstrated(card: "Card | None") -> Demonstrated | None:
    if card is None or card.demonstrated is None:
        return None
    return Demonstrated(str(card.task.get("name")), *card.demonstrated)


def make_image_encoder(strategy: StrategyConfig) -> ImageEncoder | None:
    """The eye of the head that amends each row, if it sees images. Raises: ConfigError, if its file is damaged."""
    if strategy.corrector is None or seeing_head(strategy) is None:
        return None
    from rollahead.policies.correctors.image_encoder import read_image_encoder

    return read_image_encoder(strategy.corrector)


def _names(rename: Any) -> Mapping[str, str]:
    if isinstance(rename, Mapping) and all(isinstance(name, str) for pair in rename.items() for name in pair):
        return rename
    raise ConfigError(f"planner.rename is {rename!r}; give {{the policy's name: the robot's}}")


def _checked(horizon: int) -> int:
    if not 1 <= horizon <= MOST_ROWS:
        raise ConfigError(f"planner.horizon is {horizon}; give from 1 to {MOST_ROWS} rows")
    return horizon


PLANNERS: Mapping[str, Callable[..., Planning]] = {EXPERT: _scripted, "sine": _sine, POLICY: _policy}

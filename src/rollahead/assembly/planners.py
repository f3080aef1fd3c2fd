"""Planners by name, for a robot and, if it is simulated, its task.

scripted   the task's expert, as a perfect chunk predictor
sine       every joint on a slow sine about its first position: to see a robot move before it is given a policy
policy     a trained policy, from its checkpoint

Other packages register theirs as entry points in the group `rollahead.planners`: a function that takes the `Brief` and
options, and returns a `Planning`, a `Planner` with a `horizon`, or a function from an `Observation` to rows (H, A).
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rollahead.assembly.planning import AUTO, Brief, Planning, Say, check_horizon, check_plain, planning_from
from rollahead.assembly.rollers import Scene
from rollahead.assembly.sine import Sine
from rollahead.assembly.trained import Source, read_policy
from rollahead.blame import blamed
from rollahead.errors import ConfigError
from rollahead.runtime.config.build import VLASH, StrategyConfig, seeing_head
from rollahead.runtime.config.extensions import load
from rollahead.runtime.drivers.encoder_worker import ImageEncoder
from rollahead.runtime.planning.planner import Plan, ScriptedPlanner
from rollahead.runtime.rolling.roll import Rollers
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import RobotSpec

if TYPE_CHECKING:
    from rollahead.policies.checkpoints.checkpoint import Checkpoint


GROUP = "rollahead.planners"
EXPERT = "scripted"  # the planner that is a task's expert
POLICY = "policy"  # the planner that is a trained policy


def make_planning(
    config: Mapping[str, Any],
    scene: Scene,
    rollers: Rollers,
    strategy: StrategyConfig = VLASH,
    sampler: Mapping[str, Any] = AUTO,
    say: Say = lambda line: None,
) -> Planning:
    """Makes the planner that `config` names.

    Args:
        config: `name` and options of the planner.
        scene: Robot and task.
        rollers: Rollers of state and scene.
        strategy: Strategy that executes the planner's chunks.
        sampler: `name` and options of the sampler, for planners that have one.
        say: Called with a line for the user, see `Brief`.

    Raises: ConfigError, if there is no such planner, it does not fit the scene, or its chunks are too short for the
    roller.
    """
    options = dict(config)
    name = options.pop("name", None)
    make = load(GROUP, "planner", name, "add what its package needs", PLANNERS)
    brief = Brief(scene, rollers, sampler, strategy, say)
    with nullcontext() if name in PLANNERS else blamed(f"planner {name!r}", make):
        made = call(make, options, "planner", brief=brief)
    return planning_from(made, brief, f"planner {name!r}")


def _scripted(brief: Brief, horizon: int) -> Planning:
    task = brief.scene.task
    if task is None:
        raise ConfigError("planner=scripted is a task's expert, and there is no task; use robot=sim, or planner=sine")
    from rollahead.sim.task import has_expert
    from rollahead.sim.task_calls import expert_of, lacking

    if not has_expert(task):
        remedy = "use planner=policy or planner=sine, or add expert(horizon) to the task (docs/tasks.md)"
        raise lacking("planner=scripted", "an expert", task, remedy)
    return _planning(expert_of(task, check_horizon(horizon)), brief, horizon)


def _sine(brief: Brief, horizon: int, share: float, period_s: float) -> Planning:
    return _planning(Sine(brief.scene.spec, check_horizon(horizon), share, period_s), brief, horizon)


def _planning(plan: Plan, brief: Brief, horizon: int) -> Planning:
    check_plain(brief)
    return Planning(ScriptedPlanner(plan, brief.rollers.state, brief.rollers.scene), horizon)


def opened(config: Mapping[str, Any], robot: RobotSpec) -> "Checkpoint | None":
    """The checkpoint of a planner that is a trained policy, without its weights; None for other planners.

    Args:
        config: `name` and options of the planner.
        robot: Spec of the robot.

    Raises: ConfigError, if the checkpoint cannot be read.
    """
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
    names = _names({} if rename is None else rename)
    loaded = read_policy(Source(checkpoint, dataset, trust_order), brief.scene.spec, device)
    return loaded.planning(brief, names, deadline_aware=deadline_aware, snap=snap)


def _names(rename: Any) -> Mapping[str, str]:
    if isinstance(rename, Mapping) and all(isinstance(name, str) for pair in rename.items() for name in pair):
        return rename
    raise ConfigError(f"planner.rename is {rename!r}; give {{the policy's name: the robot's}}")


def make_image_encoder(strategy: StrategyConfig) -> ImageEncoder | None:
    """The image encoder of the corrector network; None if the network uses no images.

    Raises: ConfigError, if its file is damaged.
    """
    if strategy.corrector.path is None or seeing_head(strategy) is None:
        return None
    from rollahead.policies.correctors.image_encoder import read_image_encoder

    return read_image_encoder(strategy.corrector.path)


PLANNERS: Mapping[str, Callable[..., Planning]] = {EXPERT: _scripted, "sine": _sine, POLICY: _policy}

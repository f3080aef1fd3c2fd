"""A planner with its requirements, made from any of the kinds of planner that a user may give.

Planning                     used unchanged
Planner with a `horizon`     H, the rows per chunk, is its `horizon`
function                     observation -> rows (H, A), or None for no answer this time
LoadedPolicy                 a trained policy, from `load_policy`
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollahead.assembly.rollers import Scene, check_offset_state
from rollahead.blame import blamed
from rollahead.errors import ConfigError
from rollahead.runtime.config.build import StrategyConfig, features_taken
from rollahead.runtime.planning.planner import Planner
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.rolling.binding import bind
from rollahead.runtime.rolling.roll import Rollers, check_lookback
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.spec import RobotSpec

Say = Callable[[str], object]
Function = Callable[[Observation], FloatArray | None]

MOST_ROWS = 10_000  # largest number of rows of a chunk
AUTO: Mapping[str, Any] = {"name": "auto"}  # the sampler that fits the policy best


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """The episodes of a task that a policy was trained on.

    Attributes:
        task: Name of the task.
        start: Seed of the first episode.
        stop: Seed after that of the last episode.
    """

    task: str
    start: int
    stop: int

    def check(self, task: str, seed: int, episodes: int) -> None:
        """Checks that none of `episodes` episodes of `task`, the first with `seed`, is one of these.

        Raises: ConfigError, if one is.
        """
        if task == self.task and seed < self.stop and seed + episodes > self.start:
            raise ConfigError(
                f"the policy has learned from the episodes of {task} with the seeds {self.start} to {self.stop - 1}, "
                f"and seed={seed} with episodes={episodes} plays some of them again; give seed={self.stop} or more"
            )


@dataclass(frozen=True, slots=True)
class Planning:
    """A planner together with its requirements.

    Attributes:
        planner: The planner.
        horizon: H, policy rows per chunk.
        n_obs: Number of observations per request.
        cameras: Names, in the robot's spec, of the cameras whose images it needs, None for all.
        demonstrated: Episodes that its policy was trained on; None if there are none, or they are unknown.
        offset_state: Kind of state in the policy's training, see `Trained.offset_state`.
    """

    planner: Planner
    horizon: int
    n_obs: int = 1
    cameras: tuple[str, ...] | None = ()
    demonstrated: Demonstrated | None = None
    offset_state: str = "recorded"

    def check_seeds(self, task: str, seed: int, episodes: int) -> None:
        """Checks that the planner's policy was trained on none of the episodes, see `Demonstrated.check`.

        Raises: ConfigError, if it was trained on one.
        """
        if self.demonstrated is not None:
            self.demonstrated.check(task, seed, episodes)

    def check_roller(self, roller: Mapping[str, Any], scene: Scene, strategy: StrategyConfig) -> None:
        """Checks that the planner's policy was trained on the kind of state that the roller gives.

        Args:
            roller: `name` and options of the roller.
            scene: Robot and task.
            strategy: Strategy; only `vlash` rolls.

        Raises: ConfigError, if it was not.
        """
        if strategy.name == "vlash":
            check_offset_state(self.offset_state, roller, scene)


@dataclass(frozen=True, slots=True)
class Brief:
    """Robot, task, rollers and strategy that a planner is made for.

    Attributes:
        scene: Robot and task.
        rollers: Rollers of state and scene.
        sampler: `name` and options of the sampler, for planners that have one.
        strategy: Strategy that executes the planner's chunks.
        say: Called with a line for the user, which the planner may have at its first inference.
    """

    scene: Scene
    rollers: Rollers
    sampler: Mapping[str, Any]
    strategy: StrategyConfig
    say: Say = lambda line: None


def planning_from(given: object, brief: Brief, what: str = "the planner") -> Planning:
    """The planning made from a planner of any kind that a user may give.

    Args:
        given: A `Planning`, a `LoadedPolicy`, a `Planner` with a `horizon`, or a function from an `Observation` to rows
            (H, A) in robot units, or to None for no answer. A function is called once with a blank observation, to
            learn its H.
        brief: Robot, task, rollers and strategy.
        what: Name of the planner in error messages.

    Raises: ConfigError, if `given` is none of these, or does not fit `brief`.
    """
    if isinstance(given, Planning):
        planning = given
    elif hasattr(given, "planning"):
        planning = given.planning(brief)
    elif hasattr(given, "infer"):
        planning = Planning(given, _horizon_of(given, what), cameras=None)
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
        """Binds the newest state and calls the function. Phase: hot, in the worker."""
        seen = bind(request, newest(), self._rollers.state, self._rollers.scene)[-1]
        rows = self._function(seen)
        return None if rows is None else Result(request, frozen(rows), seen.state_tick, seen.state, cost=0.0)


def _of_function(function: Function, brief: Brief, what: str) -> Planning:
    check_plain(brief)
    with blamed(what, function):
        rows = function(blank(brief.scene.spec))
    shape = np.shape(rows)  # type: ignore[arg-type]
    if len(shape) != 2 or shape[1] != len(brief.scene.spec.action):
        raise ConfigError(
            f"{what} gives {'no rows' if rows is None else f'rows of shape {shape}'} for a blank observation; make it "
            f"give (H, {len(brief.scene.spec.action)}), an action of the robot per tick"
        )
    return Planning(FunctionPlanner(function, brief.rollers), check_horizon(shape[0]), cameras=None)


def blank(spec: RobotSpec) -> Observation:
    """An observation of tick 0 with black images, in which every number is 0 or the value in range nearest to it."""
    state, environment = (
        frozen([min(max(0.0, dim.low), dim.high) for dim in dims]) for dims in (spec.state, spec.environment)
    )
    images = {camera.name: np.zeros((camera.height, camera.width, 3), np.uint8) for camera in spec.cameras}
    return Observation(0, state, environment, images, dict.fromkeys(images, 0), image_stamps=dict.fromkeys(images, 0))


def check_plain(brief: Brief) -> None:
    """Checks that a planner without a policy suffices for `brief`.

    Raises: ConfigError, if the sampler, the strategy or the corrector needs a policy.
    """
    if brief.sampler != AUTO:
        raise ConfigError(f"sampler={brief.sampler.get('name')} needs a policy that denoises; use planner=policy")
    if brief.strategy.steers:
        guided = brief.strategy.guidance.enabled
        what = "strategy.guidance.enabled=true" if guided else f"strategy={brief.strategy.name}"
        raise ConfigError(f"{what} steers a policy that denoises; use planner=policy, or strategy=vlash alone")
    if taken := features_taken(brief.strategy):
        raise ConfigError(
            f"the corrector takes {taken} features of its base policy, and this planner is none; use planner=policy"
        )


def check_horizon(horizon: int) -> int:
    """Checks and returns `horizon`, in rows. Raises: ConfigError, if it is not from 1 to `MOST_ROWS`."""
    if not 1 <= horizon <= MOST_ROWS:
        raise ConfigError(f"planner.horizon is {horizon}; give from 1 to {MOST_ROWS} rows")
    return horizon

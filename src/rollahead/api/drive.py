"""Driving a robot in real time: for some seconds, or as a context manager that takes orders meanwhile."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rollahead.api.options import Options, options_of
from rollahead.assembly.live import RAMP_S, Live
from rollahead.assembly.planners import make_image_encoder, make_planning
from rollahead.assembly.planning import Brief, Function, Planning, planning_from
from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.assembly.trained import LoadedPolicy
from rollahead.errors import ConfigError
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.planner import Planner
from rollahead.runtime.recording.gauges import Gauges
from rollahead.runtime.robots.registry import make_robot
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.robot import Robot

FOLLOW_S = 0.25  # how often the records of a run are read while it goes on


@dataclass(frozen=True, slots=True, eq=False)
class DriveResult:
    """Result of driving a robot in real time: counts of ticks and inferences, and the rate that was kept.

    ticks: all, those of coming to rest included; rate_hz: mean rate, None without two ticks; skipped: ticks whose
    deadline had passed; underruns: ticks in which the robot held because no chunk had an action; inferences: answered
    requests; no_answer: those that the planner had no answer to; delay_p50_ticks: median from request to chunk, None
    without a chunk; figures: all figures of `Gauges`; trace: the newest ticks and inferences.
    """

    ticks: int
    rate_hz: float | None
    skipped: int
    underruns: int
    inferences: int
    no_answer: int
    delay_p50_ticks: float | None
    figures: Mapping[str, Any] = field(repr=False)
    trace: Trace = field(repr=False)


def drive(
    robot: Options | Robot | Callable[[], Robot],
    planner: Options | LoadedPolicy | Planning | Planner | Function,
    strategy: str | StrategyConfig = "vlash",
    *,
    seconds: float | None = None,
    roller: Options = "robot",
    sampler: Options = "auto",
    isolation: str = "thread",
    task_text: str = "",
    guard: GuardConfig | None = None,
    rest_pose: Mapping[str, float] | None = None,
    substeps: int = 1,
    seed: int = 0,
) -> DriveResult:
    """Drives a robot in real time with a planner, brings it to rest, and returns how that went.

    seconds: how long, None until Ctrl-C; the other arguments: as of `realtime`. Ctrl-C brings the robot to rest in any
    case, and is raised where `seconds` are given.

    Raises: ConfigError, if something cannot be, before anything moves; RobotError, InferenceError, if robot or planner
    fail; the robot is at rest by then.
    """
    if seconds is not None and not seconds > 0:
        raise ConfigError(f"seconds is {seconds}; give a positive time, or None to drive until Ctrl-C")
    runtime = realtime(
        robot,
        planner,
        strategy,
        roller=roller,
        sampler=sampler,
        isolation=isolation,
        task_text=task_text,
        guard=guard,
        rest_pose=rest_pose,
        substeps=substeps,
        seed=seed,
    )
    gauges = Gauges(runtime.spec.rate_hz)
    with suppress(*([KeyboardInterrupt] if seconds is None else [])), runtime:
        runtime.start(None if seconds is None else round(seconds * runtime.spec.rate_hz))
        while not runtime.wait(FOLLOW_S):
            gauges.follow(runtime.trace, runtime.start_ns)
    gauges.follow(runtime.trace, runtime.start_ns)
    return _result(gauges.figures(), runtime.trace)


def realtime(
    robot: Options | Robot | Callable[[], Robot],
    planner: Options | LoadedPolicy | Planning | Planner | Function,
    strategy: str | StrategyConfig = "vlash",
    *,
    roller: Options = "robot",
    sampler: Options = "auto",
    isolation: str = "thread",
    task_text: str = "",
    guard: GuardConfig | None = None,
    rest_pose: Mapping[str, float] | None = None,
    substeps: int = 1,
    seed: int = 0,
) -> Realtime:
    """Returns a runtime that drives a robot in real time while its `with` block is open.

    It can be paused, e-stopped, reset and given another task meanwhile.

    robot: a name, a mapping with `name` and options, a `Robot`, or a function that makes one (with
    `isolation="process"` no `Robot`, since it is made in the other process); planner: a name or a mapping, a
    `LoadedPolicy`, a `Planning`, a `Planner` with a `horizon`, or a function from an `Observation` to rows (H, A) in
    robot units; roller, sampler: as on the command line; isolation: `thread`, or `process` for more than 100 setpoints
    per second or beside a planner that keeps Python busy; task_text: what the policy is told to do; guard: None for the
    defaults of a real robot, with a ramp of 1 s; rest_pose: position targets by name, to which the robot is moved
    before it is let go; substeps: setpoints per tick.

    Raises: ConfigError, if something cannot be. Nothing is connected yet.
    """
    make = _maker(robot)
    spec = make().spec
    config = StrategyConfig(strategy) if isinstance(strategy, str) else strategy
    scene = Scene(spec)
    rollers, sampled = make_rollers(options_of("roller", roller), scene), options_of("sampler", sampler)
    if isinstance(planner, str | Mapping):
        planning = make_planning(options_of("planner", planner), scene, rollers, config, sampled)
    else:
        planning = planning_from(planner, Brief(scene, rollers, sampled, config))
    planning.check_roller(options_of("roller", roller), scene, config)
    drive = Drive(
        strategy=config,
        horizon=planning.horizon,
        n_obs=planning.n_obs,
        seed=seed,
        task=task_text,
        guard=GuardConfig(ramp_s=RAMP_S) if guard is None else guard,
        substeps=substeps,
        cameras=planning.cameras,
        rest_pose=rest_pose or {},
    )
    live = Live(drive, planning.planner, isolation=isolation, image_encoder=make_image_encoder(config))
    return live.runtime(make, seed)


def _maker(robot: Any) -> Callable[[], Robot]:
    """Returns a function that makes the robot. Raises: ConfigError, if it is none, and no function."""
    if isinstance(robot, str | Mapping):
        return partial(make_robot, **options_of("robot", robot))
    if hasattr(robot, "connect") and not isinstance(robot, type):
        return _Same(robot)
    if callable(robot):
        make: Callable[[], Robot] = robot
        return make
    raise ConfigError(
        f"robot is {type(robot).__name__}; give a name, a mapping with name and options, a Robot, or a function that "
        "makes one"
    )


@dataclass(frozen=True, slots=True)
class _Same:
    """Function that returns the same robot at every call."""

    robot: Robot

    def __call__(self) -> Robot:
        return self.robot


def _result(figures: Mapping[str, Any], trace: Trace) -> DriveResult:
    counts = {name: figures[name] for name in ("ticks", "rate_hz", "skipped", "underruns", "inferences", "no_answer")}
    return DriveResult(**counts, delay_p50_ticks=figures["delay_ticks"]["p50"], figures=figures, trace=trace)

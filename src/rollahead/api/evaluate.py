"""Measuring a strategy on a task at a latency, in simulated time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rollahead.api.options import Options, options_of
from rollahead.assembly.planners import EXPERT
from rollahead.assembly.planning import Brief, Function, Planning, planning_from
from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.assembly.trained import LoadedPolicy
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, Episode, Stage, evaluate_all, summarise
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.latency import LONGEST_S, round_up
from rollahead.runtime.planning.planner import Planner
from rollahead.sim.task import Task, make_task


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of evaluating a strategy on a task: success with its interval, reaction times, idle share.

    success, idle: shares from 0 to 1; success_interval: Wilson 95 % interval of `success`; time_s: mean time from the
    event to the end over the episodes that succeeded, NaN if none did; reaction_p50_s, reaction_p95_s: quantiles of the
    time from the event to the first action that shows it, infinite if there was none, None if it was not measured;
    figures: all figures of `summary.json`, shares there in percent.
    """

    episodes: int
    success: float
    success_interval: tuple[float, float]
    time_s: float
    reaction_p50_s: float | None
    reaction_p95_s: float | None
    idle: float
    figures: Mapping[str, Any] = field(repr=False)


def evaluate(
    task: Options | Task,
    strategy: str | StrategyConfig = "vlash",
    *,
    latency: float | Options = 0.0,
    planner: Options | LoadedPolicy | Planning | Planner | Function = EXPERT,
    roller: Options = "robot",
    sampler: Options = "auto",
    episodes: int = 100,
    seed: int = 0,
    reactions: bool = True,
    workers: int = 1,
) -> Evaluation:
    """Measures a strategy on a task at a latency, in simulated time.

    task, planner, roller, sampler: a name, or a mapping with `name` and options, as on the command line; a task may be
    an object too, and a planner a `LoadedPolicy`, a `Planning`, a `Planner` with a `horizon`, or a function from an
    `Observation` to rows (H, A) in robot units; latency: seconds that every inference takes, rounded up to ticks, or a
    latency model by name and options; seed: of the first episode, the same episode for every strategy; reactions:
    whether each episode is played a second time without its event; workers: processes, more than 1 only where task and
    planner are given by name.

    Raises: ConfigError, if something cannot be.
    """
    by_name = options_of("task", task) if isinstance(task, str | Mapping) else {"name": type(task).__name__}
    made = make_task(**by_name) if isinstance(task, str | Mapping) else task
    cell = Cell(
        task=by_name,
        strategy=StrategyConfig(strategy) if isinstance(strategy, str) else strategy,
        latency=_latency(latency, made.spec.rate_hz),
        planner=_planner(planner, by_name["name"]),
        roller=options_of("roller", roller),
        sampler=options_of("sampler", sampler),
        episodes=episodes,
        seed=seed,
        reactions=reactions,
    )
    named = isinstance(task, str | Mapping) and isinstance(planner, str | Mapping)
    if named:
        return _summed_up(next(evaluate_all([cell], workers=workers)))
    if workers > 1:
        raise ConfigError(
            f"workers is {workers}, and a task or a planner that is an object cannot be sent to another process; give "
            "workers=1, or register it as an entry point and give its name"
        )
    return _summed_up(_here(cell, made, planner))


def _here(cell: Cell, task: Task, planner: object) -> Sequence[Episode]:
    """Plays the episodes of `cell` in this process, with objects that have no name."""
    planning = None
    if not isinstance(planner, str | Mapping):
        scene = Scene(task.spec, task)
        brief = Brief(scene, make_rollers(cell.roller, scene), cell.sampler, cell.strategy)
        planning = planning_from(planner, brief)
    stage = Stage(cell, task, planning)
    stage.check(cell)
    stage.check_task(cell)
    return [stage.measure(cell, seed) for seed in range(cell.seed, cell.seed + cell.episodes)]


def _summed_up(episodes: Sequence[Episode]) -> Evaluation:
    figures = summarise(episodes)
    reaction, (low, high) = figures["reaction_s"], figures["success_ci"]
    return Evaluation(
        episodes=len(episodes),
        success=figures["success"] / 100,
        success_interval=(low / 100, high / 100),
        time_s=figures["time_s"],
        reaction_p50_s=None if reaction is None else reaction["p50"],
        reaction_p95_s=None if reaction is None else reaction["p95"],
        idle=figures["idle"] / 100,
        figures=figures,
    )


def _planner(planner: object, task: str) -> Mapping[str, Any]:
    """The planner as a cell has it: by name and options, or the name of its class or function."""
    if isinstance(planner, str | Mapping):
        return options_of("planner", planner, task)
    return {"name": getattr(planner, "__name__", type(planner).__name__)}


def _latency(latency: float | Options, rate_hz: float) -> Mapping[str, Any]:
    """The latency as a cell has it. Raises: ConfigError, if it is no time that an inference takes."""
    if isinstance(latency, str | Mapping):
        return options_of("latency", latency)
    if not 0.0 <= latency <= LONGEST_S or not math.isfinite(latency):
        raise ConfigError(
            f"latency is {latency} s; give from 0 to {LONGEST_S:g} seconds, as latency=0.16 for 160 ms, or a model, "
            'as {"name": "fixed", "ticks": 8}'
        )
    return {"name": "fixed", "ticks": round_up(latency * rate_hz)}

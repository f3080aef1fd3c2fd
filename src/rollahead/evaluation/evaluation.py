"""Evaluation: many episodes of a task under one strategy and one latency, in lockstep.

A `Cell` describes the episodes in plain values, so that it can be sent to another process. `evaluate` plays them and
`summarise` computes their figures. Episode i has the same seed in every cell, so that cells can be compared in pairs.
"""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

import numpy as np

from rollahead.assembly.planners import EXPERT, make_planning
from rollahead.assembly.planning import AUTO, Planning
from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.errors import ConfigError
from rollahead.evaluation import metrics
from rollahead.runtime.config.build import (
    Drive,
    StrategyConfig,
    features_taken,
    make_corrector,
    make_delay,
    make_executor,
    make_latency,
    make_strategy,
)
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.robots.spec_limits import Limits, limited
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.seeds import MOST_SEED
from rollahead.runtime.types.spec import RobotSpec
from rollahead.sim.pool import processes
from rollahead.sim.robot import SimRobot
from rollahead.sim.task import Task, begin, event_tick_of, has_event, has_expert, make_task
from rollahead.sim.task_calls import expert_of
from rollahead.sim.task_check import check_rollers, check_task

STAGES = 4  # number of stages that a process of a pool keeps


@dataclass(frozen=True, slots=True)
class Cell:
    """Episodes of one task under one strategy and one latency.

    Attributes:
        task: `name` and options of the task.
        strategy: The strategy.
        latency: `name` and options of the latency.
        planner: `name` and options of the planner.
        roller: `name` and options of the roller.
        sampler: `name` and options of the sampler.
        episodes: Number of episodes.
        seed: Seed of the first episode.
        reactions: Whether each episode of a task with an event and an expert is played a second time, without the
            event, to measure the reaction latency.
        traces: Number of episodes, from the first on, whose traces are kept.
        lag: Age in ticks of the robot's readings.
        limits: Limits on how fast the robot's actions may change, see `spec_limits`.
        guard: Settings of the guard, which enforces the limits.
    """

    task: Mapping[str, Any]
    strategy: StrategyConfig
    latency: Mapping[str, Any]
    planner: Mapping[str, Any] = field(default_factory=lambda: {"name": "scripted", "horizon": 32})
    roller: Mapping[str, Any] = field(default_factory=lambda: {"name": "robot"})
    sampler: Mapping[str, Any] = field(default_factory=lambda: AUTO)
    episodes: int = 200
    seed: int = 0
    reactions: bool = True
    traces: int = 0
    lag: int = 0
    limits: Limits = field(default_factory=dict)
    guard: GuardConfig = field(default_factory=GuardConfig)

    def __post_init__(self) -> None:
        if self.episodes > MOST_SEED:
            raise ConfigError(f"episodes is {self.episodes}; give at most {MOST_SEED}, as many as there are seeds")
        if self.episodes < 1 or not 0 <= self.seed <= MOST_SEED - self.episodes:
            raise ConfigError(
                f"episodes is {self.episodes} and seed {self.seed}; give at least 1, and a seed from 0 to "
                f"{MOST_SEED - self.episodes}"
            )
        if not 0 <= self.lag <= self.guard.stale_ticks:
            raise ConfigError(
                f"lag is {self.lag}; give from 0 to {self.guard.stale_ticks} ticks: what is older counts as stale "
                "(guard.stale_ticks)"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """Metrics of one episode, from its event, or from its start if there is none, to its end.

    Attributes:
        seed: Seed of the episode.
        success: Whether it succeeded.
        event_tick: Tick of the event; None for a task without an event.
        time_s: Duration in seconds.
        reaction_s: Reaction latency in seconds; infinite if there was no reaction, None if none is measured.
        jerk: Jerk of the actions, see `metrics.jerk`.
        idle: Share of the ticks in which a hold was sent for want of an action.
        guard_hits: Share of the ticks in which the guard changed the action.
        calls_per_s: Network calls per second, over the whole episode.
        ages: Ages of the actions sent, in ticks.
        switch_steps: Change of the action in one tick at each switch of chunks, in `action_unit`.
        other_steps: Change of the action in one tick within chunks, in `action_unit`.
        action_unit: Unit of these changes.
        lost: Number of rows that came too late, over the whole episode.
        delay_planned: The delay d of the last answered request, in ticks; None if no request was answered.
        trace: The trace, if it is kept.
    """

    seed: int
    success: bool
    event_tick: int | None
    time_s: float
    reaction_s: float | None
    jerk: float
    idle: float
    guard_hits: float
    calls_per_s: float
    ages: FloatArray
    switch_steps: FloatArray
    other_steps: FloatArray
    action_unit: str
    lost: int
    delay_planned: int | None
    trace: Trace | None = None


def run_episode(cell: Cell, task: Task, seed: int, *, event: bool = True, planning: Planning | None = None) -> Trace:
    """Plays one episode of `task` and returns its trace.

    Args:
        cell: Strategy, latency and the rest.
        task: The task.
        seed: Seed of the episode.
        event: Whether the event comes, if the task has one.
        planning: The planning of `cell`, if it exists already.
    """
    planning = planning or planning_of(cell, task)
    begin(task, seed, event=event)
    robot = SimRobot(task, cell.lag, limited(task.spec, cell.limits))
    latency = make_latency(rate_hz=task.spec.rate_hz, **cell.latency)
    delay = make_delay(cell.strategy, latency, cell.seed)  # as in `check`, so that no episode is refused later
    drive = Drive(cell.strategy, planning.horizon, planning.n_obs, seed, task.instruction, guard=cell.guard)
    executor = make_executor(drive, robot, delay, Trace(task.spec, task.max_ticks))
    speed_up = SpeedUp(task.spec, cell.strategy.q)
    inference = Inference(
        planning.planner,
        speed_up,
        horizon=planning.horizon,
        action_dim=len(task.spec.action),
        features=features_taken(cell.strategy),
    )
    lockstep = Lockstep(executor, inference, latency, robot.advance, seed=seed)
    robot.connect()
    try:
        lockstep.run(0, task.max_ticks, until=lambda: task.done)
    finally:
        robot.stop()
        robot.disconnect()
    return executor.trace


def planning_of(cell: Cell, task: Task) -> Planning:
    """The planner of `cell`, with its rollers, for `task`. Raises: ConfigError, if it cannot be made."""
    scene = Scene(limited(task.spec, cell.limits), task)
    return make_planning(cell.planner, scene, make_rollers(cell.roller, scene), cell.strategy, cell.sampler)


def measure(cell: Cell, task: Task, seed: int, planning: Planning | None = None) -> Episode:
    """Plays and measures one episode; `planning` is the planning of `cell`, if it exists already."""
    planning = planning or planning_of(cell, task)
    trace = run_episode(cell, task, seed, planning=planning)
    success, event = task.success, event_tick_of(task)
    measures = cell.reactions and why_no_reactions(task) is None
    reaction_s = _reaction_s(cell, task, seed, trace, planning) if measures else None
    kept = seed - cell.seed < cell.traces
    return measured(task.spec, seed, trace, trace.ticks, success, event, reaction_s, kept=kept)


def measured(
    spec: RobotSpec,
    seed: int,
    trace: Trace,
    ticks: metrics.Ticks,
    success: bool,
    event: int | None,
    reaction_s: float | None = None,
    *,
    kept: bool,
) -> Episode:
    """Computes the metrics of an episode.

    Args:
        spec: Spec of the robot.
        seed: Seed of the episode.
        trace: The trace.
        ticks: The ticks of the trace that belong to the episode.
        success: Whether the episode succeeded.
        event: Tick of the event; None without an event.
        reaction_s: Reaction latency in seconds; None if it is not measured.
        kept: Whether the trace is kept.
    """
    after = ticks if event is None else ticks[ticks["tick"] >= event]
    on_switch, elsewhere = metrics.steps(after, spec)
    inferences = trace.inferences
    return Episode(
        seed=seed,
        success=bool(success),  # a task may give a numpy bool, which cannot be written as JSON
        event_tick=None if event is None else int(event),
        time_s=len(after) * spec.period_s,
        reaction_s=reaction_s,
        jerk=metrics.jerk(after, spec),
        idle=metrics.idle(after),
        guard_hits=metrics.guard_hits(after),
        calls_per_s=sum(record.calls for record in inferences) / (len(ticks) * spec.period_s),
        ages=after["age"][after["age"] >= 0].astype(np.float64),
        switch_steps=on_switch,
        other_steps=elsewhere,
        action_unit=metrics.action_unit(spec),
        lost=sum(record.lost for record in inferences),
        delay_planned=inferences[-1].delay_planned if inferences else None,
        trace=trace if kept else None,
    )


def _reaction_s(cell: Cell, task: Task, seed: int, trace: Trace, planning: Planning) -> float:
    """Computes the time in seconds from the event to the end of the first tick whose action shows it."""
    event = event_tick_of(task)
    assert event is not None, "the caller looks"
    without = run_episode(cell, task, seed, event=False, planning=planning)
    tick = metrics.reaction_tick(trace.ticks, without.ticks, event, task.spec, expert_of(task, 1))
    return math.inf if tick is None else (tick - event + 1) * task.spec.period_s


def why_no_reactions(task: Task) -> str | None:
    """The reason why no reaction latency can be measured in `task`; None if it can."""
    if not has_event(task):
        return "no reaction latency is measured: the task has no event (event_tick, docs/tasks.md)"
    if not has_expert(task):
        return "no reaction latency is measured: the task has no expert, which gives the direction of a reaction"
    return None


class Journal(Protocol):
    """Storage of the episodes played so far, so that an evaluation can be resumed."""

    def played(self, cell: Cell) -> Mapping[int, Episode]:
        """The stored episodes of `cell`, by seed."""
        ...

    def add(self, cell: Cell, episode: Episode) -> None:
        """Stores an episode of `cell`."""
        ...


def evaluate(cell: Cell, *, workers: int = 1) -> list[Episode]:
    """Plays all episodes of `cell` in `workers` processes and returns them in the order of their seeds."""
    return next(evaluate_all([cell], workers=workers))


def evaluate_all(
    cells: Sequence[Cell],
    *,
    workers: int = 1,
    pool: ProcessPoolExecutor | None = None,
    journal: Journal | None = None,
) -> Iterator[list[Episode]]:
    """Plays the episodes of all cells and yields those of each cell, in the order of `cells`, once they are complete.

    Args:
        cells: The cells.
        workers: Number of processes.
        pool: Pool whose processes play, in place of `workers` new ones.
        journal: Storage of episodes: stored ones are not played again, new ones are added.

    Raises: ConfigError, if an episode cannot be played, see `check_all`.
    """
    check_all(cells, workers=workers)
    known = [{} if journal is None else dict(journal.played(cell)) for cell in cells]
    jobs = [(i, seed) for i, cell in enumerate(cells) for seed in _seeds(cell) if seed not in known[i]]
    if pool is None and workers == 1:
        yield from _gathered(cells, known, _here(cells, jobs), journal)
    elif pool is None:
        with processes(workers) as new:
            yield from _gathered(cells, known, _there(cells, jobs, new), journal)
    else:
        yield from _gathered(cells, known, _there(cells, jobs, pool), journal)


class Stage:
    """A task with its planner, on which cells that share both are played one episode after the other."""

    def __init__(self, cell: Cell, task: Task | None = None, planning: Planning | None = None) -> None:
        """Makes the task and the planning of `cell`, except those that are given.

        Raises: ConfigError, if there is no such task or planner, or they do not fit together.
        """
        self._task = task or make_task(**cell.task)
        self._planning = planning or planning_of(cell, self._task)

    def check(self, cell: Cell) -> None:
        """Checks that the episodes of `cell` can be played. Raises: ConfigError, if one would be refused."""
        self._planning.check_seeds(cell.task["name"], cell.seed, cell.episodes)
        spec = limited(self._task.spec, cell.limits)
        latency = make_latency(rate_hz=spec.rate_hz, **cell.latency)
        delay = make_delay(cell.strategy, latency, cell.seed).delay
        measures = cell.reactions and why_no_reactions(self._task) is None
        if measures and not all(np.isfinite([dim.low, dim.high]).all() for dim in spec.action):
            raise ConfigError(
                f"task {cell.task['name']!r} has an action without a range, so no reaction can be told from it; give "
                "the dimension low and high, or set reactions=false"
            )
        make_strategy(cell.strategy, spec, self._planning.horizon, delay)
        make_corrector(cell.strategy, spec, self._planning.horizon)
        self._planning.check_roller(cell.roller, Scene(self._task.spec, self._task), cell.strategy)

    def check_task(self, cell: Cell) -> None:
        """Checks the task in two short episodes. Raises: ConfigError, if it does not do what a task must."""
        expert = cell.planner.get("name") == EXPERT
        played = check_task(self._task, cell.task["name"], cell.seed, expert=expert, event=cell.reactions)
        rollers = make_rollers(cell.roller, Scene(limited(self._task.spec, cell.limits), self._task))
        check_rollers(rollers, str(cell.roller["name"]), self._task, played)

    def measure(self, cell: Cell, seed: int) -> Episode:
        """Plays and measures one episode."""
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)  # there may be as many processes as cores
        return measure(cell, self._task, seed, self._planning)


def check(cell: Cell, *, workers: int = 1) -> None:
    """Checks that the episodes of `cell` can be played, see `check_all`. Raises: ConfigError, if they cannot."""
    check_all([cell], workers=workers)


def check_all(cells: Sequence[Cell], *, workers: int = 1) -> None:
    """Checks that the episodes of all cells can be played, by making everything that they need.

    Raises: ConfigError, if something cannot be made, or `workers` is below 1.
    """
    if workers < 1:
        raise ConfigError(f"workers is {workers}; give at least 1 process")
    stages: dict[str, Stage] = {}
    tried: set[str] = set()
    for cell in cells:
        if _key(cell) not in stages:
            stages[_key(cell)] = Stage(cell)
        stages[_key(cell)].check(cell)
        if (key := repr((cell.task, cell.planner.get("name"), cell.roller, cell.reactions))) not in tried:
            tried.add(key)
            stages[_key(cell)].check_task(cell)


def _seeds(cell: Cell) -> range:
    return range(cell.seed, cell.seed + cell.episodes)


def _gathered(
    cells: Sequence[Cell],
    known: Sequence[dict[int, Episode]],
    played: Iterator[tuple[int, Episode]],
    journal: Journal | None,
) -> Iterator[list[Episode]]:
    """Yields the episodes of each cell in the order of the seeds, and adds those `played` to `known` and `journal`."""
    for i, cell in enumerate(cells):
        while len(known[i]) < cell.episodes:
            j, episode = next(played)
            known[j][episode.seed] = episode
            if journal is not None:
                journal.add(cells[j], episode)
        yield [known[i][seed] for seed in _seeds(cell)]


def _here(cells: Sequence[Cell], jobs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, Episode]]:
    """Plays `jobs`, pairs of a cell's index and a seed, in this process; yields index and episode."""
    for i, group in groupby(jobs, key=itemgetter(0)):
        stage = Stage(cells[i])
        for _, seed in group:
            yield i, stage.measure(cells[i], seed)


def _there(
    cells: Sequence[Cell], jobs: Iterable[tuple[int, int]], pool: ProcessPoolExecutor
) -> Iterator[tuple[int, Episode]]:
    """Plays `jobs`, as `_here` does, in the processes of `pool`; yields each episode as soon as it is complete."""
    running = {pool.submit(_measure, cells[i], seed): i for i, seed in jobs}
    try:
        for future in as_completed(running):
            yield running.pop(future), future.result()
    finally:
        for future in running:
            future.cancel()


_STAGES: dict[str, Stage] = {}  # the stages of a process of a pool, by key


def _measure(cell: Cell, seed: int) -> Episode:
    """Plays and measures one episode in a process of a pool."""
    key = _key(cell)
    if key not in _STAGES:
        if len(_STAGES) == STAGES:
            _STAGES.clear()
        _STAGES[key] = Stage(cell)
    return _STAGES[key].measure(cell, seed)


def _key(cell: Cell) -> str:
    """A key that is equal for all cells that can be played on one stage."""
    strategy = cell.strategy if cell.strategy.steers else cell.strategy.q
    return repr((cell.task, cell.planner, cell.roller, cell.sampler, strategy, cell.limits))


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that are not NaN; NaN if all are."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def summarise(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Computes the figures of a cell: shares in percent, times in seconds, ages in ticks, steps in `action_unit`."""
    hits = sum(episode.success for episode in episodes)
    times = np.array([episode.time_s for episode in episodes if episode.success])
    pool = {
        name: np.concatenate([getattr(episode, name) for episode in episodes])
        for name in ("ages", "switch_steps", "other_steps")
    }
    elsewhere = float(np.median(pool["other_steps"])) if len(pool["other_steps"]) else math.nan
    at_switch = float(pool["switch_steps"].mean()) if len(pool["switch_steps"]) else math.nan
    reactions = [episode.reaction_s for episode in episodes if episode.reaction_s is not None]
    return {
        "episodes": len(episodes),
        "success": 100.0 * hits / len(episodes),
        "success_ci": [100.0 * end for end in metrics.wilson(hits, len(episodes))],
        "time_s": float(times.mean()) if len(times) else math.nan,
        "time_s_ci": list(metrics.mean_interval(times)),
        "reaction_s": metrics.percentiles(reactions) if reactions else None,
        "jerk": _mean([episode.jerk for episode in episodes]),
        "age_ticks": metrics.percentiles(pool["ages"].tolist()),
        "idle": 100.0 * float(np.mean([episode.idle for episode in episodes])),
        "guard_hits": 100.0 * float(np.mean([episode.guard_hits for episode in episodes])),
        "switch_step": at_switch,
        "switch_step_max": float(pool["switch_steps"].max()) if len(pool["switch_steps"]) else math.nan,
        "median_step_elsewhere": elsewhere,
        "action_unit": episodes[0].action_unit,
        "calls_per_s": float(np.mean([episode.calls_per_s for episode in episodes])),
        "rows_lost": sum(episode.lost for episode in episodes),
        "delay_planned": episodes[-1].delay_planned,
    }

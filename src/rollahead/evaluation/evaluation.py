"""Evaluation: many episodes of a task under one strategy and one latency, in lockstep.

A `Cell` says what to run, in plain values, so that it can be sent to another process; `evaluate` runs its episodes and
`summarise` makes its figures. Episode i has the same seed in every cell: cells are compared pair by pair.
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

STAGES = 4  # tasks with their planners that a process of a pool keeps


@dataclass(frozen=True, slots=True)
class Cell:
    """What to run. task, latency, planner, roller, sampler: a `name` and options; episodes: how many; seed: of the
    first one; lag: ticks by which the robot's sensors are late; reactions: whether each episode of a task with an event
    and an expert is run a second time, without the event, to see when the robot reacted; traces: how many episodes,
    from the first on, keep theirs; limits: on how the robot's actions may change, as `spec_limits` has them; guard: the
    settings of what keeps them."""

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
    """Metrics of one episode, from its event, or else from its start, to its end.

    event_tick: None for a task without an event; reaction_s: infinite if there was no reaction, None if none is
    measured; guard_hits: share of ticks in which the guard changed what was asked; switch_steps, other_steps: how far
    the action moves in one tick, in `action_unit`, where one chunk takes over from another and within a chunk."""

    seed: int
    success: bool
    event_tick: int | None
    time_s: float
    reaction_s: float | None
    jerk: float
    idle: float
    guard_hits: float
    calls_per_s: float
    ages: FloatArray  # of the actions sent, in ticks
    switch_steps: FloatArray
    other_steps: FloatArray
    action_unit: str
    lost: int
    delay_planned: int | None  # None if nothing was answered
    trace: Trace | None = None


def run_episode(cell: Cell, task: Task, seed: int, *, event: bool = True, planning: Planning | None = None) -> Trace:
    """Plays one episode of `task` and returns its trace. event: False leaves out the event; planning: that of `cell`,
    if it was made already."""
    planning = planning or planning_of(cell, task)
    begin(task, seed, event=event)
    robot = SimRobot(task, cell.lag, limited(task.spec, cell.limits))
    latency = make_latency(rate_hz=task.spec.rate_hz, **cell.latency)
    delay = make_delay(cell.strategy, latency, cell.seed)  # as `check` does: no episode is refused later
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
    """The planner of `cell`, with its rollers, for `task`. Raises: ConfigError, if there is none such."""
    scene = Scene(limited(task.spec, cell.limits), task)
    return make_planning(cell.planner, scene, make_rollers(cell.roller, scene), cell.strategy, cell.sampler)


def measure(cell: Cell, task: Task, seed: int, planning: Planning | None = None) -> Episode:
    """Plays and measures one episode. planning: that of `cell`, if it was made already."""
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
    """An episode from its `ticks`, those of the trace that belong to it. event: the tick of its event, None without
    one; kept: whether the trace is."""
    after = ticks if event is None else ticks[ticks["tick"] >= event]
    on_switch, elsewhere = metrics.steps(after, spec)
    inferences = trace.inferences
    return Episode(
        seed=seed,
        success=bool(success),  # a task may give numpy's, which no journal takes
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
    """Computes the seconds from the event to the end of the first tick whose action shows it."""
    event = event_tick_of(task)
    assert event is not None, "the caller looks"
    without = run_episode(cell, task, seed, event=False, planning=planning)
    tick = metrics.reaction_tick(trace.ticks, without.ticks, event, task.spec, expert_of(task, 1))
    return math.inf if tick is None else (tick - event + 1) * task.spec.period_s


def why_no_reactions(task: Task) -> str | None:
    """Returns why no reaction latency can be measured in `task`; None if it can."""
    if not has_event(task):
        return "no reaction latency is measured: the task has no event (event_tick, docs/tasks.md)"
    if not has_expert(task):
        return "no reaction latency is measured: the task has no expert, which gives the direction of a reaction"
    return None


class Journal(Protocol):
    """Where episodes are kept as they are played, so that none is played twice."""

    def played(self, cell: Cell) -> Mapping[int, Episode]:
        """Those of `cell` that are there already, by their seeds."""
        ...

    def add(self, cell: Cell, episode: Episode) -> None:
        """Keeps one, that of `episode.seed`."""
        ...


def evaluate(cell: Cell, *, workers: int = 1) -> list[Episode]:
    """All episodes of `cell`, in the order of their seeds."""
    return next(evaluate_all([cell], workers=workers))


def evaluate_all(
    cells: Sequence[Cell],
    *,
    workers: int = 1,
    pool: ProcessPoolExecutor | None = None,
    journal: Journal | None = None,
) -> Iterator[list[Episode]]:
    """The episodes of each cell, in turn, as soon as they are there; all processes stay busy. pool: whose processes
    play, instead of `workers` new ones; journal: what was played already, and is played now."""
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
    """A task with a planner: what cells with the same of these are played on, one episode after the other."""

    def __init__(self, cell: Cell, task: Task | None = None, planning: Planning | None = None) -> None:
        """task, planning: those of `cell`, if they were made already.

        Raises: ConfigError, if there is no such task or planner, or they do not go together."""
        self._task = task or make_task(**cell.task)
        self._planning = planning or planning_of(cell, self._task)

    def check(self, cell: Cell) -> None:
        """Raises: ConfigError, if an episode of `cell` would be refused."""
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
        """Plays two short episodes. Raises: ConfigError, if the task does not do what a task must."""
        expert = cell.planner.get("name") == EXPERT
        played = check_task(self._task, cell.task["name"], cell.seed, expert=expert, event=cell.reactions)
        rollers = make_rollers(cell.roller, Scene(limited(self._task.spec, cell.limits), self._task))
        check_rollers(rollers, str(cell.roller["name"]), self._task, played)

    def measure(self, cell: Cell, seed: int) -> Episode:
        """Plays and measures one episode."""
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)  # the processes are as many as the cores
        return measure(cell, self._task, seed, self._planning)


def check(cell: Cell, *, workers: int = 1) -> None:
    """Makes everything that an episode of `cell` needs, once. Raises: ConfigError, if something cannot be."""
    check_all([cell], workers=workers)


def check_all(cells: Sequence[Cell], *, workers: int = 1) -> None:
    """`check` for each cell. Raises: ConfigError, if something cannot be."""
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
    """Cell by cell, in the order of the seeds. known: the episodes of each, to which those `played` are added."""
    for i, cell in enumerate(cells):
        while len(known[i]) < cell.episodes:
            j, episode = next(played)
            known[j][episode.seed] = episode
            if journal is not None:
                journal.add(cells[j], episode)
        yield [known[i][seed] for seed in _seeds(cell)]


def _here(cells: Sequence[Cell], jobs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, Episode]]:
    """Plays (cell, seed) by (cell, seed), in this process."""
    for i, group in groupby(jobs, key=itemgetter(0)):
        stage = Stage(cells[i])
        for _, seed in group:
            yield i, stage.measure(cells[i], seed)


def _there(
    cells: Sequence[Cell], jobs: Iterable[tuple[int, int]], pool: ProcessPoolExecutor
) -> Iterator[tuple[int, Episode]]:
    """The same in the processes of `pool`, each episode as soon as it is there."""
    running = {pool.submit(_measure, cells[i], seed): i for i, seed in jobs}
    try:
        for future in as_completed(running):
            yield running.pop(future), future.result()
    finally:
        for future in running:
            future.cancel()


_STAGES: dict[str, Stage] = {}  # of a process of a pool, a few


def _measure(cell: Cell, seed: int) -> Episode:
    """In a process of a pool."""
    key = _key(cell)
    if key not in _STAGES:
        if len(_STAGES) == STAGES:
            _STAGES.clear()
        _STAGES[key] = Stage(cell)
    return _STAGES[key].measure(cell, seed)


def _key(cell: Cell) -> str:
    """The same for all cells that can be played on one stage."""
    strategy = cell.strategy if cell.strategy.steers else cell.strategy.q
    return repr((cell.task, cell.planner, cell.roller, cell.sampler, strategy, cell.limits))


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def summarise(episodes: Sequence[Episode]) -> dict[str, Any]:
    """The figures of a cell. Shares are in percent, times in seconds, ages in ticks, steps in `action_unit`."""
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

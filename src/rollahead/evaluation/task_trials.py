"""Trials of a task, run by `rollahead doctor task=...`, and their findings.

    for finding in try_task({"name": "reach"}, episodes=20):
        print(finding.what, finding.ok, finding.says)

Each trial is a function that returns in a few words what holds, or raises ConfigError with what is wrong. A trial of a
capability that the task does not have is left out. Without an expert the episodes are driven by a slow sine.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.assembly.sine import Sine
from rollahead.blame import blamed
from rollahead.errors import ConfigError, ControlError, counted
from rollahead.evaluation.evaluation import Cell, run_episode
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import lookback_of
from rollahead.runtime.safety.guard import flag_names
from rollahead.runtime.types.seeds import check_seed, generator
from rollahead.runtime.types.spec import Dim, Kind
from rollahead.sim.task import Task, has_event, has_expert, make_task
from rollahead.sim.task_calls import expert_of
from rollahead.sim.task_check import (
    Played,
    by_expert,
    check_event,
    check_event_tick,
    check_limits,
    check_same,
    checked_rows,
    look,
    play,
    rolled,
    standing,
)

HORIZON = 32  # rows of the chunk requested of the expert
AHEAD = 8  # ticks over which the roller is tried
FEW = 5  # episodes in which the roller is tried
SOLVED = 0.9  # share of the episodes that an expert should solve when it plans anew in every tick
SHARE, PERIOD_S = 0.3, 2.0  # amplitude and period of the sine that drives a task without an expert, see `Sine`
MISSED = 1.0  # error of a roller, relative to the error of not rolling, from which it is of no use


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one trial.

    Attributes:
        what: Name of the trial.
        ok: Whether the task passed; None if it was not tried.
        says: What holds, or what is wrong and what to do, or why it was not tried.
    """

    what: str
    ok: bool | None
    says: str


@dataclass(slots=True)
class Subject:
    """A task on trial.

    Attributes:
        config: `name` and options of the task.
        made: The task, used in all trials.
        seed: Seed of the first episode.
        episodes: Number of episodes.
        kept: Episodes of the task under `drive`, by seed.
    """

    config: Mapping[str, Any]
    made: Task
    seed: int
    episodes: int
    kept: dict[int, Played] = field(default_factory=dict)

    def played(self, seed: int) -> Played:
        """The episode of `seed` under `drive`, played once."""
        if seed not in self.kept:
            self.kept[seed] = play(self.made, seed, self.drive)
        return self.kept[seed]

    def drive(self, task: Task) -> Plan:
        """The plan that drives the episodes: the expert, or else a sine, or a hold if an action has no range."""
        if has_expert(task):
            return by_expert(task)
        ranged = all(np.isfinite([dim.low, dim.high]).all() for dim in task.spec.action)
        return Sine(task.spec, 1, SHARE, PERIOD_S) if ranged else standing(task)

    @property
    def driver(self) -> str:
        """The name of the plan that drives the episodes, for messages."""
        return "its expert" if has_expert(self.made) else "a sine"

    @property
    def seeds(self) -> range:
        """Seeds of the episodes that the trials play."""
        return range(self.seed, self.seed + self.episodes)


def try_task(config: Mapping[str, Any], *, episodes: int = 20, seed: int = 0) -> Iterator[Finding]:
    """Tries a task and yields a finding for each trial.

    Args:
        config: `name` and options of the task.
        episodes: Number of episodes that are played.
        seed: Seed of the first episode.

    Raises: ConfigError, if there is no such task, it cannot be made, or `episodes` or `seed` is out of range.
    """
    if episodes < 1 or seed < 0:
        raise ConfigError(f"episodes is {episodes} and seed {seed}; give at least 1, and 0 or more")
    check_seed(seed, episodes)
    subject = Subject(config, make_task(**config), seed, episodes)
    needed = True  # whether sizes and numbers are right, on which the other trials depend
    for what, trial in TRIALS.items():
        if not needed:
            yield Finding(what, None, "not tried, since what is said above comes first")
            continue
        if what in NEEDS and not NEEDS[what][0](subject.made):
            yield Finding(what, None, f"not tried: the task has no {NEEDS[what][1]}")
            continue
        try:
            yield Finding(what, True, trial(subject))
        except ControlError as error:
            needed = what not in FIRST
            yield Finding(what, False, str(error))


def _sizes(subject: Subject) -> str:
    spec, played = subject.made.spec, subject.played(subject.seed)
    sizes = (
        f"state {len(spec.state)}, scene {len(spec.environment)}, actions {len(spec.action)}, all finite over "
        f"{counted(played.ticks, 'tick')}"
    )
    if not has_expert(subject.made):
        return sizes
    with blamed(f"expert({HORIZON})", subject.made):
        subject.made.reset(subject.seed)
        rows = expert_of(subject.made, HORIZON)(look(subject.made, 0), generator("expert", subject.seed))
    checked_rows(rows, spec, HORIZON)
    return f"{sizes}; chunks of {HORIZON} rows"


def _reset(subject: Subject) -> str:
    """Plays a seed again after another seed, and in a new task."""
    first = subject.played(subject.seed)
    play(subject.made, subject.seed + 1, subject.drive)
    _check_again(first, play(subject.made, subject.seed, subject.drive), subject.made)
    try:
        other = make_task(**subject.config)
    except ConfigError as error:
        raise ConfigError(f"the task cannot be made a second time: {error}") from error
    _check_again(first, play(other, subject.seed, subject.drive), other)
    same = counted(first.ticks, "tick")
    return f"seed {subject.seed} gives the same {same} to the bit, after another seed and in a new task"


def _check_again(before: Played, now: Played, task: Task) -> None:
    dims = (*task.spec.state, *task.spec.environment)
    for tick, (one, other) in enumerate(zip(now.seen, before.seen, strict=False)):
        check_same(one, other, dims, before.seed, tick)
    told = Dim("event_tick"), Dim("the number of its ticks")
    once, again = (np.array([one.event_tick or 0, one.ticks], np.float64) for one in (before, now))
    check_same(again, once, told, before.seed, 0)


def _event(subject: Subject) -> str:
    ticks = []
    for seed in subject.seeds:
        played = subject.played(seed)
        check_event_tick(played, subject.made)
        check_event(played, play(subject.made, seed, subject.drive, event=False))
        ticks.append(played.event_tick or 0)
    words = f"tick {ticks[0]}" if len(set(ticks)) == 1 else f"ticks {min(ticks)} to {max(ticks)}"
    return f"is seen at {words}, and not without it"


def _end(subject: Subject) -> str:
    most = subject.made.max_ticks
    for drive, who in ((None, subject.driver), (standing, "a robot that stands still")):
        played = subject.played(subject.seed) if drive is None else play(subject.made, subject.seed, drive)
        if not played.done:
            raise ConfigError(
                f"the episode of seed {subject.seed} was not over after max_ticks ({most}) under {who}; set done by "
                "then, or raise max_ticks"
            )
    return f"is over within max_ticks ({most}), under {subject.driver} and without any motion"


def _limits(subject: Subject) -> str:
    spec = subject.made.spec
    for seed in subject.seeds:
        check_limits(subject.played(seed), spec)
    actions = np.concatenate([subject.played(seed).actions for seed in subject.seeds])
    for j, dim in enumerate(spec.action):
        _check_kind(actions[:, j], dim)
    return f"keeps within the ranges of {counted(len(spec.action), 'action')}"


def _check_kind(sent: Any, dim: Dim) -> None:
    """Checks the values of an action. Raises: ConfigError, if a discrete one has more than two and no threshold."""
    if dim.kind is Kind.DISCRETE and dim.threshold is None and len(values := np.unique(sent)) > 2:
        raise ConfigError(
            f"the expert gives {len(values)} values of {dim.name}, which is {dim.kind.value} without a threshold; give "
            "it one, or another kind"
        )


def _guard(subject: Subject) -> str:
    """Plays an episode as `eval` does, without delay, with a new plan of the expert in every tick."""
    planner = {"name": "scripted", "horizon": 1}
    config = StrategyConfig("naive", s=1)  # naive does not roll
    cell = Cell(subject.config, config, {"name": "fixed", "ticks": 0}, planner, roller={"name": "none"})
    with blamed(f"the episode of seed {subject.seed}, as eval plays it,", subject.made):
        ticks = run_episode(cell, subject.made, subject.seed).ticks
    hits = ticks["guard"][ticks["guard"] != 0]
    if len(hits):
        why = flag_names(int(np.bitwise_or.reduce(hits)))
        raise ConfigError(
            f"the guard changed {len(hits)} of {counted(len(ticks), 'action')} of the expert ({why}); let it keep "
            "the limits of the spec, or the robot does what the expert did not plan"
        )
    return f"changes none of {counted(len(ticks), 'action')}"


def _roller(subject: Subject) -> str:
    """Plays a few episodes again, and compares each state rolled ahead over the next actions with the later state."""
    wrong = moved = 0.0
    for seed in subject.seeds[:FEW]:
        off, way = _rolled(subject, seed)
        wrong, moved = wrong + off, moved + way
    if not moved:
        return f"not tried: in {AHEAD} ticks the robot does not move, or no episode is so long"
    if wrong >= MISSED * moved:
        raise ConfigError(
            f"{AHEAD} ticks ahead the roller is off by {100 * wrong / moved:.0f} % of what the state moves, and a "
            "state that is not rolled by 100 %; give each action the kind that it is, or roller() a model of the robot"
        )
    return f"{AHEAD} ticks ahead off by {100 * wrong / moved:.1f} % of what the state moves"


def _rolled(subject: Subject, seed: int) -> tuple[float, float]:
    """The errors in an episode of states rolled ahead by `AHEAD` ticks, and of states that are not rolled.

    Both are sums of absolute errors in standard deviations of the episode's states.
    """
    task, played = subject.made, subject.played(seed)
    with blamed("the roller", task):
        task.reset(seed)
        roller = make_rollers({"name": "robot"}, Scene(task.spec, task)).state
        off = np.zeros((2, len(task.spec.state)))
        for k in range(played.ticks - AHEAD):
            if k >= (before := lookback_of(roller)):
                after = rolled(roller, task, played.actions[k - before : k + AHEAD])
                off += np.abs([after - played.states[k + AHEAD], played.states[k] - played.states[k + AHEAD]])
            task.advance(played.actions[k])
    scale = played.states.std(axis=0)
    wrong, moved = (float((each[scale > 0] / scale[scale > 0]).sum()) for each in off)
    return wrong, moved


def _expert(subject: Subject) -> str:
    solved = sum(subject.played(seed).success for seed in subject.seeds)
    if solved < SOLVED * subject.episodes:
        raise ConfigError(
            f"the expert solves {solved} of {counted(subject.episodes, 'episode')}, asked in every tick and without "
            f"delay; it should solve {100 * SOLVED:.0f} %: mend it, or give more time"
        )
    return f"solves {solved} of {counted(subject.episodes, 'episode')}, asked in every tick"


TRIALS: Mapping[str, Callable[[Subject], str]] = {
    "sizes": _sizes,
    "reset": _reset,
    "event": _event,
    "end": _end,
    "expert's actions": _limits,
    "guard": _guard,
    "roller": _roller,
    "expert": _expert,
}
FIRST = ("sizes",)
NEEDS: Mapping[str, tuple[Callable[[Task], bool], str]] = {  # the capability that a trial needs
    "event": (has_event, "event"),
    "expert's actions": (has_expert, "expert"),
    "guard": (has_expert, "expert"),
    "expert": (has_expert, "expert"),
}

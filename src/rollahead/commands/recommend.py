"""`rollahead calibrate latency=...` or `planner=...`: recommends a schedule, and shows whether it does as predicted."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.table import Table

from rollahead.commands.app import console, group, options, run_folder
from rollahead.commands.rig import SIMULATED, Real
from rollahead.errors import ConfigError
from rollahead.runtime.build import StrategyConfig, make_latency
from rollahead.runtime.forecast import Forecast
from rollahead.runtime.latency import NONE, Fixed, Latency, LatencyModel, Recorded, latency_words
from rollahead.runtime.recommend import (
    Candidate,
    Drawn,
    Recommendation,
    Setting,
    following,
    planned,
    rank,
    recommend,
    sampled,
)
from rollahead.runtime.rehearsal import rehearse
from rollahead.runtime.run_folder import SUMMARY, RunFolder, provenance
from rollahead.runtime.spec import RobotSpec
from rollahead.sim.evaluation import Cell, Episode, check_all, evaluate_all, planning_of, summarise
from rollahead.sim.rollers import LEFT_BEHIND, Scene, leaves_behind
from rollahead.sim.task import MovingScene, Task, make_task
from rollahead.sim.timing import time_inferences

GROUPS = ("latency", "planner", "roller", "sampler")  # those that only this needs
OPTIONS = ("horizon", "speed", "inferences", "episodes", "workers")  # and these
STEPS = ("run", "hold_s", "repeats", "share", "amplitude", "max_delay")  # of the step test, which is not made
OTHERS = ("robot", "task", "isolation", "warm", *STEPS)
REHEARSED = 10_000  # ticks
OTHER_SEED = 1_000_003  # how far the seed of the rehearsal is from that of the forecast
LATENCIES = "latencies.txt"  # what was measured, in s
ASIDE = (
    "latency",
    "strategy",
    "name",
    "runs",
    "warm",
    *OPTIONS,
    *STEPS,
)  # of the command line: not for `rollahead run`


@dataclass(frozen=True, slots=True)
class RecommendOptions:
    """What stands beside the groups; see configs/calibrate.yaml."""

    horizon: int
    speed: float
    inferences: int
    episodes: int
    workers: int
    seed: int

    def __post_init__(self) -> None:
        if self.horizon < 1 or self.inferences < 1 or self.episodes < 0 or self.workers < 1:
            raise ConfigError(
                f"horizon is {self.horizon}, inferences {self.inferences}, episodes {self.episodes} and workers "
                f"{self.workers}; give at least 1 of each, and of episodes 0 or more"
            )


@dataclass(frozen=True, slots=True)
class Bench:
    """What a schedule is recommended for. task: None for a real robot; cell: its episodes, under any strategy; seconds:
    that inferences took, if they were measured."""

    setting: Setting
    task: Task | None
    cell: Cell
    seconds: Sequence[float] = ()

    @property
    def moving_scene(self) -> bool:
        """Whether something moves on its own."""
        rates = any(dim.rate_of is not None for dim in self.setting.spec.environment)
        return isinstance(self.task, MovingScene) or rates

    @property
    def offsets(self) -> int:
        """By how many ticks the policy was trained to be given a state ahead of the scene."""
        if self.cell.planner["name"] != "policy":
            return 0
        from rollahead.policies.card import read_card
        from rollahead.policies.shipped import find

        card = read_card(find(self.cell.planner["checkpoint"]))
        return 0 if card is None else card.trained.offsets

    @property
    def source(self) -> str:
        """Of the latencies, in words."""
        return f"{len(self.seconds)} measured" if self.seconds else latency_words(self.cell.latency)


@dataclass(frozen=True, slots=True)
class Shown:
    """A schedule with what was predicted and what was found: in lockstep, unless it depends on how the robot moves, and
    in episodes of the task, if there are."""

    name: str
    candidate: Candidate
    measured: Forecast | None
    figures: Mapping[str, Any] | None = None


def wanted(config: DictConfig) -> bool:
    """Whether it is a schedule that is asked for."""
    return any(config.get(name) is not None for name in ("latency", "planner"))


def main(config: DictConfig) -> None:
    """Recommends a schedule for what `config` describes, and leaves its run folder."""
    chosen = options(config, RecommendOptions, (*GROUPS, *OTHERS))
    bench = bench_of(config, chosen)
    advice = recommend(bench.setting)
    if chosen.episodes and bench.task is not None:
        check_all(_cells(bench, advice), workers=chosen.workers)
    folder = run_folder(config)
    bench = _kept(bench, folder)
    shown = list(_shown(bench, advice, chosen))
    folder.write_json(SUMMARY, _summary(bench, advice, shown) | provenance(chosen.seed))
    for words in _words(bench, advice):
        console().print(words, soft_wrap=True)
    console().print(table(shown, bench.setting.spec.period_s))
    console().print(f"to use it: {_command(bench, advice.chosen.strategy)}", soft_wrap=True)
    if advice.chosen.strategy.name == "vlash" and (estimated := following(advice.chosen.strategy, bench.setting)):
        console().print(_following(estimated), soft_wrap=True)


def bench_of(config: DictConfig, chosen: RecommendOptions) -> Bench:
    """What `config` describes. Raises: ConfigError, if something of it cannot be."""
    if config.run is not None:
        raise ConfigError(
            f"run is {config.run}, in whose record lags are found, and with latency or planner a schedule is "
            "recommended instead; leave out run, or latency and planner"
        )
    if config.get("latency") is not None and config.latency.get("name") == NONE:
        raise ConfigError(
            "latency=none is what the planner takes by itself, of rollahead run alone; give another latency, or "
            "planner=... without one to measure it"
        )
    simulated = group(config, "robot")["name"] == SIMULATED
    task = make_task(**group(config, "task")) if simulated else None
    spec = Real(group(config, "robot")).spec if task is None else task.spec
    groups = {name: group(config, name) for name in (*GROUPS, "task") if config.get(name) is not None}
    setting = Setting(spec, chosen.horizon, Fixed(0), chosen.speed, chosen.seed)
    cell = _cell(groups, setting, chosen)
    seconds: Sequence[float] = ()
    if "planner" in groups:
        setting = replace(setting, horizon=_horizon(cell, task))
        seconds = () if "latency" in groups else _timed(cell, task, chosen.inferences)
    latency = _recorded(seconds, spec) if seconds else make_latency(rate_hz=spec.rate_hz, **groups["latency"])
    return Bench(replace(setting, latency=Drawn(latency)), task, cell, seconds)


def _cell(groups: Mapping[str, Mapping[str, Any]], setting: Setting, chosen: RecommendOptions) -> Cell:
    return Cell(
        task=groups["task"],
        strategy=StrategyConfig("sync", q=setting.q),
        latency=groups.get("latency", {}),
        planner=groups.get("planner", {"name": "scripted", "horizon": chosen.horizon}),
        roller=groups["roller"],
        sampler=groups["sampler"],
        episodes=max(chosen.episodes, 1),
        seed=chosen.seed,
        reactions=all(math.isfinite(dim.high - dim.low) for dim in setting.spec.action),
    )


def _horizon(cell: Cell, task: Task | None) -> int:
    """H, policy rows per chunk."""
    if task is None:
        raise ConfigError(
            "a planner is measured on what a simulated task shows it, and this robot is real; leave planner out, and "
            "give latency=recorded latency.path=<the inferences.parquet of a run> and horizon=<its rows>"
        )
    return planning_of(cell, task).horizon


def _timed(cell: Cell, task: Task | None, count: int) -> list[float]:
    assert task is not None, "refused before"
    return time_inferences(cell, task, count)


def _recorded(seconds: Sequence[float], spec: RobotSpec) -> LatencyModel:
    return Recorded([Latency(0, max(math.ceil(one * spec.rate_hz), 1)) for one in seconds])


def _kept(bench: Bench, folder: RunFolder) -> Bench:
    """With what was measured in the run folder, from where episodes replay it."""
    if not bench.seconds:
        return bench
    path = folder.write_text(LATENCIES, "".join(f"{seconds:.6f}\n" for seconds in bench.seconds))
    return replace(bench, cell=replace(bench.cell, latency={"name": "recorded", "path": str(path)}))


def _schedules(advice: Recommendation) -> dict[str, Candidate]:
    return {"recommended": advice.chosen, **advice.neighbours}


def _cells(bench: Bench, advice: Recommendation) -> list[Cell]:
    """The episodes of each schedule; before there is a recording of what was measured, under its median."""
    latency = bench.cell.latency or {"name": "fixed", "ticks": rank(sampled(bench.setting), 0.5)}
    schedules = _schedules(advice).values()
    return [replace(bench.cell, strategy=one.strategy, latency=latency) for one in schedules]


def _shown(bench: Bench, advice: Recommendation, chosen: RecommendOptions) -> Iterator[Shown]:
    """Each schedule, rehearsed with other latencies than those of its forecast, and played."""
    setting, schedules = bench.setting, _schedules(advice)
    played: Iterator[list[Episode] | None] = iter([None] * len(schedules))
    if chosen.episodes and bench.task is not None:
        played = evaluate_all(_cells(bench, advice), workers=chosen.workers)
    seed = chosen.seed + OTHER_SEED
    for (name, one), episodes in zip(schedules.items(), played, strict=True):
        measured = None  # what moves that were not made come to, a robot without a task does not tell
        if one.strategy.late == "tick":
            measured = rehearse(one.strategy, setting.horizon, setting.latency, ticks=REHEARSED, seed=seed)
        yield Shown(name, one, measured, None if episodes is None else summarise(episodes))


def _summary(bench: Bench, advice: Recommendation, shown: Sequence[Shown]) -> dict[str, Any]:
    """What `summary.json` says."""
    ticks = sampled(bench.setting)
    return {
        "command": "calibrate",
        "latency": {
            "source": dict(bench.cell.latency),
            "measured_s": list(bench.seconds),
            "ticks": {f"p{round(100 * share)}": rank(ticks, share) for share in (0.5, 0.95, 0.99, 1.0)},
        },
        "rate_hz": bench.setting.spec.rate_hz,
        "horizon": bench.setting.horizon,
        "q": bench.setting.q,
        "most_q": advice.most_q,
        "why": list(advice.why),
        "chosen": asdict(advice.chosen.strategy),
        "shown": [
            {
                "name": one.name,
                "strategy": asdict(one.candidate.strategy),
                "cost_ticks": one.candidate.cost,
                "predicted": asdict(one.candidate.forecast),
                "measured": None if one.measured is None else asdict(one.measured),
                "episodes": one.figures,
            }
            for one in shown
        ],
        "candidates": [
            {"strategy": one.strategy.name, "s": one.strategy.s, "d": one.strategy.d, "cost_ticks": one.cost}
            | asdict(one.forecast)
            for one in advice.candidates
        ],
    }


def _words(bench: Bench, advice: Recommendation) -> Iterator[str]:
    """What is recommended, and why."""
    setting, strategy = bench.setting, advice.chosen.strategy
    ticks, ms = sampled(setting), 1000 * setting.spec.period_s
    p50, p95, most = (rank(ticks, share) for share in (0.5, 0.95, 1.0))
    yield (
        f"inferences ({bench.source}) take {p50} ticks of {ms:.3g} ms at the median, {p95} at the p95, {most} at most; "
        f"chunks have {setting.horizon} rows"
    )
    if bench.seconds:
        low, high = (1000 * share for share in np.quantile(bench.seconds, [0.5, 0.95]))
        yield f"in ms: p50 {low:.3g}, p95 {high:.3g}, on this machine, with nothing else to do"
    yield f"use {_schedule(strategy)}, q = {setting.q}: {'; '.join(advice.why)}"
    if advice.chosen.forecast.late and "late plans moved" in advice.neighbours:
        share = 100 * advice.chosen.forecast.late
        yield f"{share:.0f} % of the plans will be late: see what strategy.late=moved makes of them"
    yield f"the largest speed-up that its chunks would bear is q = {advice.most_q}"
    alone = strategy.name == "vlash" and bench.cell.roller["name"] != "scene"
    if bench.moving_scene and alone and bench.offsets < planned(strategy):
        yield (
            "the scene moves on its own, and rolling the robot alone does not move it on: use roller=scene, or a "
            f"policy that was trained with offsets of {planned(strategy)} or more"
        )
    if strategy.name == "vlash" and leaves_behind(Scene(setting.spec, bench.task), bench.cell.roller):
        yield LEFT_BEHIND


def _following(strategy: StrategyConfig) -> str:
    """The same where latencies drift."""
    numbers = f"strategy.s={strategy.s} strategy.d=null strategy.quantile={strategy.quantile:g}"
    return f"or, where the latency drifts, with d estimated: {numbers}"


def _schedule(strategy: StrategyConfig) -> str:
    planned = f"d = {strategy.d}" if strategy.d is not None else f"quantile = {strategy.quantile:g}"
    return f"{strategy.name}, s = {strategy.s}" + (f", {planned}" if strategy.name != "sync" else "")


def _command(bench: Bench, strategy: StrategyConfig) -> str:
    """What to write in a shell, with what else of the command line is `rollahead run`'s too, and with a planner of as
    long chunks, if there is none in it."""
    given = {word: word.partition("=")[0].partition(".")[0] for word in HydraConfig.get().overrides.task}
    kept = [word for word, name in given.items() if name not in ASIDE and not word.startswith("~")]
    options = {"s": strategy.s, "d": strategy.d, "q": strategy.q}
    left_out = {"d": strategy.name == "sync", "q": strategy.q == 1}
    numbers = [f"strategy.{name}={value}" for name, value in options.items() if not left_out.get(name)]
    if bench.task is None:
        kept += ["planner=policy", "planner.checkpoint=CHECKPOINT"]
    elif "planner" not in given.values() and "horizon" in given.values():
        kept += [f"planner.horizon={bench.setting.horizon}"]
    return shlex.join(["rollahead", "run", f"strategy={strategy.name}", *numbers, *kept])


def table(shown: Sequence[Shown], period_s: float) -> Table:
    """Each schedule in up to three rows: as predicted, in lockstep, in episodes of the task."""
    printed = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for heading in ("schedule", ""):
        printed.add_column(heading, no_wrap=True)
    for heading in ("underruns %", "reaction ms p50/p95/max", "age p50/max", "calls/s", "success %"):
        printed.add_column(heading, justify="right", no_wrap=True)
    for one in shown:
        rows = [("predicted", *_row(one.candidate.forecast, period_s))]
        if one.measured is not None:
            rows.append(("lockstep", *_row(one.measured, period_s)))
        if one.figures is not None:
            rows.append(("episodes", *_episodes(one.figures)))
        for label, row in zip((one.name, _schedule(one.candidate.strategy), ""), rows, strict=False):
            printed.add_row(label, *row)
    return printed


def _row(made: Forecast, period_s: float) -> tuple[str, ...]:
    reaction = (made.reaction_p50, made.reaction_p95, made.reaction_max)
    ms = "/".join("never" if math.isinf(ticks) else f"{1000 * ticks * period_s:.0f}" for ticks in reaction)
    age = "-" if math.isinf(made.age_max) else f"{made.age_p50:.0f}/{made.age_max:.0f}"
    return (f"{100 * made.underruns:.1f}", ms, age, f"{made.calls / period_s:.1f}", "")


def _episodes(figures: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = figures["success_ci"]
    return (
        f"{figures['idle']:.1f}",
        "-" if figures["reaction_s"] is None else "/".join(_ms(one) for one in figures["reaction_s"].values()),
        f"{figures['age_ticks']['p50']:.0f}/{figures['age_ticks']['max']:.0f}",
        "",
        f"{figures['success']:.0f} ({low:.0f}..{high:.0f})",
    )


def _ms(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{1000 * seconds:.0f}"

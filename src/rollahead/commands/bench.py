"""The setting that `rollahead recommend` recommends a schedule for: a robot or task, and a latency."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rollahead.commands.app import group
from rollahead.commands.rig import SIMULATED, Real, limits_of
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, planning_of
from rollahead.evaluation.timing import time_inferences
from rollahead.runtime.analysis.recommend import Setting
from rollahead.runtime.config.build import StrategyConfig, make_latency
from rollahead.runtime.planning.latency import (
    NONE,
    Fixed,
    Latency,
    LatencyModel,
    Recorded,
    inferences_of,
    latency_words,
)
from rollahead.runtime.recording.records import read_parquet, source_of
from rollahead.runtime.recording.run_folder import RunFolder
from rollahead.runtime.robots.spec_limits import limited
from rollahead.runtime.types.spec import RobotSpec
from rollahead.sim.task import MovingScene, Task, make_task

GROUPS = ("latency", "planner", "roller", "sampler")  # groups of the command beside robot and task
LATENCIES = "latencies.txt"  # file of the measured inference times, in s
HORIZON = 32  # default of H, rows per chunk


@dataclass(frozen=True, slots=True)
class RecommendOptions:
    """Options of `rollahead recommend` outside its groups (configs/recommend.yaml).

    Attributes:
        horizon: H, rows per chunk; None for the planner's, or that of the recorded run, or `HORIZON`.
        speed: Speed relative to the policy's demonstrations, see `Setting`.
        inferences: Number of inferences to time, if the latency is measured.
        episodes: Number of episodes of each schedule; 0 for the forecast alone.
        workers: Number of processes that play.
        seed: Seed of the forecast and of the first episode.
    """

    horizon: int | None
    speed: float
    inferences: int
    episodes: int
    workers: int
    seed: int

    def __post_init__(self) -> None:
        least = [self.inferences, self.workers, *([] if self.horizon is None else [self.horizon])]
        if min(least) < 1 or self.episodes < 0:
            raise ConfigError(
                f"horizon is {self.horizon}, inferences {self.inferences}, episodes {self.episodes} and workers "
                f"{self.workers}; give at least 1 of each, and of episodes 0 or more"
            )


@dataclass(frozen=True, slots=True)
class Bench:
    """A robot, a planner and a latency, for which a schedule is recommended.

    Attributes:
        setting: The numbers that the forecast needs.
        task: The simulated task; None for a real robot.
        cell: The episodes to play; its strategy is replaced by each schedule.
        seconds: Measured durations of inferences, in s; empty if the latency was given.
    """

    setting: Setting
    task: Task | None
    cell: Cell
    seconds: Sequence[float] = ()

    @property
    def moving_scene(self) -> bool:
        """Whether something in the scene moves on its own."""
        rates = any(dim.rate_of is not None for dim in self.setting.spec.environment)
        return isinstance(self.task, MovingScene) or rates

    @property
    def offsets(self) -> int:
        """Largest offset, in ticks, that the policy was trained with; 0 for other planners."""
        if self.cell.planner["name"] != "policy":
            return 0
        from rollahead.policies.checkpoints.card import read_card
        from rollahead.policies.checkpoints.shipped import find

        card = read_card(find(self.cell.planner["checkpoint"]))
        return 0 if card is None else card.trained.offsets

    @property
    def source(self) -> str:
        """Description of the source of the latencies, for messages."""
        return f"{len(self.seconds)} measured" if self.seconds else latency_words(self.cell.latency)


def bench_of(config: DictConfig, chosen: RecommendOptions) -> Bench:
    """Builds the setting that `config` describes. Raises: ConfigError, if an option is unknown or values do not fit."""
    if config.get("latency") is None and config.get("planner") is None:
        raise ConfigError(
            "there is no latency to recommend a strategy for; give latency=..., or planner=... to measure its latency"
        )
    if config.get("latency") is not None and config.latency.get("name") == NONE:
        raise ConfigError(
            "latency=none is what the planner takes by itself, of rollahead run alone; give another latency, or "
            "planner=... without one to measure it"
        )
    simulated = group(config, "robot")["name"] == SIMULATED
    task = make_task(**group(config, "task")) if simulated else None
    limits = limits_of(config) if simulated else {}
    spec = Real(group(config, "robot")).spec if task is None else limited(task.spec, limits)
    groups = {name: group(config, name) for name in (*GROUPS, "task") if config.get(name) is not None}
    horizon = chosen.horizon or recorded_rows(groups.get("latency", {})) or HORIZON
    setting = Setting(spec, horizon, Fixed(0), chosen.speed, chosen.seed)
    cell = replace(_cell(groups, setting, chosen), limits=limits)
    seconds: Sequence[float] = ()
    if "planner" in groups:
        setting = replace(setting, horizon=_horizon(cell, task))
        seconds = () if "latency" in groups else _timed(cell, task, chosen.inferences)
    latency = _recorded(seconds, spec) if seconds else make_latency(rate_hz=spec.rate_hz, **groups["latency"])
    episode = None if task is None else task.max_ticks
    return Bench(replace(setting, latency=latency, episode=episode).drawn_once, task, cell, seconds)


def recorded_rows(latency: Mapping[str, Any]) -> int | None:
    """H, rows per chunk, in the run whose latencies are replayed; None for other latencies and runs without chunks.

    Raises: ConfigError, if the record of the run is damaged.
    """
    path = inferences_of(Path(str(latency.get("path") or "")))
    if path.suffix != ".parquet" or source_of(path) is None:
        return None
    record = read_parquet(path)
    return max(record["rows"].to_pylist(), default=0) or None if "rows" in record.column_names else None


def _cell(groups: Mapping[str, Mapping[str, Any]], setting: Setting, chosen: RecommendOptions) -> Cell:
    return Cell(
        task=groups["task"],
        strategy=StrategyConfig("sync", q=setting.q),
        latency=groups.get("latency", {}),
        planner=groups.get("planner", {"name": "scripted", "horizon": setting.horizon}),
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
            "give latency=recorded latency.path=<the folder of a run>"
        )
    return planning_of(cell, task).horizon


def _timed(cell: Cell, task: Task | None, count: int) -> list[float]:
    assert task is not None, "refused before"
    return time_inferences(cell, task, count)


def _recorded(seconds: Sequence[float], spec: RobotSpec) -> LatencyModel:
    return Recorded([Latency(0, max(math.ceil(one * spec.rate_hz), 1)) for one in seconds])


def kept(bench: Bench, folder: RunFolder) -> Bench:
    """Writes the measured inference times to the run folder, and returns `bench` with episodes that replay them.

    Returns `bench` unchanged if nothing was measured.
    """
    if not bench.seconds:
        return bench
    path = folder.write_text(LATENCIES, "".join(f"{seconds:.6f}\n" for seconds in bench.seconds))
    return replace(bench, cell=replace(bench.cell, latency={"name": "recorded", "path": str(path)}))

"""What `rollahead calibrate` recommends a schedule for: a robot or a task, a latency that was given or is measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

from rollahead.commands.app import group
from rollahead.commands.rig import SIMULATED, Real, limits_of
from rollahead.errors import ConfigError
from rollahead.runtime.build import StrategyConfig, make_latency
from rollahead.runtime.latency import NONE, Fixed, Latency, LatencyModel, Recorded, latency_words
from rollahead.runtime.recommend import Setting
from rollahead.runtime.run_folder import RunFolder
from rollahead.runtime.spec import RobotSpec
from rollahead.runtime.spec_limits import limited
from rollahead.sim.evaluation import Cell, planning_of
from rollahead.sim.task import MovingScene, Task, make_task
from rollahead.sim.timing import time_inferences

GROUPS = ("latency", "planner", "roller", "sampler")  # those that only this needs
LATENCIES = "latencies.txt"  # what was measured, in s


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
    limits = limits_of(config) if simulated else {}
    spec = Real(group(config, "robot")).spec if task is None else limited(task.spec, limits)
    groups = {name: group(config, name) for name in (*GROUPS, "task") if config.get(name) is not None}
    setting = Setting(spec, chosen.horizon, Fixed(0), chosen.speed, chosen.seed)
    cell = replace(_cell(groups, setting, chosen), limits=limits)
    seconds: Sequence[float] = ()
    if "planner" in groups:
        setting = replace(setting, horizon=_horizon(cell, task))
        seconds = () if "latency" in groups else _timed(cell, task, chosen.inferences)
    latency = _recorded(seconds, spec) if seconds else make_latency(rate_hz=spec.rate_hz, **groups["latency"])
    episode = None if task is None else task.max_ticks
    return Bench(replace(setting, latency=latency, episode=episode).drawn_once, task, cell, seconds)


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


def kept(bench: Bench, folder: RunFolder) -> Bench:
    """With what was measured in the run folder, from where episodes replay it."""
    if not bench.seconds:
        return bench
    path = folder.write_text(LATENCIES, "".join(f"{seconds:.6f}\n" for seconds in bench.seconds))
    return replace(bench, cell=replace(bench.cell, latency={"name": "recorded", "path": str(path)}))

"""`rollahead demo`: compares the strategies over several delays in a table, a report and a clip of sync and vlash."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress, track

from rollahead.commands.app import console, group, options, report_on, run_folder
from rollahead.commands.results import Description, describe, describe_live, live_table, success_table, write_records
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, Episode, check, evaluate_all, summarise
from rollahead.evaluation.live import evaluate_live, live_episode
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import EnsembleConfig
from rollahead.runtime.recording.run_folder import SUMMARY, provenance
from rollahead.sim.render import explain
from rollahead.sim.replay import clip
from rollahead.sim.task import make_task
from rollahead.sim.world import World

GROUPS = ("task", "planner")
SHOWN = ("sync", "vlash")  # strategies shown side by side in the clip
LIVE = ("sync", "naive", "vlash")  # strategies played in real time


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of `rollahead demo` outside its groups (configs/demo.yaml)."""

    delays: list[int]
    schedules: dict[str, list[int]]
    decay: float
    episodes: int
    seed: int
    featured: int
    traces: int
    live: int
    workers: int

    def __post_init__(self) -> None:
        if self.live < 0:
            raise ConfigError(f"live is {self.live}; give 0 (nothing in real time) or more episodes of each strategy")
        if self.featured not in self.delays:
            raise ConfigError(f"featured is {self.featured}, and the delays are {self.delays}; give one of them")
        for name, horizons in self.schedules.items():
            if len(horizons) != len(self.delays):
                raise ConfigError(
                    f"schedules.{name} has {len(horizons)} values and delays has {len(self.delays)}; give one s each"
                )


def main(config: DictConfig) -> None:
    """Plays all cells, prints their figures, and writes the report."""
    chosen = options(config, DemoOptions, GROUPS)
    cells = cells_of(config, chosen)
    for cell in cells:
        check(cell, workers=chosen.workers)
    folder = run_folder(config)
    out = console()
    out.print(f"{len(cells)} cells of {chosen.episodes} episodes each, in simulated time; {explain()}")
    played = list(track(evaluate_all(cells, workers=chosen.workers), "playing", len(cells), console=out))
    described = [describe(cell, summarise(episodes)) for cell, episodes in zip(cells, played, strict=True)]
    write_records(folder, played)
    live = list(_in_real_time(cells, chosen, out))
    summary = {"command": "demo", "cells": described, "realtime": live}
    folder.write_json(SUMMARY, {**summary, **provenance(chosen.seed)})
    clipped = _clip(folder.path / "clip.webp", cells, played, chosen.featured)
    out.print(success_table(described))
    if live:
        out.print(live_table(live))
    out.print(_in_words(described, chosen.featured))
    report_on(folder.path)
    if clipped:
        out.print(f"clip:   {folder.path / 'clip.webp'}", soft_wrap=True)


def cells_of(config: DictConfig, chosen: DemoOptions) -> list[Cell]:
    """A cell for each delay and strategy, with the strategy's own s at that delay."""
    return [
        Cell(
            task=group(config, "task"),
            strategy=StrategyConfig(name, s=horizons[i], ensemble=EnsembleConfig(chosen.decay)),
            latency={"name": "fixed", "ticks": delay},
            planner=group(config, "planner"),
            episodes=chosen.episodes,
            seed=chosen.seed,
            traces=chosen.traces if delay == chosen.featured else 0,
        )
        for i, delay in enumerate(chosen.delays)
        for name, horizons in chosen.schedules.items()
    ]


def _in_real_time(cells: Sequence[Cell], chosen: DemoOptions, out: Console) -> Iterator[dict[str, Any]]:
    """Plays some episodes again in real time at the featured delay; yields a description of each strategy's run."""
    featured = [cell for cell in cells if cell.strategy.name in LIVE and cell.latency["ticks"] == chosen.featured]
    if not featured or not chosen.live:
        return
    with Progress(console=out) as progress, World(featured[0].task) as world:
        bar = progress.add_task("in real time", total=chosen.live * len(featured))
        for cell in featured:
            cell = replace(cell, episodes=chosen.live, reactions=False, traces=0)
            played, gauges = evaluate_live(cell, world, told=lambda: progress.advance(bar))
            figures = summarise([live_episode(one, world.task.spec) for one in played])
            yield describe_live(cell.strategy, gauges.figures(), figures)


def _clip(path: Path, cells: Sequence[Cell], played: Sequence[Sequence[Episode]], delay: int) -> bool:
    """Renders the first episode that vlash solves and sync does not, or else the first of all.

    Returns whether the clip was written; without traces of both, or without a renderer, it is not.
    """
    lanes = {
        cell.strategy.name: [episode for episode in episodes if episode.trace is not None]
        for cell, episodes in zip(cells, played, strict=True)
        if cell.latency["ticks"] == delay
    }
    if not all(lanes.get(name) for name in SHOWN):
        return False
    pairs = list(zip(*(lanes[name] for name in SHOWN), strict=True))
    shown = next((pair for pair in pairs if pair[1].success and not pair[0].success), pairs[0])
    spec = make_task(**cells[0].task).spec
    return clip(path, cells[0].task, [_from_event(episode) for episode in shown], spec.period_s)


def _from_event(episode: Episode) -> tuple[Any, Any]:
    assert episode.trace is not None
    ticks = episode.trace.ticks
    since = ticks[ticks["tick"] >= (episode.event_tick or 0) - 10]
    return since["state"], since["environment"]


def _in_words(cells: Sequence[Description], delay: int) -> str:
    """The result at the featured delay in a sentence; empty without sync and vlash."""
    at = {cell["strategy"]["name"]: cell for cell in cells if cell["latency"]["ticks"] == delay}
    if not all(name in at for name in SHOWN):
        return ""
    milliseconds = 1000 * delay / at["vlash"]["rate_hz"]
    sync, vlash = (at[name]["figures"]["success"] for name in SHOWN)
    return (
        f"With {milliseconds:.0f} ms of inference the robot succeeds in {sync:.0f} % of episodes when it waits for the "
        f"policy (sync), and in {vlash:.0f} % when it moves on and the plan starts where it will be (vlash)."
    )

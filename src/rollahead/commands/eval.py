"""`rollahead eval`: plays the episodes of one cell, and writes their figures to a run folder.

An interrupted run or sweep goes on with `resume=true`, without playing an episode again.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from omegaconf import DictConfig

from rollahead.commands.advised import strategy_of
from rollahead.commands.app import console, group, in_sweep, options, report_on
from rollahead.commands.results import describe, table, write_records
from rollahead.commands.resume import folder_of
from rollahead.commands.rig import guard_of, limits_of
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, evaluate_all, summarise, why_no_reactions
from rollahead.evaluation.journal import JournalFile
from rollahead.evaluation.search import Refused, Search, candidates, find_best
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.recording.run_folder import REPORT, SUMMARY, RunFolder, finite, provenance
from rollahead.runtime.types.options import call
from rollahead.sim.pool import kept
from rollahead.sim.task import make_task

GROUPS = ("robot", "task", "strategy", "latency", "planner", "roller", "sampler", "search", "guard")
JOURNAL = "episodes.jsonl"  # file of the episodes played so far; removed at the end


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """Options of `rollahead eval` outside its groups (configs/eval.yaml)."""

    episodes: int
    seed: int
    reactions: bool
    lag: int
    traces: int | None
    workers: int
    resume: bool

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers}; give at least 1 process")
        if self.traces is not None and self.traces < 0:
            raise ConfigError(f"traces is {self.traces}; give 0 or more episodes, or null for all")


def main(config: DictConfig) -> None:
    """Plays the cell that `config` describes, and writes its run folder."""
    chosen = options(config, EvalOptions, GROUPS)
    strategy, lines = strategy_of(config, make_task(**group(config, "task")).spec)
    cell = cell_of(config, chosen, strategy)
    search = call(Search, group(config, "search"), "search")
    tried, refused = candidates(cell, search)
    folder = folder_of(config, resume=chosen.resume)
    if (folder.path / SUMMARY).exists():
        console().print(f"{folder.path} was run already", soft_wrap=True)
        (folder.path / JOURNAL).unlink(missing_ok=True)
    else:
        try:
            for words in dict.fromkeys((*lines, *_told(cell, search, tried, refused))):
                console().print(words, soft_wrap=True, markup=False, highlight=False)
            _play(folder, cell, tried, refused, chosen.workers)
        except KeyboardInterrupt:
            console().print(f"to go on: the same with name={config.name} resume=true", soft_wrap=True)
            raise
    if not in_sweep() and not (folder.path / REPORT).exists():
        report_on(folder.path)


def _told(cell: Cell, search: Search, tried: Sequence[Cell], refused: Sequence[Refused]) -> Iterator[str]:
    """Yields lines for the user about candidates of the search that are not tried and figures that are not measured."""
    name = cell.strategy.name
    if cell.reactions and (why := why_no_reactions(make_task(**cell.task))):
        yield why
    if search.decay and name != "ensemble":
        yield f"search.decay is of an ensemble's weights, and {name} has none: it is searched without"
    yield from (f"not tried: {one.why}" for one in refused)
    if refused and len(tried) == 1:
        yield f"so nothing is searched: s = {tried[0].strategy.s} is what is left"


def _play(folder: RunFolder, cell: Cell, tried: Sequence[Cell], refused: Sequence[Refused], workers: int) -> None:
    """Plays `cell` with the best strategy of those in `tried`, and writes the results to `folder`."""
    began = time.perf_counter()
    with JournalFile(folder.path / JOURNAL, make_task(**cell.task)) as journal:
        pool = kept(workers) if workers > 1 else None
        play = partial(evaluate_all, pool=pool, journal=journal)
        strategy, searched = find_best(tried, play)
        cell = replace(cell, strategy=strategy)
        (episodes,) = play([cell])
    described = describe(cell, summarise(episodes))
    if searched:
        described["search"] = finite([one.row for one in searched])
    if refused:
        described["search_refused"] = finite([asdict(one) for one in refused])
    write_records(folder, [episodes])
    took_s = None if journal.resumed else time.perf_counter() - began
    folder.write_json(SUMMARY, {"command": "eval", "cells": [described], "took_s": took_s, **provenance(cell.seed)})
    journal.remove()
    console().print(table([described]))


def cell_of(config: DictConfig, chosen: EvalOptions, strategy: StrategyConfig) -> Cell:
    """The cell that `config` describes, with `strategy`."""
    return Cell(
        task=group(config, "task"),
        strategy=strategy,
        latency=group(config, "latency"),
        planner=group(config, "planner"),
        roller=group(config, "roller"),
        sampler=group(config, "sampler"),
        episodes=chosen.episodes,
        seed=chosen.seed,
        reactions=chosen.reactions,
        lag=chosen.lag,
        limits=limits_of(config),
        guard=guard_of(config, simulated=True),
        traces=chosen.episodes if chosen.traces is None else chosen.traces,
    )

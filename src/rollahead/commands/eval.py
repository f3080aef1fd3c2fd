"""`rollahead eval`: measures one cell, and leaves its run folder."""

from dataclasses import dataclass

from omegaconf import DictConfig

from rollahead.commands.app import console, group, options, report_on, run_folder
from rollahead.commands.results import describe, table, write_records
from rollahead.runtime.build import StrategyConfig
from rollahead.runtime.options import call
from rollahead.runtime.run_folder import provenance
from rollahead.sim.evaluation import Cell, check, evaluate, summarise

GROUPS = ("task", "strategy", "latency", "planner", "roller", "sampler")


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What stands beside the groups; see configs/eval.yaml."""

    episodes: int
    seed: int
    reactions: bool
    workers: int


def main(config: DictConfig) -> None:
    """Runs the cell that `config` describes."""
    chosen = options(config, EvalOptions, GROUPS)
    cell = cell_of(config, chosen)
    check(cell, workers=chosen.workers)
    folder = run_folder(config)
    episodes = evaluate(cell, workers=chosen.workers)
    cells = [describe(cell, summarise(episodes))]
    write_records(folder, [episodes])
    folder.write_json("summary.json", {"command": "eval", "cells": cells, **provenance(cell.seed)})
    console().print(table(cells))
    report_on(folder.path)


def cell_of(config: DictConfig, chosen: EvalOptions) -> Cell:
    """The cell that `config` describes. Raises: ConfigError, if the strategy takes no such option."""
    return Cell(
        task=group(config, "task"),
        strategy=call(StrategyConfig, group(config, "strategy"), "strategy"),
        latency=group(config, "latency"),
        planner=group(config, "planner"),
        roller=group(config, "roller"),
        sampler=group(config, "sampler"),
        episodes=chosen.episodes,
        seed=chosen.seed,
        reactions=chosen.reactions,
        traces=chosen.episodes,
    )

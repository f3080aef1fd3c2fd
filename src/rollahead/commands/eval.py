"""`rollahead eval`: measures one cell, and leaves its run folder."""

from omegaconf import DictConfig
from rich.console import Console

from rollahead.commands.app import group, report_on, run_folder
from rollahead.commands.results import describe, table, write_records
from rollahead.errors import ConfigError
from rollahead.runtime.build import StrategyConfig
from rollahead.runtime.run_folder import provenance
from rollahead.sim.evaluation import Cell, check, evaluate, summarise


def main(config: DictConfig) -> None:
    """Runs the cell that `config` describes."""
    cell = cell_of(config)
    check(cell)
    folder = run_folder(config)
    episodes = evaluate(cell, workers=int(config.workers))
    cells = [describe(cell, summarise(episodes))]
    write_records(folder, [episodes])
    folder.write_json("summary.json", {"command": "eval", "cells": cells, **provenance(cell.seed)})
    Console().print(table(cells))
    report_on(folder.path)


def cell_of(config: DictConfig) -> Cell:
    """The cell that `config` describes. Raises: ConfigError, if the strategy takes no such option."""
    options = group(config, "strategy")
    try:
        strategy = StrategyConfig(**options)
    except TypeError as error:
        raise ConfigError(f"strategy {options.get('name')!r} cannot be made with {options}: {error}") from error
    return Cell(
        task=group(config, "task"),
        strategy=strategy,
        latency=group(config, "latency"),
        planner=group(config, "planner"),
        episodes=int(config.episodes),
        seed=int(config.seed),
        reactions=bool(config.reactions),
        traces=int(config.episodes),
    )

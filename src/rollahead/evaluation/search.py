"""Search for the best execution horizon s of a strategy and, for an ensemble, the decay of its weights.

It uses seeds that are not reported, and everything that was tried is reported with what was found.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, Episode, Stage
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import EnsembleConfig

SEED = 1_000_000  # seed of the search's first episode

Play = Callable[[Sequence[Cell]], Iterable[Sequence[Episode]]]  # `evaluate_all`


@dataclass(frozen=True, slots=True)
class Search:
    """Options of the search.

    Attributes:
        s: Execution horizons to try; None to keep the strategy's.
        decay: Decays of an ensemble's weights to try, each with each s; None to keep the strategy's. Other strategies
            ignore it.
        episodes: Number of episodes of each candidate.

    Raises ConfigError if a value is no list of numbers, or there are no episodes.
    """

    s: Sequence[int] | None = None
    decay: Sequence[float] | None = None
    episodes: int = 50

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ConfigError(f"search.episodes is {self.episodes}; give at least 1")
        for name, kind in (("s", int), ("decay", int | float)):
            values = getattr(self, name)
            numbers = isinstance(values, Sequence) and all(isinstance(value, kind) for value in values)
            if values is not None and not (numbers and values):
                raise ConfigError(f"search.{name} is {values}; give a list of numbers, such as [2, 4, 8], or null")


@dataclass(frozen=True, slots=True)
class Tried:
    """Result of one candidate.

    Attributes:
        cell: The cell that was played.
        hits: Number of episodes that succeeded.
        time_s: Mean time in seconds of these; infinite if none succeeded.
    """

    cell: Cell
    hits: int
    time_s: float

    @property
    def row(self) -> dict[str, Any]:
        """Row of this candidate in `summary.json`: `s`, `decay`, `success` in percent, and `time_s`."""
        strategy = self.cell.strategy
        success = 100.0 * self.hits / self.cell.episodes
        return {"s": strategy.s, "decay": strategy.ensemble.decay, "success": success, "time_s": self.time_s}


@dataclass(frozen=True, slots=True)
class Refused:
    """A candidate that is not feasible, and why."""

    s: int
    decay: float
    why: str


def candidates(cell: Cell, search: Search) -> tuple[list[Cell], list[Refused]]:
    """Cells to play on the search's seeds, one for each feasible s and decay, and the candidates that are not feasible.

    Raises ConfigError if no candidate is feasible (with the reason of the last one), if the task does not do what a
    task must, or if the cell has seeds of the search.
    """
    decays = search.decay if search.decay and cell.strategy.name == "ensemble" else [cell.strategy.ensemble.decay]
    stage = Stage(cell)
    found, refused = [], []
    for s, decay in dict.fromkeys(product(search.s or [cell.strategy.s], map(float, decays))):
        tried = replace(cell, strategy=replace(cell.strategy, s=s, ensemble=EnsembleConfig(decay)))
        elsewhere = replace(tried, episodes=search.episodes, seed=SEED, reactions=False, traces=0)
        try:
            stage.check(tried)
            stage.check(elsewhere)
            found.append(elsewhere)
        except ConfigError as error:
            refused.append(Refused(s, decay, str(error)))
            last = error
    if not found:
        raise last
    stage.check_task(cell)
    stop = SEED + search.episodes
    if len(found) > 1 and cell.seed < stop and cell.seed + cell.episodes > SEED:
        raise ConfigError(
            f"seed is {cell.seed} and episodes {cell.episodes}, and the search plays the seeds {SEED} to {stop - 1}; "
            f"give a seed of {stop} or more, so that the reported episodes are others"
        )
    return found, refused


def find_best(tried: Sequence[Cell], play: Play) -> tuple[StrategyConfig, list[Tried]]:
    """Best strategy of those tried, and the result of each; no results if only one was tried.

    The best succeeded most often; among equals it has the shortest mean task time, and then the longest s.
    """
    if len(tried) == 1:
        return tried[0].strategy, []
    results = [_tried(cell, episodes) for cell, episodes in zip(tried, play(tried), strict=True)]
    best = max(results, key=lambda one: (one.hits, -one.time_s, one.cell.strategy.s, one.cell.strategy.ensemble.decay))
    return best.cell.strategy, results


def _tried(cell: Cell, episodes: Sequence[Episode]) -> Tried:
    times = [episode.time_s for episode in episodes if episode.success]
    return Tried(cell, len(times), statistics.mean(times) if times else math.inf)

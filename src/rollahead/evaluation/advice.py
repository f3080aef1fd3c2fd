"""Advice from episodes: plays several schedules on a task and says which of them to use.

**Screening** is successive halving (Karnin, Koren, Somekh, ICML 2013): all schedules play the same few seeds, the
better half of them twice as many new ones, and so on until two are left. All rounds have about as many episodes.
**Confirming** plays the best few, together with the well-known schedules in `KNOWN`, on seeds that were not played
before, so that the reported figures were not chosen for being high. The advice is the best of the screening that no
other schedule beats there.

A schedule *beats* another on the same seeds if, of the episodes that only one of the two solves, it solves more than
half: the Wilson 95 % interval of that share is entirely above one half.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, Episode, Stage
from rollahead.evaluation.metrics import wilson
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.types.seeds import MOST_SEED

FRESH = 1_000_000  # distance between the seeds of the screening and those of the confirmation
LAST = 2  # episodes in the last round of the screening, in multiples of those of the confirmation
FINALISTS = 3  # number of schedules from the screening that are confirmed
KNOWN = ("naive", "sync")

Play = Callable[[Sequence[Cell]], Iterable[Sequence[Episode]]]  # `evaluate_all`


@dataclass(slots=True)
class Screened:
    """A schedule and its results in the screening.

    Attributes:
        strategy: The schedule.
        episodes: Number of episodes played.
        hits: Number of episodes that it solved.
        times_s: Time in seconds of each episode that it solved.
    """

    strategy: StrategyConfig
    episodes: int = 0
    hits: int = 0
    times_s: list[float] = field(default_factory=list)

    def add(self, played: Sequence[Episode]) -> None:
        """Adds the episodes of a round."""
        self.episodes += len(played)
        self.times_s += [episode.time_s for episode in played if episode.success]
        self.hits = len(self.times_s)

    @property
    def merit(self) -> tuple[float, float]:
        """Sort key for ranking: the number of solved episodes, then the speed."""
        return (self.hits, -math.fsum(self.times_s) / self.hits if self.hits else -math.inf)

    @property
    def row(self) -> dict[str, Any]:
        """Row of this schedule in `summary.json`: its strategy, the episodes played, and how many of them succeeded."""
        return {"strategy": asdict(self.strategy), "episodes": self.episodes, "hits": self.hits}


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A schedule with its episodes on the fresh seeds."""

    strategy: StrategyConfig
    episodes: Sequence[Episode]


@dataclass(frozen=True, slots=True)
class Advice:
    """Result of screening and confirming.

    Attributes:
        chosen: The schedule to use.
        confirmed: Episodes of each finalist on the fresh seeds.
        screened: All schedules that were played, the best first.
    """

    chosen: StrategyConfig
    confirmed: Sequence[Confirmed]
    screened: Sequence[Screened]

    @property
    def order(self) -> list[StrategyConfig]:
        """Confirmed schedules, the one to use first."""
        return sorted((one.strategy for one in self.confirmed), key=lambda one: one != self.chosen)

    def episodes(self, strategy: StrategyConfig) -> Sequence[Episode]:
        """Episodes that confirm `strategy`."""
        return next(one.episodes for one in self.confirmed if one.strategy == strategy)


def advise(
    cell: Cell,
    schedules: Sequence[StrategyConfig],
    play: Play,
    told: Callable[[str], object] = lambda words: None,
) -> Advice:
    """Plays `schedules` and returns which of them to use.

    The first of them is confirmed whatever the screening says, as is the best of each strategy in `KNOWN`.

    Args:
        cell: The task, latency and planner, and the episodes that confirm.
        schedules: The schedules to choose from.
        play: Plays the episodes of cells.
        told: Called with a line of progress before each round.
    """
    screened = screen(cell, schedules, play, told)
    cells = playable([replace(cell, strategy=one) for one in _finalists(screened, schedules[0])])
    told(f"confirming {len(cells)} schedules on {cell.episodes} fresh episodes each")
    confirmed = [Confirmed(one.strategy, episodes) for one, episodes in zip(cells, play(cells), strict=True)]
    return Advice(unbeaten(screened, confirmed), confirmed, screened)


def _finalists(screened: Sequence[Screened], first: StrategyConfig) -> list[StrategyConfig]:
    order = [one.strategy for one in screened]
    known = [next((one for one in order if one.name == name), first) for name in KNOWN]
    found = [*order[:FINALISTS], first, *known]
    return [one for i, one in enumerate(found) if one not in found[:i]]


def screen(
    cell: Cell, schedules: Sequence[StrategyConfig], play: Play, told: Callable[[str], object] = lambda words: None
) -> list[Screened]:
    """Plays rounds of successive halving and returns every playable schedule, the best first.

    Schedules that were dropped in an earlier round are last.
    """
    left, out = [Screened(one) for one in schedules], list[Screened]()
    seed = cell.seed + (FRESH if cell.seed < MOST_SEED // 2 else -FRESH)
    while left:
        later = max(len(left) - 1, 1).bit_length() - 1  # rounds after this one
        episodes = max(LAST * cell.episodes >> later, 1)
        base = replace(cell, seed=seed, episodes=episodes, reactions=False, traces=0)
        cells = playable([replace(base, strategy=one.strategy) for one in left])
        told(f"trying {len(cells)} schedules on {episodes} episodes each")
        left = [one for one in left if one.strategy in [each.strategy for each in cells]]
        for one, played in zip(left, play(cells), strict=True):
            one.add(played)
        left.sort(key=lambda one: one.merit, reverse=True)
        half = (len(left) + 1) // 2 if len(left) > 2 else 0
        left, out = left[:half], left[half:] + out
        seed += episodes
    return out


def playable(cells: Sequence[Cell]) -> list[Cell]:
    """Cells that can be played; a delay that is estimated may come out longer than s allows.

    Raises ConfigError if none can be played.
    """
    stage, found = Stage(cells[0]), []
    for cell in cells:
        try:
            stage.check(cell)
            found.append(cell)
        except ConfigError as error:
            refused = error
    if not found:
        raise refused
    return found


def unbeaten(screened: Sequence[Screened], confirmed: Sequence[Confirmed]) -> StrategyConfig:
    """First of the screened schedules that no confirmed schedule beats; the one that solves most is never beaten."""
    kept = [one.strategy for one in confirmed if not any(beats(other.episodes, one.episodes) for other in confirmed)]
    return next(one.strategy for one in screened if one.strategy in kept)


def beats(one: Sequence[Episode], other: Sequence[Episode]) -> bool:
    """Whether `one` solves more episodes than `other`, on the same seeds, beyond the interval."""
    won = sum(a.success and not b.success for a, b in zip(one, other, strict=True))
    lost = sum(b.success and not a.success for a, b in zip(one, other, strict=True))
    return wilson(won, won + lost)[0] > 0.5

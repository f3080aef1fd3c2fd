"""Comparisons: which cells may be compared (settings, series), and which episode the pictures show.

setting   cells that differ in their strategy only
series    cells that differ in their latency only
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rollahead.report.conditions import Condition, conditions
from rollahead.report.labels import Options, differing
from rollahead.report.load import CellResult
from rollahead.runtime.planning.latency import latency_words

CLOSE = 2.0  # points of success within which times may be compared (docs/design.md, "How things are measured")
MOST = 4  # largest number of timelines; if there are more cells, only the best of each strategy is shown


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A cell with its names.

    Attributes:
        cell: The cell.
        series: Name of its series, the same at every latency.
        options: `s`, and the options in which the series differs between latencies.
        condition: Task, planner, kind of latency and other settings.
    """

    cell: CellResult
    series: str
    options: str
    condition: Condition

    @property
    def setting(self) -> str:
        """Latency and condition as text."""
        return ", ".join(filter(None, [latency_words(self.cell.latency), self.condition.words]))

    @property
    def heading(self) -> str:
        """Latency, also in milliseconds, and condition as text."""
        ms = "" if self.cell.delay_ms is None else f" ({self.cell.delay_ms:.0f} ms)"
        return ", ".join(filter(None, [f"{latency_words(self.cell.latency)}{ms}", self.condition.words]))

    @property
    def strategy(self) -> str:
        """Name of the strategy."""
        return str(self.cell.strategy["name"])


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The episode that the pictures show: the same seed in several cells of one setting.

    Attributes:
        cells: The cells, all of one setting.
        episode: Seed of the episode.
        why: Text that says why this episode was chosen.
    """

    cells: tuple[Named, ...]
    episode: int
    why: str

    @property
    def setting(self) -> str:
        """Latency and condition that all cells share, as text."""
        return self.cells[0].setting

    @property
    def heading(self) -> str:
        """Latency, also in milliseconds, and condition that all cells share, as text."""
        return self.cells[0].heading

    @property
    def event_tick(self) -> int | None:
        """The tick at which the event could first be seen; None for a task without an event."""
        return self.cells[0].cell.episodes[self.episode].event_tick

    @property
    def pair(self) -> tuple[Named, ...]:
        """Two cells to show side by side: sync and vlash if they are there, else the least and the most successful."""
        by_name = _best_by_strategy(self.cells)
        if {"sync", "vlash"} <= by_name.keys():
            return by_name["sync"], by_name["vlash"]
        ranked = sorted(self.cells, key=_success)
        return tuple(ranked) if len(ranked) < 2 else (ranked[0], ranked[-1])


def name_cells(cells: Sequence[CellResult]) -> list[Named]:
    """Gives the cells short names, and sorts them by latency and then in the order in which the series came.

    A series is named after its strategy, with those options in which two of that strategy differ at one setting.
    """
    found = conditions(cells)
    settings = [(latency_words(cell.latency), one.words) for cell, one in zip(cells, found, strict=True)]
    words = _strategy_words(cells, settings)
    named = [Named(cell, *said, one) for cell, said, one in zip(cells, words, found, strict=True)]
    order = {series: i for i, series in enumerate(dict.fromkeys(n.series for n in named))}
    return sorted(named, key=lambda n: (_latency_order(n.cell), n.setting, order[n.series]))


def by_setting(cells: Iterable[Named]) -> list[list[Named]]:
    """Groups of cells that differ in their strategy only."""
    return [list(group) for _, group in groupby(cells, key=lambda named: named.setting)]


def over_delay(cells: Iterable[Named]) -> dict[str, list[Named]]:
    """Series that have cells at two delays or more, by name, each sorted by delay.

    The name includes the kind of latency if there are several kinds.
    """
    placed = [named for named in cells if named.cell.delay_ticks is not None]
    several = len({named.condition.latency for named in placed}) > 1
    found: dict[str, list[Named]] = {}
    for named in placed:
        latency = named.condition.latency if several else ""
        found.setdefault(", ".join(filter(None, [named.series, latency, named.condition.words])), []).append(named)
    return {name: points for name, points in found.items() if len({p.cell.delay_ticks for p in points}) > 1}


def delay_words(named: Named) -> str:
    """Delay as text, such as '8 ticks (160 ms)'; a latency without a place on the axis is described instead."""
    cell = named.cell
    known = cell.delay_ticks is not None
    return f"{cell.delay_ticks:g} ticks ({cell.delay_ms:.0f} ms)" if known else latency_words(cell.latency)


def best(cells: Sequence[Named]) -> list[Named]:
    """Most successful cells of a setting; none if there is no difference."""
    top = max(map(_success, cells))
    winners = [named for named in cells if _success(named) == top]
    return winners if len(winners) < len(cells) else []


def comparable(cells: Sequence[Named]) -> list[Named]:
    """Cells of a setting whose times may be compared: those within 2 points of the best success."""
    top = max(map(_success, cells))
    return [named for named in cells if _success(named) >= top - CLOSE]


def choose_scene(cells: Sequence[Named]) -> Scene | None:
    """Chooses the episode to show; None if nothing is recorded.

    The setting is the one with most recorded cells, then with the largest difference, then with the longest delay. The
    episode is the first in which the most successful strategy succeeds and the least successful fails, or else the
    first.
    """
    scenes = [scene for group in by_setting(cells) if (scene := _scene(group))]
    return max(scenes, key=lambda scene: (len(scene.cells), _spread(scene.cells), _delay(scene)), default=None)


def _scene(group: Sequence[Named]) -> Scene | None:
    cells = _shown([named for named in group if named.cell.recorded])
    if not cells:
        return None
    common = set.intersection(*(set(named.cell.recorded) for named in cells))
    if not common:
        return Scene(cells[:1], min(cells[0].cell.recorded), "the first")
    worse, *_, better = Scene(cells, 0, "").pair * 2
    telling = {episode for episode in common if _outcome(better, episode) and not _outcome(worse, episode)}
    if not telling:
        return Scene(cells, min(common), "the first")
    return Scene(cells, min(telling), f"the first in which {better.series} succeeds and {worse.series} fails")


def _shown(recorded: Sequence[Named]) -> tuple[Named, ...]:
    """All recorded cells, or the most successful of each strategy if there are too many."""
    if len(recorded) <= MOST:
        return tuple(recorded)
    chosen = _best_by_strategy(recorded)
    return tuple(named for named in recorded if chosen[named.strategy] is named)


def _best_by_strategy(cells: Sequence[Named]) -> dict[str, Named]:
    """Most successful cell of each strategy, the first among equals."""
    return {named.strategy: named for named in sorted(reversed(cells), key=_success)}


def _outcome(named: Named, episode: int) -> bool:
    return named.cell.episodes[episode].success


def _spread(cells: Sequence[Named]) -> float:
    return max(map(_success, cells)) - min(map(_success, cells))


def _delay(scene: Scene) -> float:
    return scene.cells[0].cell.delay_ticks or 0.0


def _success(named: Named) -> float:
    return float(named.cell.figures["success"])


def _strategy_words(cells: Sequence[CellResult], settings: Sequence[object]) -> list[tuple[str, str]]:
    """Name of each cell's series, and `s` and other options that differ elsewhere and are not in the name."""
    groups: dict[str, dict[object, list[Options]]] = {}
    for cell, setting in zip(cells, settings, strict=True):
        groups.setdefault(str(cell.strategy["name"]), {}).setdefault(setting, []).append(cell.strategy)
    keys = {name: _named_and_aside(list(by_setting.values())) for name, by_setting in groups.items()}
    return [_named(cell.strategy, *keys[str(cell.strategy["name"])]) for cell in cells]


def _named_and_aside(groups: Sequence[Sequence[Options]]) -> tuple[list[str], list[str]]:
    """Options that the name of a series of this strategy needs, and those that are shown beside it."""
    within = {key for group in groups for key in differing(group)}
    among = differing([strategy for group in groups for strategy in group])
    named = [key for key in among if key in within]
    return named, [key for key in dict.fromkeys(["s", *among]) if key not in named]


def _named(strategy: Options, named: Sequence[str], aside: Sequence[str]) -> tuple[str, str]:
    return " ".join([str(strategy["name"]), *_words(strategy, named)]), " ".join(_words(strategy, aside))


def _words(options: Options, keys: Iterable[str]) -> list[str]:
    return [f"{key}={'auto' if options[key] is None else options[key]}" for key in keys if key in options]


def _latency_order(cell: CellResult) -> tuple[bool, float, str]:
    delay = cell.delay_ticks
    return (delay is None, delay or 0.0, latency_words(cell.latency))

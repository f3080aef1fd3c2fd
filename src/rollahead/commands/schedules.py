"""Schedules with their predicted and measured figures, as `rollahead recommend` prints and writes them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rollahead.runtime.analysis.forecast import Forecast
from rollahead.runtime.analysis.recommend import Candidate
from rollahead.runtime.config.build import StrategyConfig


@dataclass(frozen=True, slots=True)
class Shown:
    """A schedule with its predicted and measured figures.

    Attributes:
        name: Label of the schedule.
        candidate: The schedule and its forecast.
        measured: Figures in lockstep; None if they depend on how the robot moves.
        figures: Figures of the episodes; None if none were played.
    """

    name: str
    candidate: Candidate
    measured: Forecast | None
    figures: Mapping[str, Any] | None = None

    @property
    def row(self) -> dict[str, Any]:
        """Row of this schedule in `summary.json`.

        It has the strategy, its predicted and measured figures, and those of the episodes, or null without episodes.
        """
        return {
            "name": self.name,
            "strategy": asdict(self.candidate.strategy),
            "cost_ticks": self.candidate.cost,
            "predicted": asdict(self.candidate.forecast),
            "measured": None if self.measured is None else asdict(self.measured),
            "episodes": self.figures,
        }


def schedule_words(strategy: StrategyConfig) -> str:
    """A schedule in a few words: 'vlash, s = 6, d = 6, late = moved'."""
    planned = f"d = {strategy.d}" if strategy.d is not None else f"quantile = {strategy.quantile:g}"
    words = [strategy.name, f"s = {strategy.s}", *([planned] if strategy.name != "sync" else [])]
    return ", ".join([*words, *([f"late = {strategy.late}"] if strategy.late != "tick" else [])])


def schedule_options(strategy: StrategyConfig) -> list[str]:
    """The options that set a schedule on a command line."""
    estimated = strategy.d is None
    options = {
        "s": strategy.s,
        "d": "null" if estimated else strategy.d,
        "quantile": f"{strategy.quantile:g}",
        "late": strategy.late,
        "q": strategy.q,
    }
    left_out = {
        "d": strategy.name == "sync",
        "quantile": not estimated,
        "late": strategy.late == "tick",
        "q": strategy.q == 1,
    }
    return [f"strategy.{name}={value}" for name, value in options.items() if not left_out.get(name)]


def table(shown: Sequence[Shown], period_s: float) -> Table:
    """A table with up to three rows per schedule: predicted, in lockstep, and in episodes of the task."""
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
        for label, row in zip((one.name, schedule_words(one.candidate.strategy), ""), rows, strict=False):
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

"""Conditions: what strategies that are compared have in common at every delay: task, planner, kind of latency."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollahead.report.labels import key, kind, labels
from rollahead.report.load import CellResult


@dataclass(frozen=True, slots=True)
class Condition:
    """Names of a cell's setting, by which a report tells it from others.

    Attributes:
        task: Name of the task.
        planner: Name of the planner.
        latency: Name of the kind of latency.
        roller: Text about the roller; empty where all cells have the same.
        limits: Text about the limits; empty where all cells have the same.
        guard: Text about the guard; empty where all cells have the same.
        words: Everything else that differs between cells, except for what `latency_words` says.
    """

    task: str
    planner: str
    latency: str
    roller: str
    limits: str
    guard: str
    words: str

    @property
    def scene(self) -> str:
        """Planner, latency and setting as text: all but the task."""
        return ", ".join(filter(None, [f"planner {self.planner}", f"{self.latency} latency", self.setting]))

    @property
    def setting(self) -> str:
        """Roller, limits and guard as text, where they differ between cells."""
        return ", ".join(filter(None, [self.roller, self.limits, self.guard]))


def conditions(cells: Sequence[CellResult]) -> list[Condition]:
    """Condition of each of `cells`, in their order."""
    tasks = _called([cell.task for cell in cells])
    planners = _called([cell.planner for cell in cells])
    latencies = _called([kind(cell.latency) for cell in cells])
    settings = _rollers(cells), _limits(cells), _guards(cells)
    differing = [names for names in (tasks, planners) if len(set(names)) > 1]
    apart = zip(_shapes(cells, latencies), map(_bound, cells), *differing, *settings, strict=True)
    words = [", ".join(filter(None, each)) for each in apart]
    return [Condition(*each) for each in zip(tasks, planners, latencies, *settings, words, strict=True)]


def _called(options: Sequence[Mapping[str, Any]]) -> list[str]:
    names = labels(options)
    return [names[key(one)] for one in options]


def _rollers(cells: Sequence[CellResult]) -> list[str]:
    names = _called([cell.roller for cell in cells])
    return [f"roller {name}" if len(set(names)) > 1 else "" for name in names]


def _limits(cells: Sequence[CellResult]) -> list[str]:
    """Text about each cell's limits: 'limits default.rate_limit 1.5', or 'no limits'."""
    said = [
        ", ".join(
            f"{name}.{limit} {value:g}" for name, of in sorted(cell.limits.items()) for limit, value in of.items()
        )
        for cell in cells
    ]
    return [(f"limits {one}" if one else "no limits") if len(set(said)) > 1 else "" for one in said]


def _guards(cells: Sequence[CellResult]) -> list[str]:
    """Text about each cell's guard: 'guard enabled false, ramp_s 0.5', or 'guard as usual'."""
    said = [", ".join(f"{name} {json.dumps(value)}" for name, value in sorted(cell.guard.items())) for cell in cells]
    return [f"guard {one or 'as usual'}" if len(set(said)) > 1 else "" for one in said]


def _shapes(cells: Sequence[CellResult], latencies: Sequence[str]) -> list[str]:
    """Name of the distribution of a latency with a given median, where there are several with the same model name."""
    given = [cell.latency.get("median") is not None for cell in cells]
    names = {latency: cell.latency["name"] for cell, latency in zip(cells, latencies, strict=True)}
    several = {name for name in names.values() if list(names.values()).count(name) > 1}
    return [
        latency if known and names[latency] in several else "" for latency, known in zip(latencies, given, strict=True)
    ]


def _bound(cell: CellResult) -> str:
    bind = cell.latency.get("bind_fraction") or 0
    return f"state bound after {bind:.0%}" if bind else ""

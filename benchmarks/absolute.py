"""Absolute targets, with and without limits: success, task time, jerk, jumps at switches, guard interventions.

    python -m benchmarks.absolute            plays all cells: about 15 minutes of two cores
    python -m benchmarks.absolute table      prints the table of the last run

A target that jumps as far as a late plan asks would not be sent to a real arm. So each strategy is played with free
targets, with targets limited to what the expert itself asks for within a plan on whack-a-mole, and with targets that
the servos can follow. The expert plans without knowing these limits.

On whack-a-mole each strategy has its best execution horizon `s` at that delay under these limits, searched on seeds
that are not reported. Belt and interception are played at one delay and one `s`.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.figures import RESULTS, Row, record, row
from rollahead.evaluation.evaluation import Cell, evaluate_all, summarise
from rollahead.evaluation.search import Search, candidates, find_best
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import EnsembleConfig
from rollahead.runtime.recording.run_folder import finite, provenance
from rollahead.runtime.robots.spec_limits import Limits
from rollahead.sim.gantry import FORCE_N, MASS_KG, RATE_HZ, SPEED
from rollahead.sim.pool import kept

TOPIC = "claims"
COMMAND = "python -m benchmarks.absolute"
TABLE = RESULTS / "tables" / f"{TOPIC}_absolute.json"
SEED, EPISODES, WORKERS = 0, 200, 2
STRATEGIES = ("naive", "ensemble", "vlash")
DECAY = -2.0  # of the ensemble's weights: its best in `benchmarks.skeleton absolute`
DELAYS = (4, 8, 12)  # ticks
TRIED = Search(s=(4, 8, 12, 16, 24), episodes=50)
MOVING = ("belt", "interception")  # scenes that vlash rolls too
MOVING_DELAY = 8  # ticks, and `s`
ASKED = 50.0  # m/s^2; no row of a plan of the expert changes the speed of its targets faster
LIMITS: Mapping[str, Limits] = {
    "none": {},
    "expert": {"default": {"rate_limit": SPEED, "accel_limit": ASKED}},
    "servo": {"default": {"rate_limit": SPEED, "accel_limit": FORCE_N / MASS_KG}},
}
SHOWN = (
    "episodes",
    "success",
    "success_ci",
    "time_s",
    "time_s_ci",
    "jerk",
    "guard_hits",
    "switch_step",
    "switch_step_max",
    "median_step_elsewhere",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A cell of the table. `limits`: a key of `LIMITS`; `delay`: in ticks."""

    task: str
    limits: str
    delay: int
    strategy: str

    @property
    def cell(self) -> Cell:
        """The cell to play. Its `s` is still the delay, or 8 if the delay is less."""
        rolled = self.strategy == "vlash" and self.task in MOVING
        return Cell(
            task={"name": self.task, "mode": "absolute"},
            strategy=StrategyConfig(self.strategy, s=max(self.delay, 8), d=self.delay, ensemble=EnsembleConfig(DECAY)),
            latency={"name": "fixed", "ticks": self.delay},
            roller={"name": "scene" if rolled else "robot"},
            episodes=EPISODES,
            seed=SEED,
            reactions=False,
            limits=LIMITS[self.limits],
        )


def cases() -> Iterator[Case]:
    """All cells, in the order of the table."""
    for limits in LIMITS:
        for delay in DELAYS:
            yield from (Case("mole", limits, delay, strategy) for strategy in STRATEGIES)
    for task in MOVING:
        for limits in ("none", "expert"):
            yield from (Case(task, limits, MOVING_DELAY, strategy) for strategy in STRATEGIES)


def absolute() -> None:
    """Plays all cells, and writes the table and the figures."""
    chosen = list(cases())
    cells = [_best(case) for case in chosen]
    entries = []
    for case, cell, episodes in zip(chosen, cells, evaluate_all(cells, pool=kept(WORKERS)), strict=True):
        figures = summarise(episodes)
        entries.append({**_named(case), "s": cell.strategy.s, **{name: figures[name] for name in SHOWN}})
        print(line(entries[-1]), flush=True)
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    content = {"cells": entries, "limits": LIMITS, "rate_hz": RATE_HZ, **provenance(SEED)}
    TABLE.write_text(json.dumps(finite(content), indent=1, allow_nan=False) + "\n")
    record(TOPIC, list(rows(entries)))


def _best(case: Case) -> Cell:
    """The cell of `case` with its best `s`, searched on whack-a-mole alone."""
    if case.task in MOVING:
        return case.cell
    tried, _ = candidates(case.cell, TRIED)
    strategy, _ = find_best(tried, partial(evaluate_all, pool=kept(WORKERS)))
    return replace(case.cell, strategy=strategy)


def _named(case: Case) -> dict[str, Any]:
    return {"task": case.task, "limits": case.limits, "delay": case.delay, "strategy": case.strategy}


def rows(entries: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """The figures of the topic.

    They are the success of naive and vlash on whack-a-mole from 160 ms on, and, at 240 ms within the expert's limits,
    jerk and guard interventions.
    """
    for entry in entries:
        if entry["task"] != "mole" or entry["delay"] < 8 or entry["strategy"] == "ensemble":
            continue
        name = f"{_prefix(entry['limits'])}_{entry['strategy']}_d{entry['delay']}"
        goal = ">= 95" if name == "absolute_limits_vlash_d8" else None
        yield row(name, entry["success"], "%", goal=goal, ci=entry["success_ci"], command=COMMAND, seed=SEED)
        if entry["limits"] == "expert" and entry["delay"] == 12:
            yield row(f"{name}_jerk", entry["jerk"], "m/s^3", command=COMMAND, seed=SEED)
            yield row(f"{name}_guard_hits", entry["guard_hits"], "%", command=COMMAND, seed=SEED)


def _prefix(limits: str) -> str:
    return {"none": "absolute_free", "expert": "absolute_limits", "servo": "absolute_servo_limits"}[limits]


def line(entry: Mapping[str, Any]) -> str:
    """One entry of the table as a line, printed when it is measured."""
    return f"{entry['task']} {entry['limits']} d={entry['delay']} {entry['strategy']}: {entry['success']:.1f} %"


def table(found: Mapping[str, Any], task: str) -> str:
    """The results of `task` as a Markdown table. Jumps are in cm, as means and maxima over all switches."""
    lines = [
        "| latency | limits | strategy | `s` | success % | task s | jerk m/s³ | jump cm | guard hits % |",
        f"|{'---|' * 9}",
    ]
    entries = [entry for entry in found["cells"] if entry["task"] == task]
    for entry in sorted(entries, key=lambda one: one["delay"]):  # stable: limits and strategies keep their order
        lines.append(_in_table(entry, found["rate_hz"]))
    return "\n".join(lines)


def _in_table(entry: Mapping[str, Any], rate_hz: float) -> str:
    low, high = entry["success_ci"]
    time_s = "" if entry["time_s"] is None else f"{entry['time_s']:.2f}"
    words = (
        f"{1000 * entry['delay'] / rate_hz:.0f} ms",
        entry["limits"],
        f"`{entry['strategy']}`",
        str(entry["s"]),
        f"{entry['success']:.0f} <sub>{low:.0f}..{high:.0f}</sub>",
        time_s,
        f"{entry['jerk']:.0f}",
        f"{100 * entry['switch_step']:.1f}, max {100 * entry['switch_step_max']:.0f}",
        f"{entry['guard_hits']:.0f}",
    )
    return f"| {' | '.join(words)} |"


def main(arguments: Sequence[str]) -> int:
    """Plays all, or prints the `table`."""
    if arguments not in ([], ["table"]):
        print(f"there is nothing called {' '.join(arguments)!r}; the command is {COMMAND}, or {COMMAND} table")
        return 2
    if not arguments:
        absolute()
    found = json.loads(TABLE.read_text())
    print("\n\n".join(f"**{task}**\n\n{table(found, task)}" for task in ("mole", *MOVING)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

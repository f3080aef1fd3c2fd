"""The advice of `rollahead recommend` under latencies that are held out, against the best of a grid.

    python -m benchmarks.advice regret       what following the advice loses against the best schedule of a grid
    python -m benchmarks.advice stretches    the recording in two halves: one to advise on, the other held out

Whack-a-mole with velocity actions at 50 Hz, chunks of 32 rows, the scripted planner, in simulated time. The advice is
made as the command makes it, with the episodes that it plays by default. Then the advised schedule and all of the grid
play the same 400 seeds, which were not played before, under latencies that were not seen before where there are any:
other draws, or the other half of the recording. The best of the grid is the one that is best on these 400, so that its
luck counts against the advice.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Row, load, record, row, run_named
from rollahead.errors import ConfigError
from rollahead.evaluation.advice import advise
from rollahead.evaluation.evaluation import Cell, Stage, evaluate, evaluate_all
from rollahead.evaluation.metrics import mean_interval, wilson
from rollahead.runtime.analysis.recommend import Setting, recommend
from rollahead.runtime.analysis.shortlist import shortlist
from rollahead.runtime.config.build import StrategyConfig, make_latency
from rollahead.runtime.planning import recordings
from rollahead.sim.task import make_task

TOPIC = "claims"
HERE = Path(__file__).parent / "traces"
MOLE: Mapping[str, Any] = {"name": "mole"}
HORIZON, RATE_HZ = 32, 50.0
ADVISED, HELD_OUT = 100, 400  # episodes
SEED, FRESH_SEED = 0, 500_000
Latency = Mapping[str, Any]
LATENCIES: Mapping[str, tuple[Latency, Latency]] = {  # to advise on, and held out
    "bimodal": ({"name": "spikes", "ticks": 3, "probability": 0.5, "low": 11, "high": 11},) * 2,
    "drift": ({"name": "scheduled", "at_s": [0, 2], "ticks": [2, 9], "ramp": True},) * 2,
    "throttled": ({"name": "scheduled", "at_s": [0, 1.2], "ticks": [4, 10]},) * 2,
    "recorded": (
        {"name": "recorded", "path": str(HERE / "diffusion_busy_first.txt"), "median": 6, "replay": "time"},
        {"name": "recorded", "path": str(HERE / "diffusion_busy_second.txt"), "median": 6, "replay": "time"},
    ),
}
DELAYS = (2, 3, 5, 7, 9, 11)


def grid() -> Iterator[StrategyConfig]:
    """`vlash` with each d, s and way with late plans, and `naive` with each s."""
    for d in DELAYS:
        for s in sorted({d, max(d, 8)}):
            for late in ("tick", "moved"):
                yield StrategyConfig("vlash", s=s, d=d, late=late)
    for s in (3, 6, 11):
        yield StrategyConfig("naive", s=s, d=s)


def cell_of(latency: Latency, episodes: int, seed: int) -> Cell:
    """Episodes of whack-a-mole under `latency`."""
    planner = {"name": "scripted", "horizon": HORIZON}
    return Cell(MOLE, StrategyConfig("sync"), latency, planner, episodes=episodes, seed=seed, reactions=False)


def advised(latency: Latency, episodes: int = ADVISED) -> tuple[StrategyConfig, StrategyConfig]:
    """The schedule that the forecast alone advises, and the one that the episodes do."""
    task = make_task(**MOLE)
    model = make_latency(rate_hz=RATE_HZ, **latency)
    setting = Setting(task.spec, HORIZON, model, seed=SEED, episode=task.max_ticks).drawn_once
    forecast = recommend(setting)
    advice = advise(cell_of(latency, episodes, SEED), shortlist(setting, forecast), evaluate_all)
    return forecast.chosen.strategy, advice.chosen


def hits(strategy: StrategyConfig, cell: Cell) -> np.ndarray[Any, Any]:
    """(episodes,), 1.0 where the mole was hit."""
    return np.array([float(episode.success) for episode in evaluate(replace(cell, strategy=strategy))])


def regrets(name: str, episodes: int = HELD_OUT, tried: int = ADVISED) -> dict[str, Any]:
    """What was advised under latency `name`, the best of the grid, and what they came to on the fresh seeds."""
    known, held_out = LATENCIES[name]
    said, chosen = advised(known, tried)
    cell = cell_of(held_out, episodes, FRESH_SEED)
    played = [(one, hits(one, cell)) for one in grid() if _can_be(replace(cell, strategy=one))]
    best, found = max(played, key=lambda one: float(one[1].sum()))
    return {
        "forecast": (said, hits(said, cell)),
        "advised": (chosen, hits(chosen, cell)),
        "best": (best, found),
    }


def _can_be(cell: Cell) -> bool:
    try:
        Stage(cell).check(cell)
    except ConfigError:
        return False
    return True


def regret(episodes: float = HELD_OUT, tried: float = ADVISED) -> None:
    """Points that the advice loses against the best of the grid, the most over all latencies."""
    command = "python -m benchmarks.advice regret"
    rows: list[Row] = []
    for name in LATENCIES:
        found = regrets(name, int(episodes), int(tried))
        for what, (strategy, played) in found.items():
            ci = [100.0 * end for end in wilson(int(played.sum()), len(played))]
            rows.append(row(f"advice_{name}_success_{what}", 100.0 * float(played.mean()), "%", command=command, ci=ci))
            print(f"{name}: {what} is {strategy.name}, s = {strategy.s}, d = {strategy.d}, late = {strategy.late}")
        rows.append(_points(f"recommended_regret_{name}", found["best"][1] - found["advised"][1], command))
    losses = [one for one in rows if one.name.startswith("recommended_regret_")]
    worst = max(losses, key=lambda one: one.value or 0.0)
    rows.append(replace(worst, name="recommended_regret_held_out_max", goal="<= 3"))
    record(TOPIC, rows)


def _points(name: str, differences: np.ndarray[Any, Any], command: str) -> Row:
    ci = [100.0 * end for end in mean_interval(differences)]
    return row(name, 100.0 * float(differences.mean()), "points", command=command, ci=ci, seed=FRESH_SEED)


def stretches() -> None:
    """Writes the two halves of the recording that comes with rollahead, in the order in which it was made."""
    lines = recordings.path("diffusion_busy").read_text().splitlines(keepends=True)
    HERE.mkdir(exist_ok=True)
    (HERE / "diffusion_busy_first.txt").write_text("".join(lines[: len(lines) // 2]))
    (HERE / "diffusion_busy_second.txt").write_text("".join(lines[len(lines) // 2 :]))


def advice_table() -> str:
    """The rows in Markdown, as docs/calibrate.md has them: success in %, and what the advice loses in points."""
    found = {figure.name: figure for figure in load() if figure.command.startswith("python -m benchmarks.advice")}
    lines = ["| latency | forecast alone | advised | best of the grid | loss, points |", "|---|---|---|---|---|"]
    for name in LATENCIES:
        success = [f"{found[f'advice_{name}_success_{what}'].value:.1f}" for what in ("forecast", "advised", "best")]
        loss = found[f"recommended_regret_{name}"]
        low, high = loss.ci or (0.0, 0.0)
        lines.append(f"| {name} | {' | '.join(success)} | {loss.value:.2f} ({low:.2f} to {high:.2f}) |")
    return "\n".join(lines)


BENCHMARKS: Mapping[str, Callable[..., None]] = {"regret": regret, "stretches": stretches}


def main(arguments: Sequence[str]) -> int:
    """Runs those named, or what follows the advice."""
    run_named(BENCHMARKS, arguments, long=("stretches",))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

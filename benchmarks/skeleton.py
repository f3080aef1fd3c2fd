"""The figures of the core in simulated time.

    python -m benchmarks.skeleton            all of them
    python -m benchmarks.skeleton study      one or several by name

In a study every strategy runs at its own best execution horizon `s` (the ensemble at its own best decay too), searched
on seeds that are not reported.
"""

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import RESULTS, record, row
from rollahead.commands.results import describe
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, Episode, check, evaluate_all, summarise
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import EnsembleConfig
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.strategy import Vlash
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.control.trigger import Every
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.recording.run_folder import provenance
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.types.spec import Dim, RobotSpec

TOPIC = "skeleton"
STRATEGIES = ("sync", "naive", "naive_arrival", "ensemble", "vlash")
DELAYS = (0, 2, 4, 6, 8, 12, 16)
HORIZONS = (2, 4, 8, 12, 16, 20, 24, 28, 32)  # values of s that are tried
DECAYS = (0.01, -0.5, -2.0)  # of the ensemble's weights: ACT's own, and two that favour the newest
SEARCH_SEED, SEARCH_EPISODES = 1_000_000, 100
SEED, EPISODES = 0, 400
WORKERS = 2

Study = dict[tuple[str, int], tuple[Cell, list[Episode]]]


def study() -> None:
    """Measures success, task time and reaction of each strategy over delays: velocity actions, 0.9 s per mole."""
    cells = _study("velocity", {"name": "mole"}, STRATEGIES, DELAYS)
    hits = summarise(cells["vlash", 8][1])
    command = "python -m benchmarks.skeleton study"
    record(
        TOPIC,
        [
            row("vlash_success_d8", hits["success"], "%", goal=">= 95", ci=hits["success_ci"], command=command),
            *(
                row(f"{name}_success_d8", figures["success"], "%", ci=figures["success_ci"], command=command)
                for name in STRATEGIES[:-1]
                for figures in [summarise(cells[name, 8][1])]
            ),
        ],
    )


def absolute() -> None:
    """Measures the same with absolute targets.

    Rolling does not win there, because the targets of a stale plan stay valid.
    """
    cells = _study("absolute", {"name": "mole", "mode": "absolute"}, STRATEGIES, DELAYS)
    command = "python -m benchmarks.skeleton absolute"
    rows = []
    for name in STRATEGIES:
        figures = summarise(cells[name, 8][1])
        rows.append(
            row(f"absolute_{name}_success_d8", figures["success"], "%", ci=figures["success_ci"], command=command)
        )
    record(TOPIC, rows)


def speedup() -> None:
    """Measures the task time of sync over that of vlash if the mole waits, each at its fastest s.

    Both always hit then.
    """
    patient = {"name": "mole", "window_s": 4.0}
    slow = {**patient, "pace": 0.5}
    command = "python -m benchmarks.skeleton speedup"
    cells = _study("patient", patient, ("sync", "vlash"), (4, 8))
    rows = []
    for delay, goal in ((4, None), (8, ">= 2.03")):
        ratio, ci = time_ratio(cells["sync", delay][1], cells["vlash", delay][1])
        rows.append(row(f"task_speedup_vs_sync_d{delay}", ratio, "x", goal=goal, ci=ci, command=command))
    for q in (2, 3):
        task = slow if q == 2 else {**patient, "pace": 1 / 3}
        sync = _study(f"slow_demos_q{q}", task, ("sync",), (8,))["sync", 8][1]
        for of, strategies in (("vlash", "vlash"), ("sync", "sync")):
            faster = _study(f"slow_demos_q{q}_{of}", task, (strategies,), (8,), q=q)[of, 8][1]
            ratio, ci = time_ratio(sync, faster)
            rows.append(row(f"task_speedup_{of}_q{q}_slow_demos_d8", ratio, "x", ci=ci, command=command))
    record(TOPIC, rows)


def reaction() -> None:
    """Measures the reaction latency at VLASH's published setting: 25 actions at 50 Hz, 30 ms of inference (2 ticks).

    Also measured are the ratio at equal s, and each strategy at the s that reacts soonest within 2 points of its best
    success.
    """
    fixed = {name: _reaction_cell(*name) for name in (("sync", 25), ("vlash", 25), ("vlash", 2), ("naive", 2))}
    soonest = {name: _soonest(name) for name in ("sync", "vlash")}
    cells = [*fixed.values(), *soonest.values()]
    played = [summarise(episodes) for episodes in evaluate_all(cells, workers=WORKERS)]
    _write_table("reaction", [describe(cell, figures) for cell, figures in zip(cells, played, strict=True)])
    p95 = {name: figures["reaction_s"]["p95"] for name, figures in zip([*fixed, *soonest], played, strict=True)}
    command = "python -m benchmarks.skeleton reaction"
    ratios = {
        "reaction_p95_ratio_measured": p95["sync", 25] / p95["vlash", 2],
        "reaction_p95_ratio_same_s25": p95["sync", 25] / p95["vlash", 25],
        "reaction_p95_ratio_best_s": p95["sync"] / p95["vlash"],
        "reaction_ratio_published_bound": (25 * 0.02 + 0.03) / 0.03,
    }
    goals = {"reaction_p95_ratio_measured": ">= 6"}
    rows = [row(name, ratio, "x", goal=goals.get(name), command=command) for name, ratio in ratios.items()]
    for (name, s), figures in zip(fixed, played, strict=False):
        milliseconds = 1000 * figures["reaction_s"]["p95"]
        rows.append(row(f"reaction_p95_{name}_s{s}", milliseconds, "ms", command=command))
        success, ci = figures["success"], figures["success_ci"]
        rows.append(row(f"reaction_success_{name}_s{s}", success, "%", ci=ci, command=command))
    record(TOPIC, rows)


def _reaction_cell(strategy: str, s: int, *, seed: int = SEED, episodes: int = EPISODES) -> Cell:
    latency = {"name": "fixed", "ticks": 2}
    return Cell({"name": "mole"}, StrategyConfig(strategy, s=s, d=2), latency, episodes=episodes, seed=seed)


def _soonest(strategy: str) -> Cell:
    """The cell with the soonest reaction, searched on seeds that are not reported."""
    tried = [_reaction_cell(strategy, s, seed=SEARCH_SEED, episodes=SEARCH_EPISODES) for s in HORIZONS]
    played = [summarise(episodes) for episodes in evaluate_all(tried, workers=WORKERS)]
    best = max(figures["success"] for figures in played)
    near = [
        (figures["reaction_s"]["p95"], cell.strategy.s)
        for cell, figures in zip(tried, played, strict=True)
        if figures["success"] >= best - 2
    ]
    return _reaction_cell(strategy, min(near)[1])


def lockstep() -> None:
    """Measures the ticks per second of the core alone: vlash, H = 32, s = 8, d = 4, one dimension, no physics."""
    spec = RobotSpec(action=(Dim("x", drives="x"),), state=(Dim("x"),), rate_hz=50)
    rows = np.arange(32.0)[:, None]
    rates = []
    for _ in range(7):
        executor = Executor(
            LoopbackRobot(spec), Vlash(Every(8)), DelayEstimator(fixed=4), Trace(spec, 20_000), horizon=32
        )
        planner = ScriptedPlanner(lambda observation, rng: rows)
        inference = Inference(planner, SpeedUp(spec, 1), horizon=32, action_dim=1)
        driver = Lockstep(executor, inference, Fixed(4), lambda: None)
        begin = time.perf_counter()
        driver.run(0, 20_000)
        rates.append(20_000 / (time.perf_counter() - begin))
    rates = rates[2:]  # the first two warm up
    value = statistics.median(rates)
    command = "python -m benchmarks.skeleton lockstep"
    record(
        TOPIC,
        [row("lockstep_ticks_per_s", value, "1/s", goal=">= 20000", ci=[min(rates), max(rates)], command=command)],
    )


def contract() -> None:
    """Counts the schedules that all contract tests enumerate, and measures their time in seconds.

    The slow tests are included.
    """
    folders = import_module("tests").__path__
    if (ours := str(Path(__file__).parents[1] / "tests")) not in folders:
        folders.insert(0, ours)  # LeRobot's dependencies install a package of that name
    count, seconds = import_module("tests.runtime.test_contract").walk_all(slow=True)
    command = "python -m benchmarks.skeleton contract"
    record(
        TOPIC,
        [
            row("contract_schedules", count, "schedules", command=command),
            row("contract_seconds", seconds, "s", command=command),
        ],
    )


def help_time() -> None:
    """Measures `rollahead --help` as a process, alternating with `lerobot-rollout --help`.

    The latter is that of LeRobot 0.6.1 (`make peers`).
    """
    programs = {"own": str(Path(sys.executable).parent / "rollahead"), "peer": ".venv-peers/bin/lerobot-rollout"}
    has_peer = Path(programs["peer"]).exists()
    times: dict[str, list[float]] = {"own": [], "peer": []}
    for block in range(8):
        for name, program in programs.items():
            if name == "own" or has_peer:
                seconds = _seconds([program, "--help"])
                if block >= 2:  # the first blocks warm the disk's cache
                    times[name].append(seconds)
    command = "python -m benchmarks.skeleton help_time"
    value = statistics.median(times["own"])
    rows = [
        row("program_help_s", value, "s", goal="<= 0.25", ci=[min(times["own"]), max(times["own"])], command=command)
    ]
    if has_peer:
        ratios = [own_s / peer_s for own_s, peer_s in zip(times["own"], times["peer"], strict=True)]
        rows.append(
            row(
                "help_ratio_vs_lerobot_rollout",
                statistics.median(ratios),
                "",
                goal="<= 0.05",
                ci=[min(ratios), max(ratios)],
                command=command,
            )
        )
    else:
        print("no .venv-peers: run `make peers` first to compare with LeRobot's help")
    record(TOPIC, rows)


def study_table(table: Mapping[str, Any]) -> str:
    """The success in a study as a Markdown table, a row per strategy and a column per delay: '41 (37 to 46)'."""
    cells = {(cell["strategy"]["name"], cell["latency"]["ticks"]): cell for cell in table["cells"]}
    names = list(dict.fromkeys(name for name, _ in cells))
    delays = sorted({delay for _, delay in cells})
    rate_hz = table["cells"][0]["rate_hz"]
    lines = [
        f"| | {' | '.join(f'{1000 * delay / rate_hz:.0f} ms' for delay in delays)} |",
        f"|---|{'---|' * len(delays)}",
    ]
    for name in names:
        figures = [cells[name, delay]["figures"] for delay in delays]
        lines.append(f"| `{name}` | {' | '.join(_share(each) for each in figures)} |")
    return "\n".join(lines)


def _share(figures: Mapping[str, Any]) -> str:
    low, high = figures["success_ci"]
    return f"{figures['success']:.0f} <sub>{low:.0f}..{high:.0f}</sub>"


def time_ratio(slow: Sequence[Episode], fast: Sequence[Episode]) -> tuple[float, list[float]]:
    """Mean task time of `slow` over that of `fast`, over the episodes that both solve, and its bootstrap interval."""
    pairs = np.array([(a.time_s, b.time_s) for a, b in zip(slow, fast, strict=True) if a.success and b.success])
    picks = np.random.default_rng(0).integers(len(pairs), size=(2000, len(pairs)))
    means = pairs[picks].mean(axis=1)
    low, high = np.quantile(means[:, 0] / means[:, 1], [0.025, 0.975])
    a, b = pairs.mean(axis=0)
    return float(a / b), [float(low), float(high)]


def _study(name: str, task: Mapping[str, Any], strategies: Sequence[str], delays: Sequence[int], q: int = 1) -> Study:
    """Plays each strategy at each delay, at the s that was best on the search's seeds, and writes the whole table."""
    tried = _search(task, strategies, delays, q)
    best = [_best(tried, strategy, delay) for strategy in strategies for delay in delays]
    cells = [replace(cell, episodes=EPISODES, seed=SEED, reactions=True) for cell in best]
    played = list(evaluate_all(cells, workers=WORKERS))
    table = [describe(cell, summarise(episodes)) for cell, episodes in zip(cells, played, strict=True)]
    search = [describe(cell, summarise(episodes)) for cell, episodes in tried]
    _write_table(name, table, search)
    return {
        (cell.strategy.name, int(cell.latency["ticks"])): (cell, episodes)
        for cell, episodes in zip(cells, played, strict=True)
    }


def _search(
    task: Mapping[str, Any], strategies: Sequence[str], delays: Sequence[int], q: int
) -> list[tuple[Cell, list[Episode]]]:
    cells = []
    for strategy in strategies:
        for delay in delays:
            for s in HORIZONS:
                for decay in DECAYS if strategy == "ensemble" else DECAYS[:1]:
                    config = StrategyConfig(strategy, s=s, d=delay, q=q, ensemble=EnsembleConfig(decay))
                    latency = {"name": "fixed", "ticks": delay}
                    cell = Cell(task, config, latency, episodes=SEARCH_EPISODES, seed=SEARCH_SEED, reactions=False)
                    if _can_be(cell):
                        cells.append(cell)
    return list(zip(cells, evaluate_all(cells, workers=WORKERS), strict=True))


def _can_be(cell: Cell) -> bool:
    try:
        check(cell)
    except ConfigError:
        return False
    return True


def _best(tried: Sequence[tuple[Cell, list[Episode]]], strategy: str, delay: int) -> Cell:
    """The cell with the most hits; of equals, the one with the shortest mean task time."""
    rated = [
        (
            sum(episode.success for episode in episodes),
            -_mean_time(episodes),
            cell.strategy.s,
            cell.strategy.ensemble.decay,
            cell,
        )
        for cell, episodes in tried
        if cell.strategy.name == strategy and cell.latency["ticks"] == delay
    ]
    return max(rated, key=lambda entry: entry[:4])[4]


def _mean_time(episodes: Sequence[Episode]) -> float:
    times = [episode.time_s for episode in episodes if episode.success]
    return statistics.mean(times) if times else math.inf


def _write_table(name: str, table: Sequence[Any], search: Sequence[Any] = ()) -> None:
    path = RESULTS / "tables" / f"{TOPIC}_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    searched = [
        {
            "strategy": cell["strategy"]["name"],
            "d": cell["latency"]["ticks"],
            "s": cell["strategy"]["s"],
            "q": cell["strategy"]["q"],
            "decay": cell["strategy"]["ensemble"]["decay"],
            "success": cell["figures"]["success"],
            "time_s": cell["figures"]["time_s"],
        }
        for cell in search
    ]
    content = {"cells": list(table), "search": searched, "search_seed": SEARCH_SEED, **provenance(SEED)}
    path.write_text(json.dumps(content, indent=1) + "\n")


def _seconds(command: Sequence[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


FIGURES: Mapping[str, Callable[[], None]] = {
    "study": study,
    "absolute": absolute,
    "speedup": speedup,
    "reaction": reaction,
    "lockstep": lockstep,
    "contract": contract,
    "help_time": help_time,
}


def main(names: Sequence[str]) -> int:
    """Makes the figures of `names`, or all."""
    if unknown := set(names) - set(FIGURES):
        print(f"there is no figure {', '.join(sorted(unknown))}; choose from {', '.join(FIGURES)}")
        return 2
    for name in names or FIGURES:
        begin = time.perf_counter()
        FIGURES[name]()
        print(f"({name}: {time.perf_counter() - begin:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The study: every strategy on every task, scripted and trained, over delays, fixed and variable.

python -m benchmarks.study recording   times inferences of a diffusion policy here, for `latency=diffusion`
python -m benchmarks.study run         plays it, as `rollahead eval --multirun` does; resumes where it was stopped
python -m benchmarks.study figures     its figures and tables, from the played cells
python -m benchmarks.study speedup     task time with speed-up over slow demonstrations
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.figures import RESULTS, Row, record, row
from benchmarks.skeleton import time_ratio
from rollahead.assembly.planners import make_planning
from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.evaluation.evaluation import Cell, Episode, evaluate, evaluate_all
from rollahead.evaluation.search import Search, candidates, find_best
from rollahead.runtime.config.build import Drive, StrategyConfig, make_executor
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.planning import recordings
from rollahead.sim.pool import processes
from rollahead.sim.robot import SimRobot
from rollahead.sim.task import make_task

INFERENCES, WARM_UP, LOAD = 500, 20, 100_000
RECORDED = "diffusion_busy"
TOPIC, NAME = "evidence", "study"
VARIABLE = ("latency=lognormal,spikes,diffusion", "latency.median=2,4,6,8,12,16")  # at 0 all are as a fixed one
SWEEPS = [
    (f"+study={study}", *latency) for latency in (("latency=fixed",), VARIABLE) for study in ("strategies", "rollers")
]
EPISODES, WORKERS = 400, 2
FIXED = {"name": "fixed", "ticks": 8}


def recording() -> None:
    """Times LeRobot's Diffusion Policy of whack-a-mole with all its 100 steps.

    It runs on one thread, one inference after the other. Both cores are busy with episodes of another policy meanwhile.
    """
    import torch

    torch.set_num_threads(1)
    task = make_task("mole")
    scene = Scene(task.spec, task)
    planner = {"name": "policy", "checkpoint": "mole_diffusion"}
    planning = make_planning(planner, scene, make_rollers({"name": "robot"}, scene), sampler={"name": "ddpm"})
    drive = Drive(StrategyConfig("vlash"), planning.horizon, planning.n_obs)
    executor = make_executor(drive, SimRobot(task), DelayEstimator(fixed=8), Trace(task.spec, 1))
    task.reset(0)
    executor.warm()
    asked = executor.outbox.peek()
    assert asked is not None and asked.request is not None
    seconds = []
    with processes(WORKERS) as pool:
        busy = [pool.submit(evaluate, _load(seed)) for seed in range(LOAD)]
        busy[0].result()
        for _ in range(WARM_UP + INFERENCES):
            begin = time.perf_counter()
            planning.planner.infer(asked.request, lambda: asked)
            seconds.append(time.perf_counter() - begin)
        assert not busy[-1].done(), "the load must last"
    recordings.path(RECORDED).write_text("".join(f"{each:.4f}\n" for each in seconds[WARM_UP:]))


def _load(seed: int) -> Cell:
    """Plays an episode, which keeps a core busy for a moment."""
    planner = {"name": "policy", "checkpoint": "interception_flow"}
    return Cell({"name": "interception"}, StrategyConfig("vlash"), FIXED, planner, episodes=1, seed=seed)


def run() -> None:
    """Plays what has not been played yet: both cores, about two hours."""
    program = str(Path(sys.executable).parent / "rollahead")
    for sweep in SWEEPS:
        command = [program, "eval", "--multirun", *sweep, f"name={NAME}", "resume=true"]
        subprocess.run(command, check=False)  # schedules that cannot be are refused, and the others go on


def figures() -> None:
    """The figures of the study, and all of its cells as a table."""
    cells = read_cells(Path("runs") / NAME)
    write_cells(cells)
    command = "python -m benchmarks.study run figures"
    record(TOPIC, [_gain_row(cells, gain, command) for gain in GAINS])


@dataclass(frozen=True, slots=True)
class Gain:
    """A figure: the points by which `of` succeeds more often than the best of `over`, each (strategy, roller)."""

    name: str
    task: str
    planner: str
    ticks: int
    of: tuple[str, str]
    over: tuple[tuple[str, str], ...]
    goal: str | None = None


ROBOT, SCENE = "robot", "scene"
WAITING = (("sync", ROBOT), ("naive", ROBOT), ("naive_arrival", ROBOT))
GAINS = (
    Gain("pong_success_gain_d8", "interception", "flow", 8, ("vlash", ROBOT), WAITING, ">= 10"),
    Gain("pong_success_gain_scripted_d8", "interception", "scripted", 8, ("vlash", ROBOT), WAITING),
    Gain("belt_success_gain_d8", "belt", "flow", 8, ("vlash", SCENE), WAITING, ">= 10"),
    Gain("belt_success_gain_scripted_d8", "belt", "scripted", 8, ("vlash", SCENE), WAITING),
    Gain("belt_offsets_gain_d12", "belt", "flow", 12, ("vlash", ROBOT), (("naive", ROBOT),), ">= 40"),
    Gain("mole_success_gain_d8", "mole", "flow", 8, ("vlash", ROBOT), WAITING),
    Gain("mole_success_gain_d2", "mole", "flow", 2, ("vlash", ROBOT), WAITING),
)

Key = tuple[str, str, str, float, str, str]
KEY = ("task", "planner", "latency", "median", "strategy", "roller")


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """A cell of the study. hits: (n,) whether each episode succeeded, by its seed."""

    description: Mapping[str, Any]
    took_s: float | None
    hits: NDArray[np.bool_]

    @property
    def key(self) -> Key:
        """The key of the cell."""
        cell = self.description
        planner = "scripted" if cell["planner"]["name"] == "scripted" else "flow"
        latency = "diffusion" if cell["latency"]["name"] == "recorded" else cell["latency"]["name"]
        names = cell["strategy"]["name"], cell["roller"]["name"]
        return (cell["task"]["name"], planner, latency, float(cell["latency"]["median"]), *names)


def read_cells(folder: Path) -> dict[Key, Played]:
    """All played cells of a study."""
    found = {}
    for path in sorted(folder.glob("*/summary.json")):
        summary = json.loads(path.read_text())
        episodes = pq.read_table(path.parent / "episodes.parquet").sort_by("episode")
        (description,) = summary["cells"]
        played = Played(description, summary["took_s"], episodes["success"].to_numpy(zero_copy_only=False))
        found[played.key] = played
    return found


def write_cells(cells: Mapping[Key, Played]) -> None:
    """Writes `benchmarks/results/study.parquet`: a row per cell, with all values that the search tried."""
    shown = ("episodes", "success", "success_ci", "time_s", "age_ticks", "idle", "calls_per_s", "rows_lost")
    rows = [
        {
            **dict(zip(KEY, key, strict=True)),
            **{name: cell.description["strategy"][name] for name in ("s", "quantile")},
            "decay": cell.description["strategy"]["ensemble"]["decay"],
            **{name: cell.description["figures"][name] for name in shown},
            "search": cell.description.get("search", []),
            "took_s": cell.took_s,
        }
        for key, cell in sorted(cells.items())
    ]
    pq.write_table(pa.Table.from_pylist(rows), RESULTS / "study.parquet", compression="zstd")


LINES = (
    ("sync", ROBOT),
    ("naive", ROBOT),
    ("naive_arrival", ROBOT),
    ("ensemble", ROBOT),
    ("vlash", ROBOT),
    ("vlash", SCENE),
)
MOVING = ("interception", "belt")  # tasks where rolling the scene too is a line of its own
LATENCIES = ("fixed", "lognormal", "spikes", "diffusion")


def read_table() -> dict[Key, Mapping[str, Any]]:
    """The rows of `benchmarks/results/study.parquet`, by their key."""
    rows = pq.read_table(RESULTS / "study.parquet").to_pylist()
    return {tuple(cell[name] for name in KEY): cell for cell in rows}


def delay_table(cells: Mapping[Key, Mapping[str, Any]], task: str, planner: str, latency: str = "fixed") -> str:
    """Success as a Markdown table, a row per strategy and a column per delay: '41 (37 to 46)', and the best s."""
    delays = sorted({key[3] for key in cells if key[:3] == (task, planner, latency)})
    columns = [(task, planner, latency, delay) for delay in delays]
    return _table([f"{20 * delay:.0f} ms" for delay in delays], columns, task, cells)


def latency_table(cells: Mapping[Key, Mapping[str, Any]], task: str, planner: str, delay: float) -> str:
    """Success at one median latency as a Markdown table, a column per kind of latency."""
    columns = [(task, planner, latency, delay) for latency in LATENCIES]
    return _table(["fixed", "lognormal", "spikes", "recorded"], columns, task, cells)


def _table(
    headings: Sequence[str],
    columns: Sequence[tuple[str, str, str, float]],
    task: str,
    cells: Mapping[Key, Mapping[str, Any]],
) -> str:
    lines = [f"| | {' | '.join(headings)} |", f"|---|{'---|' * len(headings)}"]
    for strategy, roller in LINES:
        if roller == ROBOT or task in MOVING:
            name = f"`{strategy}`" if roller == ROBOT else f"`{strategy}`, scene rolled too"
            lines.append(f"| {name} | {' | '.join(share(cells.get((*at, strategy, roller))) for at in columns)} |")
    return "\n".join(lines)


def share(cell: Mapping[str, Any] | None) -> str:
    """The success of a cell with its interval: '41 <sub>37..46</sub>'; a dash if there is none."""
    if cell is None:
        return "\N{EN DASH}"
    low, high = cell["success_ci"]
    return f"{cell['success']:.0f} <sub>{low:.0f}..{high:.0f}</sub>"


def _gain_row(cells: Mapping[Key, Played], gain: Gain, command: str) -> Row:
    def of(strategy: str, roller: str) -> Played:
        return cells[gain.task, gain.planner, "fixed", float(gain.ticks), strategy, roller]

    ours, others = of(*gain.of), [of(*other) for other in gain.over]
    best = max(others, key=lambda cell: cell.hits.mean())
    value, ci = paired_gain(ours.hits, best.hits)
    return row(gain.name, value, "points", goal=gain.goal, ci=ci, command=command)


def paired_gain(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> tuple[float, list[float]]:
    """The points by which `ours` (n,) succeeds more often than `theirs`, pair by pair, and their 95 % interval."""
    differences = 100.0 * (ours.astype(np.float64) - theirs)
    picks = np.random.default_rng(0).integers(len(differences), size=(2000, len(differences)))
    low, high = np.quantile(differences[picks].mean(axis=1), [0.025, 0.975])
    return float(differences.mean()), [float(low), float(high)]


def speedup() -> None:
    """Measures the task time of sync over that of vlash if the mole waits and demonstrations are slow.

    Both always hit. Demonstrations are half as fast as the robot with q = 2, as VLASH was measured, and a third as fast
    with q = 3; each at its own fastest s.
    """
    command = "python -m benchmarks.study speedup"
    goals = {("mole_speedup_d8", 2): ">= 2.03"}
    rows = []
    for q, pace in ((2, 1 / 2), (3, 1 / 3)):
        for delay in (4, 8):
            sync, vlash = (_fastest(name, pace, each, delay) for name, each in (("sync", 1), ("vlash", q)))
            ratio, ci = time_ratio(sync, vlash)
            name = f"mole_speedup_d{delay}" if q == 2 else f"mole_speedup_q3_d{delay}"
            rows.append(row(name, ratio, "x", goal=goals.get((name, q)), ci=ci, command=command))
    record(TOPIC, rows)


def _fastest(strategy: str, pace: float, q: int, delay: int) -> list[Episode]:
    """Episodes at the s with the shortest task time, which is searched on other seeds."""
    task = {"name": "mole", "window_s": 4.0, "pace": pace}
    latency = {"name": "fixed", "ticks": delay}
    cell = Cell(task, StrategyConfig(strategy, q=q), latency, episodes=EPISODES, reactions=False)
    play = partial(evaluate_all, workers=WORKERS)
    tried, _ = candidates(cell, Search(list(range(2, 33))))
    best, _ = find_best(tried, play)
    (episodes,) = play([replace(cell, strategy=best)])
    return episodes


FIGURES: Mapping[str, Callable[[], None]] = {
    "recording": recording,
    "run": run,
    "figures": figures,
    "speedup": speedup,
}


def main(names: list[str]) -> None:
    """Runs the named benchmarks."""
    for name in names:
        FIGURES[name]()


if __name__ == "__main__":
    main(sys.argv[1:])

"""The figures of trained policies.

    python -m benchmarks.train checkpoints           trains the shipped policies anew
    python -m benchmarks.train checkpoints=mole_flow only these, by name
    python -m benchmarks.train success               success of the shipped policies, beside the scripted expert
    python -m benchmarks.train offsets               gain of temporal offsets, and their cost without delay

All in simulated time. Every policy is trained on demonstrations of its task's expert, with seeds that no figure uses.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.figures import RESULTS, record, row
from rollahead.commands.results import describe
from rollahead.evaluation.evaluation import Cell, evaluate_all, summarise
from rollahead.policies.checkpoints.shipped import FOLDER
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.recording.run_folder import finite, provenance

TOPIC = "train"
COMMAND = "python -m benchmarks.train"
TRAINED = Path(__file__).parent / "trained"
SEED, EPISODES, WORKERS = 0, 200, 2
TASKS = ("mole", "interception", "belt")
DELAYS = (0, 4, 8, 12, 16)
SLOW = (0, 4, 8, 12)  # of the diffusion policy, whose chunks take longer
SHORT = 8  # the execution horizon, where the delay is not longer
HORIZON = 32
DEMO_SEED = 10_000_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training: options of `rollahead train`."""

    task: str
    policy: str
    options: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        """The command line, as a person types it."""
        given = [f"{key}={value}" for key, value in self.options.items()]
        return ["train", f"task={self.task}", f"policy={self.policy}", f"seed={DEMO_SEED}", *given]


FLOW: Mapping[str, Mapping[str, Any]] = {
    "mole": {"prefixes": 8, "training.steps": 30_000},
    "interception": {"prefixes": 8, "training.steps": 40_000},
    "belt": {"prefixes": 8},
}
DIFFUSION: Mapping[str, Mapping[str, Any]] = {
    "mole": {"training.steps": 6_000, "training.batch": 128},
    "interception": {"training.steps": 40_000, "training.batch": 256},
    "belt": {"training.steps": 6_000, "training.batch": 128},
}
SHIPPED: Mapping[str, Recipe] = {
    f"{task}_{policy}": Recipe(task, policy, options)
    for task in TASKS
    for policy, options in (("flow", FLOW[task]), ("diffusion", DIFFUSION[task]))
}
MOVING = ("interception", "belt")  # scenes in which it matters how old they were seen
PLAIN: Mapping[str, Recipe] = {  # without offsets
    f"{task}_flow_plain": Recipe(task, "flow", {**FLOW[task], "offsets": 0, "delay_input": False}) for task in MOVING
}
RECIPES = {**SHIPPED, **PLAIN}


def checkpoints(names: Sequence[str] = ()) -> None:
    """Trains the shipped policies, one after the other, and records the time and the size of each."""
    for name in names or SHIPPED:
        _train(name, RECIPES[name])


def _train(name: str, recipe: Recipe) -> None:
    """Runs one training with both cores into `TRAINED`.

    The checkpoint is copied to the shipped ones, if it is one of them.
    """
    folder = TRAINED / name
    shutil.rmtree(folder, ignore_errors=True)
    program = [str(Path(sys.executable).with_name("rollahead")), *recipe.command, f"name={name}", f"runs={TRAINED}"]
    began = time.monotonic()
    subprocess.run(program, check=True)
    minutes = (time.monotonic() - began) / 60
    if name in SHIPPED:
        shutil.copytree(folder / "checkpoint", FOLDER / f"{name}.unfinished", dirs_exist_ok=True)
        shutil.rmtree(FOLDER / name, ignore_errors=True)
        (FOLDER / f"{name}.unfinished").rename(FOLDER / name)
    command = f"{COMMAND} checkpoints={name}"
    limit = "<= 15" if name == "mole_flow" else None
    called = "train_minutes_mole" if name == "mole_flow" else f"train_minutes_{name}"
    record(TOPIC, [row(called, minutes, "minutes", goal=limit, command=command, seed=DEMO_SEED)])


def success() -> None:
    """Measures the shipped policies over delays, beside the scripted expert on the same episodes."""
    cells = {
        **{("scripted", task, d): _cell(task, d) for task in TASKS for d in DELAYS},
        **{("scripted, scene rolled", "belt", d): _cell("belt", d, roller="scene") for d in DELAYS},
        **{("flow", task, d): _cell(task, d, f"{task}_flow") for task in TASKS for d in DELAYS},
        **{("diffusion", task, d): _cell(task, d, f"{task}_diffusion") for task in TASKS for d in SLOW},
    }
    played = _play("success", cells)
    command = f"{COMMAND} success"
    rows = [
        _gap("trained_vs_scripted_gap_d4", played, 4, "<= 3", command),
        _gap("trained_vs_scripted_gap_d8", played, 8, None, command),
        _success("interception_trained_success_d0", played["flow", "interception", 0], ">= 85", command),
        _success("belt_offsets_success_d8", played["flow", "belt", 8], ">= 85", command),
        row("checkpoint_mb_max", _largest_mb(), "MB", goal="<= 5", command=command),
    ]
    claimed = ("diffusion", "interception", 0)
    rows += [
        _success(f"{task}_{policy}_success_d{d}", played[policy, task, d], None, command)
        for policy, task, d in product(("flow", "diffusion"), TASKS, (0, 8))
        if (policy, task, d) != claimed
    ]
    record(TOPIC, rows)
    record("claims", [_success("interception_diffusion_success_d0", played[claimed], ">= 85", command)])


def offsets() -> None:
    """Compares the same flow policy trained with offsets and without: vlash over delays, and other ways without."""
    for name, recipe in PLAIN.items():
        if not (TRAINED / name / "checkpoint").exists():
            _train(name, recipe)
    plain = {task: str(TRAINED / f"{task}_flow_plain" / "checkpoint") for task in MOVING}
    cells = {
        **{("vlash, offsets", task, d): _cell(task, d, f"{task}_flow") for task in MOVING for d in DELAYS},
        **{("vlash, no offsets", task, d): _cell(task, d, plain[task]) for task in MOVING for d in DELAYS},
        **{
            ("vlash, no offsets, scene rolled", "belt", d): _cell("belt", d, plain["belt"], roller="scene")
            for d in DELAYS
        },
        **{
            (f"{name}, no offsets", task, d): _cell(task, d, plain[task], strategy=name)
            for name in ("naive", "naive_arrival")
            for task in MOVING
            for d in DELAYS
        },
    }
    played = _play("offsets", cells)
    command = f"{COMMAND} offsets"
    rows = [
        row(
            f"offsets_gain_{task}_d{d}",
            _points(played["vlash, offsets", task, d], played["vlash, no offsets", task, d]),
            "points",
            command=command,
            seed=SEED,
        )
        for task in MOVING
        for d in (0, 4, 8, 12)
    ]
    plainly = {
        "belt_object_roller_d8": ("vlash, no offsets, scene rolled", ">= 90"),
        "belt_robot_roller_d8": ("vlash, no offsets", None),
        "belt_skip_d8": ("naive, no offsets", None),
        "belt_naive_d8": ("naive_arrival, no offsets", None),
    }
    rows += [_success(name, played[what, "belt", 8], goal, command) for name, (what, goal) in plainly.items()]
    record(TOPIC, rows)


def delay_table(table: Mapping[str, Any], task: str) -> str:
    """The success in a task over delays as a Markdown table."""
    found = {(cell["what"], cell["delay"]): cell for cell in table["cells"] if cell["task"] == task}
    delays = sorted({delay for _, delay in found})
    milliseconds = [f"{1000 * delay / table['rate_hz']:.0f} ms" for delay in delays]
    lines = [f"| {task} | {' | '.join(milliseconds)} |", "|---" * (len(delays) + 1) + "|"]
    for what in dict.fromkeys(what for what, _ in found):
        cells = (_in_table(found.get((what, delay))) for delay in delays)
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _in_table(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    low, high = cell["success_ci"]
    return f"{cell['success']:.0f} <sub>{low:.0f}..{high:.0f}</sub>"


def _cell(task: str, delay: int, checkpoint: str | None = None, strategy: str = "vlash", roller: str = "robot") -> Cell:
    scripted = {"name": "scripted", "horizon": HORIZON}
    return Cell(
        task={"name": task},
        strategy=StrategyConfig(strategy, s=max(SHORT, delay), d=delay),
        latency={"name": "fixed", "ticks": delay},
        planner=scripted if checkpoint is None else {"name": "policy", "checkpoint": checkpoint},
        roller={"name": roller},
        episodes=EPISODES,
        seed=SEED,
        reactions=False,
    )


Played = Mapping[tuple[str, str, int], Mapping[str, Any]]


def _play(name: str, cells: Mapping[tuple[str, str, int], Cell]) -> Played:
    """Plays the cells, and records their figures and a table of them all."""
    figures = {}
    for key, episodes in zip(cells, evaluate_all(list(cells.values()), workers=WORKERS), strict=True):
        figures[key] = summarise(episodes)
        print(f"{' '.join(map(str, key)):<40} {figures[key]['success']:5.1f} %", flush=True)
    path = RESULTS / "tables" / f"{TOPIC}_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    keep = ("episodes", "success", "success_ci", "time_s", "calls_per_s")
    rows = [
        {"what": what, "task": task, "delay": d, **{key: found[key] for key in keep}}
        for (what, task, d), found in figures.items()
    ]
    described = describe(next(iter(cells.values())), next(iter(figures.values())))
    content = {"cells": rows, "rate_hz": described["rate_hz"], "s": f"max({SHORT}, d)", **provenance(SEED)}
    path.write_text(json.dumps(finite(content), indent=1, allow_nan=False) + "\n")
    return figures


def _success(name: str, figures: Mapping[str, Any], goal: str | None, command: str) -> Any:
    return row(name, figures["success"], "%", goal=goal, ci=figures["success_ci"], command=command, seed=SEED)


def _gap(name: str, played: Played, delay: int, goal: str | None, command: str) -> Any:
    """The loss of the flow policy against the expert on whack-a-mole, as a figure."""
    points = _points(played["scripted", "mole", delay], played["flow", "mole", delay])
    return row(name, points, "points", goal=goal, command=command, seed=SEED)


def _points(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    return float(one["success"] - other["success"])


def _largest_mb() -> float:
    return max(
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
        for folder in FOLDER.iterdir()
        if folder.is_dir()
    )


WHAT: Mapping[str, Callable[[], None]] = {"checkpoints": checkpoints, "success": success, "offsets": offsets}


def main(arguments: Sequence[str]) -> int:
    """Runs what `arguments` ask for."""
    for argument in arguments or ["success"]:
        what, _, names = argument.partition("=")
        chosen = names.split(",") if names else []
        if what not in WHAT or (chosen and what != "checkpoints"):
            print(f"there is nothing called {argument!r}; choose from {', '.join(WHAT)}, or checkpoints=<name>,<name>")
            return 2
        if unknown := [name for name in chosen if name not in RECIPES]:
            print(f"there is no checkpoint {unknown[0]!r}; choose from {', '.join(RECIPES)}")
            return 2
        if chosen:
            checkpoints(chosen)
        else:
            WHAT[what]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

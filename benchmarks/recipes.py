"""Recipes of training, ours and the authors', compared on the same episodes.

    python -m benchmarks.recipes prefixes   training-time RTC: distribution of prefix lengths, and average of the loss
    python -m benchmarks.recipes late       training-time RTC: a plan that is later than its prefix, kept or discarded
    python -m benchmarks.recipes states     offsets: the recorded state or the target sent, under both rollers
    python -m benchmarks.recipes a2c2       a corrector as published, and with the policy's features or without
    python -m benchmarks.recipes shared     offsets that share one encoding of their images: examples per second, error

Missing policies are trained first (`benchmarks/trained/recipes`), with fewer steps than the shipped ones, the same
number for all that are compared, and the same seed. Every cell is played on the same 200 episodes. The figures of a
comparison are rows of the topic `claims`; the tables are in `benchmarks/results/tables`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

import rollahead.configs
from benchmarks.figures import RESULTS, Row, record, row
from rollahead.evaluation.evaluation import Cell, evaluate_all, summarise
from rollahead.policies.data.dataset import read_dataset, write_dataset
from rollahead.policies.data.frames import Frames
from rollahead.policies.policy import Trained
from rollahead.policies.training.trainer import Trainer
from rollahead.policies.training.training import TrainingConfig
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.recording.run_folder import finite, provenance
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import Camera
from rollahead.sim.demonstrations import record as record_demonstrations
from rollahead.sim.task import make_task

TOPIC, COMMAND = "claims", "python -m benchmarks.recipes"
TRAINED = Path(__file__).parent / "trained" / "recipes"
SEED, EPISODES, WORKERS = 0, 200, 1
DEMO_SEED = 10_000_000
STEPS = 8_000  # of a flow policy here; those that come with rollahead have 20,000 to 40,000
SHORT = 8  # the execution horizon, where the delay is not longer
TASKS = ("mole", "interception")

Options = Mapping[str, Any]
Key = tuple[str, ...]
Figures = Mapping[str, Any]


# ---- what they share ------------------------------------------------------------------------------------------------


def trained(name: str, options: Options, command: str = "train") -> Path:
    """The folder of the training `name` with `options` of `rollahead <command>`, done first where it is not there.

    Nothing is watched, and it is evaluated here and not there.
    """
    folder = TRAINED / name
    if not (folder / "summary.json").exists():
        unwatched: Options = {"watch.every": 10**9, "watch.episodes": 0} if command == "train" else {}
        unwatched = {**unwatched, "evaluation.delays": "[0]", "evaluation.episodes": 1}
        given = {"seed": DEMO_SEED, "workers": WORKERS, **unwatched, **options, "name": name, "runs": TRAINED}
        program = [str(Path(sys.executable).with_name("rollahead")), command]
        subprocess.run([*program, *(f"{key}={value}" for key, value in given.items())], check=True)
    return folder


def cell_of(
    task: Options,
    checkpoint: Path | str,
    strategy: Options,
    latency: Options,
    roller: Options | None = None,
) -> Cell:
    """The cell that plays `task` with the policy of `checkpoint`.

    `strategy`, `latency`, `roller`: a name and options each.
    """
    return Cell(
        task=task,
        strategy=call(StrategyConfig, strategy),
        latency=latency,
        planner={"name": "policy", "checkpoint": str(checkpoint)},
        roller=roller or {"name": "robot"},
        episodes=EPISODES,
        seed=SEED,
        reactions=False,
    )


def fixed(name: str, d: int) -> tuple[Options, Options]:
    """A strategy planned for a delay of `d` ticks, and its latency."""
    return {"name": name, "s": max(SHORT, d), "d": d}, {"name": "fixed", "ticks": d}


def play(name: str, cells: Mapping[Key, Cell]) -> dict[Key, Figures]:
    """The figures of each cell by its key, stored as the table `claims_<name>`."""
    played: dict[Key, Figures] = {}
    for key, episodes in zip(cells, evaluate_all(list(cells.values()), workers=WORKERS), strict=True):
        played[key] = summarise(episodes)
        print(f"{' '.join(key):<60} {played[key]['success']:5.1f} %", flush=True)
    keep = ("episodes", "success", "success_ci", "time_s", "jerk", "underruns")
    rows = [{"key": key, **{name: found[name] for name in keep if name in found}} for key, found in played.items()]
    path = RESULTS / "tables" / f"{TOPIC}_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"command": f"{COMMAND} {name}", **provenance(SEED), "cells": rows}
    path.write_text(json.dumps(finite(content), indent=1) + "\n")
    return played


def success(name: str, figures: Figures, command: str) -> Row:
    """The success of a cell, as a row without a goal."""
    return row(name, figures["success"], "%", ci=figures["success_ci"], command=command, seed=SEED)


def table(name: str) -> str:
    """A stored table as Markdown: a line for the beginnings of the keys, a column for their ends."""
    cells = json.loads((RESULTS / "tables" / f"{TOPIC}_{name}.json").read_text())["cells"]
    found = {(" / ".join(cell["key"][:-1]), cell["key"][-1]): cell for cell in cells}
    lines, columns = (list(dict.fromkeys(key[i] for key in found)) for i in (0, 1))
    made = [f"| | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
    made += [f"| {line} | {' | '.join(_share(found.get((line, column))) for column in columns)} |" for line in lines]
    return "\n".join(made)


def _share(cell: Figures | None) -> str:
    if cell is None:
        return ""
    low, high = cell["success_ci"]
    return f"{cell['success']:.0f} <sub>{low:.0f}..{high:.0f}</sub>"


# ---- training-time RTC ----------------------------------------------------------------------------------------------

PREFIXES = 8
RECIPES: Mapping[str, Options] = {  # name: how prefix lengths are drawn, and over what the loss is a mean
    "half, by example": {"prefix_lengths": "half", "policy.loss_average": "examples"},
    "half, by row": {"prefix_lengths": "half", "policy.loss_average": "rows"},
    "uniform, by row": {"prefix_lengths": "uniform", "policy.loss_average": "rows"},
    "exponential, by row": {"prefix_lengths": "exponential", "policy.loss_average": "rows"},
}
PLAYED = (("tt_rtc", 4), ("tt_rtc", 8), ("vlash", 0), ("vlash", 8))


def prefix_policy(task: str, recipe: str) -> Path:
    """The checkpoint of `recipe` for `task`."""
    name = f"{task}_{recipe.replace(', ', '_').replace(' ', '_')}"
    given = {"task": task, "policy": "flow", "prefixes": PREFIXES, "training.steps": STEPS, **RECIPES[recipe]}
    return trained(name, given) / "checkpoint"


def prefixes() -> None:
    """Compares the recipes of `RECIPES`, with tt_rtc at 4 and 8 ticks and vlash at 0 and 8."""
    cells: dict[Key, Cell] = {
        (task, recipe, f"{name} d = {d}"): cell_of({"name": task}, prefix_policy(task, recipe), *fixed(name, d))
        for task in TASKS
        for recipe in RECIPES
        for name, d in PLAYED
    }
    played = play("prefixes", cells)
    record(TOPIC, _rows("prefixes", played))


def _rows(of: str, played: Mapping[Key, Figures]) -> list[Row]:
    """The success in every cell of the comparison `of`."""
    return [success(_figure(of, key), figures, f"{COMMAND} {of}") for key, figures in played.items()]


def _figure(of: str, key: Key) -> str:
    """The name of a figure: the words and numbers of its key."""
    words = "".join(letter if letter.isalnum() else " " for letter in " ".join(key)).split()
    return "_".join((of, *words))


VARIES: Options = {"name": "lognormal", "p50": 4, "p95": 7}


def late() -> None:
    """Compares tt_rtc with late plans kept or discarded, under a latency that varies.

    It is planned for the median of the latencies and for their 95th percentile.
    """
    cells: dict[Key, Cell] = {}
    for task in TASKS:
        checkpoint = prefix_policy(task, LATE_WITH)
        for way in ("tick", "discarded"):
            for d in (4, 7):
                strategy = {"name": "tt_rtc", "s": SHORT, "d": d, "late": way}
                cells[task, f"late={way}", f"planned d = {d}"] = cell_of({"name": task}, checkpoint, strategy, VARIES)
    record(TOPIC, _rows("late", play("late", cells)))


LATE_WITH = "half, by row"


# ---- the state of offset examples -----------------------------------------------------------------------------------

ABSOLUTE: Options = {"name": "mole", "mode": "absolute"}
NOISE = 0.03  # of demonstrations: as much of a disturbance in absolute targets as 0.1 is in velocities
ROLLERS = {"rolled by the model": "robot", "rolled to the told position": "told"}
ROLLER_OF = {"recorded": "robot", "told": "told"}  # that a policy is trained for


def state_policy(state: str) -> Path:
    """The checkpoint trained with `offset_state=state` on whack-a-mole with absolute targets."""
    given = {"task": "mole", "task.mode": "absolute", "policy": "flow", "demonstrations.noise": NOISE}
    return (
        trained(
            f"mole_absolute_{state}",
            {**given, "training.steps": STEPS, "offset_state": state, "roller": ROLLER_OF[state]},
        )
        / "checkpoint"
    )


def states() -> None:
    """Compares policies on the gantry with absolute targets, which it reaches with a lag.

    The cells are vlash with both policies under both rollers, at 0, 4 and 8 ticks, and naive, which rolls nothing.
    """
    cells: dict[Key, Cell] = {
        (f"trained on the {state} state", how, f"d = {d}"): cell_of(
            ABSOLUTE, state_policy(state), *fixed("vlash", d), roller={"name": roller}
        )
        for state in ("recorded", "told")
        for how, roller in ROLLERS.items()
        for d in (0, 4, 8)
    }
    cells |= {
        ("trained on the recorded state", "naive", f"d = {d}"): cell_of(
            ABSOLUTE, state_policy("recorded"), *fixed("naive", d)
        )
        for d in (0, 4, 8)
    }
    record(TOPIC, _rows("states", play("states", cells)))


# ---- A2C2 -----------------------------------------------------------------------------------------------------------

HEADS: Mapping[str, Options] = {  # the paper's examples have rows of their own chunk only, and the features of the base
    "as published": {"corrector.features": "true", "corrector.negative_fraction": 0},
    "with other chunks": {"corrector.features": "false"},
    "with other chunks and features": {"corrector.features": "true"},
}
HEAD_STEPS = 10_000


def head_of(task: str, name: str) -> str:
    """The file of the corrector `name` for the shipped policy of `task`."""
    called = f"{task}_head_{name.replace(' ', '_')}"
    return str(
        trained(called, {"task": task, "training.steps": HEAD_STEPS, **HEADS[name]}, "train-corrector") / "head.npz"
    )


def a2c2() -> None:
    """Compares naive, as in the paper, and vlash at 8 and 12 ticks, without a corrector and with each of `HEADS`.

    They are trained in two stages on the frozen policy, with our widths (3 layers of 256) and chunks of every 4th
    frame.
    """
    cells: dict[Key, Cell] = {}
    for task in TASKS:
        for name, d in (("naive", 8), ("naive", 12), ("vlash", 8), ("vlash", 12)):
            strategy, latency = fixed(name, d)
            column = f"{name} d = {d}"
            cells[task, "no head", column] = cell_of({"name": task}, f"{task}_flow", strategy, latency)
            for head in HEADS:
                corrected = {**strategy, "corrector": {"path": head_of(task, head)}}
                cells[task, head, column] = cell_of({"name": task}, f"{task}_flow", corrected, latency)
    record(TOPIC, _rows("a2c2", play("a2c2", cells)))


# ---- offsets that share an encoding ---------------------------------------------------------------------------------

FILMED, SIDE = TRAINED / "filmed", 96  # a data set of whack-a-mole seen from above, and the height of its images
DEMONSTRATIONS, TICKS = 100, 40
OFFSETS, BATCH = 12, 52
SECONDS, TIMED = 60.0, 3  # of processor time of a training; steps by which it is told how many these are


def shared() -> None:
    """Compares LeRobot's ACT and Diffusion Policy on images, with an encoding for each offset and with one for all 13.

    Both get the same processor time on one core. Recorded are the examples per second, and the error of a cold step on
    held-out demonstrations.
    """
    torch.set_num_threads(1)
    frames = read_dataset(_filmed())
    for policy in ("act", "diffusion"):
        options = options_of(policy)
        rates = {}
        for k in (1, OFFSETS + 1):
            rates[k], error = _trained_for(frames, options, k)
            command, name = f"{COMMAND} shared", f"shared_{k}_{policy}"
            rows = [row(f"{name}_examples_per_s", rates[k], "1/s", command=command, seed=SEED)]
            rows += [row(f"{name}_cold_error", error, "of half the range", command=command, seed=SEED)]
            record(TOPIC, rows)
        gain = rates[OFFSETS + 1] / rates[1]
        record(TOPIC, [row(f"shared_speedup_{policy}", gain, "x", command=f"{COMMAND} shared", seed=SEED)])


def options_of(policy: str) -> Options:
    """The options of `policy` in the form of `rollahead train`."""
    read: Any = OmegaConf.to_container(OmegaConf.load(Path(*rollahead.configs.__path__) / "policy" / f"{policy}.yaml"))
    return dict(read)


def _filmed() -> Path:
    """The data set with images, recorded if it is missing."""
    if not FILMED.exists():
        task, top = {"name": "mole"}, Camera("top", SIDE, SIDE)
        shown = record_demonstrations(task, DEMONSTRATIONS, TICKS, DEMO_SEED, exploration_ticks=OFFSETS, cameras=(top,))
        spec = replace(make_task(**task).spec, cameras=(top,))
        write_dataset(FILMED, spec, shown, text="mole", fps=spec.rate_hz)
    return FILMED


def _trained_for(frames: Frames, options: Options, k: int) -> tuple[float, float]:
    """The examples per second and the final error of a training of `SECONDS` with `k` offsets per encoding."""
    tried = _trainer(frames, options, k, TIMED + 1)
    tried.training.advance()
    began = time.process_time()
    for _ in range(TIMED):
        tried.training.advance()
    a_step = (time.process_time() - began) / TIMED
    trainer = _trainer(frames, options, k, max(round(SECONDS / a_step), 1))
    began = time.process_time()
    for _ in range(max(round(SECONDS / a_step), 1)):
        trainer.training.advance()
    seconds = time.process_time() - began
    return trainer.training.step * BATCH / seconds, trainer.cold_error()


def _trainer(frames: Frames, options: Options, k: int, steps: int) -> Trainer:
    training = TrainingConfig(steps=steps, batch=BATCH, average=0.98)
    return Trainer(frames, options, Trained(OFFSETS, True), training, {"name": "mole"}, OFFSETS, shared=k)


FIGURES: Mapping[str, Callable[[], None]] = {
    "prefixes": prefixes,
    "late": late,
    "states": states,
    "a2c2": a2c2,
    "shared": shared,
}


def main(arguments: Sequence[str]) -> int:
    """Makes the named comparisons, or prints one that was made (`table=prefixes`)."""
    for argument in arguments:
        if argument.startswith("table="):
            print(table(argument.removeprefix("table=")))
        elif argument in FIGURES:
            FIGURES[argument]()
        else:
            print(f"{argument} is no comparison; choose from {', '.join(FIGURES)}, or table=<one of them>")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

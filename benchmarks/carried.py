"""Carried objects: success with an object in a gripper when plans start from the robot's future state.

    python -m benchmarks.carried                    success of each policy and each way of planning
    python -m benchmarks.carried train              trains its policies anew, one after the other
    python -m benchmarks.carried train=pick_flow    only these, by name

All in simulated time, on `task=pick`, with the scripted expert and with flow policies trained on demonstrations of it,
with seeds that no figure uses. A policy that is not in runs/trained yet is trained first: 6 minutes on a free core.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import RESULTS, record, row
from benchmarks.train import HORIZON, SEED, SHORT, Recipe
from rollahead.evaluation.evaluation import Cell, evaluate_all, summarise
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.recording.run_folder import finite, provenance

TOPIC = "claims"
COMMAND = "python -m benchmarks.carried"
TRAINED = Path("runs/trained")
EPISODES, WORKERS = 200, 2
DELAY = 8  # 160 ms
LONG = {"demonstrations.ticks": 100}  # a pick takes longer than the other tasks
RECIPES: Mapping[str, Recipe] = {
    "pick_plain": Recipe("pick", "flow", {**LONG, "offsets": 0, "delay_input": False, "roller": "attached"}),
    "pick_offsets": Recipe("pick", "flow", {**LONG, "offsets": 12, "roller": "attached"}),
    "pick_unrolled": Recipe("pick", "flow", {**LONG, "offsets": 12}),
}
EXPERT, PLAIN, OFFSETS = "scripted expert", "policy, no offsets", "policy, offsets, trained with roller=attached"
UNROLLED = "policy, offsets, trained with roller=robot"
PLANNERS = {EXPERT: None, PLAIN: "pick_plain", OFFSETS: "pick_offsets", UNROLLED: "pick_unrolled"}
ATTACHED: Mapping[str, Any] = {
    "name": "attached",
    "object": ["obj_x", "obj_y"],
    "tool": ["x", "y"],
    "gripper": "gripper",
    "closed": [-0.01, 0.042],
    "within": 0.02,
}
VLASH, HELD = "vlash", "vlash, held object rolled"
WAYS: Mapping[str, tuple[str, int, Mapping[str, Any]]] = {  # strategy, s and roller
    "sync": ("sync", 16, {"name": "robot"}),
    "naive": ("naive", SHORT, {"name": "robot"}),
    VLASH: ("vlash", SHORT, {"name": "robot"}),
    HELD: ("vlash", SHORT, ATTACHED),
}

Played = Mapping[tuple[str, str, int], Mapping[str, Any]]


def train(names: Sequence[str]) -> None:
    """Trains the policies of these names, one after the other."""
    for name in names:
        shutil.rmtree(TRAINED / name, ignore_errors=True)
        program = [str(Path(sys.executable).with_name("rollahead")), *RECIPES[name].command]
        brief = ["workers=1", "evaluation.delays=[0]", f"name={name}", f"runs={TRAINED}"]
        subprocess.run([*program, *brief], check=True)


def success() -> None:
    """Plays every cell, and records the figures and the table."""
    train([name for name in RECIPES if not (TRAINED / name / "checkpoint").exists()])
    ways = [(VLASH, 0), *((way, DELAY) for way in WAYS)]  # without delay they are all the same
    cells = {(planner, way, d): cell(name, way, d) for planner, name in PLANNERS.items() for way, d in ways}
    played = {}
    for key, episodes in zip(cells, evaluate_all(list(cells.values()), workers=WORKERS), strict=True):
        played[key] = summarise(episodes)
        print(f"{' | '.join(map(str, key)):<60} {played[key]['success']:5.1f} %", flush=True)
    _write_table(played)
    record(TOPIC, rows(played))


def cell(name: str | None, way: str, delay: int) -> Cell:
    """The cell that plays with the trained policy `name`, or with the expert."""
    strategy, s, roller = WAYS[way]
    scripted = {"name": "scripted", "horizon": HORIZON}
    return Cell(
        task={"name": "pick"},
        strategy=StrategyConfig(strategy, s=s, d=delay),
        latency={"name": "fixed", "ticks": delay},
        planner=scripted if name is None else {"name": "policy", "checkpoint": str(TRAINED / name / "checkpoint")},
        roller=roller,
        episodes=EPISODES,
        seed=SEED,
        reactions=False,
    )


def rows(played: Played) -> list[Any]:
    """The figures of the results at 160 ms."""
    plain, offsets, unrolled = (played[planner, HELD, DELAY] for planner in (PLAIN, OFFSETS, UNROLLED))
    success, interval = offsets["success"], offsets["success_ci"]
    lost, before = (plain["success"] - other["success"] for other in (offsets, unrolled))
    return [
        row("carried_object_vlash_d8", success, "%", goal=">= 85", ci=interval, command=COMMAND, seed=SEED),
        row("carried_object_offsets_loss_d8", lost, "points", goal="<= 2", command=COMMAND, seed=SEED),
        row("carried_object_unrolled_offsets_loss_d8", before, "points", command=COMMAND, seed=SEED),
    ]


def table(content: Mapping[str, Any]) -> str:
    """Success in %, and the mean time of successful episodes, by planner and way, as a Markdown table."""
    found = {(one["planner"], one["way"], one["delay"]): one for one in content["cells"]}
    late = f"{1000 * DELAY / content['rate_hz']:.0f} ms"
    columns = {"0 ms": (VLASH, 0), **{f"{late}: {way}": (way, DELAY) for way in WAYS}}
    lines = [f"| pick | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for planner in dict.fromkeys(planner for planner, _, _ in found):
        cells = (_in_table(found[planner, way, delay]) for way, delay in columns.values())
        lines.append(f"| {planner} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _in_table(one: Mapping[str, Any]) -> str:
    low, high = one["success_ci"]
    return f"{one['success']:.0f} <sub>{low:.0f}..{high:.0f}, {one['time_s']:.1f} s</sub>"


def _write_table(played: Played) -> None:
    path = RESULTS / "tables" / f"{TOPIC}_carried.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    keep = ("episodes", "success", "success_ci", "time_s")
    cells = [
        {"planner": planner, "way": way, "delay": delay, **{key: figures[key] for key in keep}}
        for (planner, way, delay), figures in played.items()
    ]
    content = {"cells": cells, "rate_hz": 50.0, **provenance(SEED)}
    path.write_text(json.dumps(finite(content), indent=1, allow_nan=False) + "\n")
    print(table(content))


def main(arguments: Sequence[str]) -> int:
    """Runs what `arguments` ask for."""
    if not arguments:
        success()
        return 0
    what, _, given = arguments[0].partition("=")
    names = given.split(",") if given else list(RECIPES)
    if what != "train" or len(arguments) > 1:
        print(f"there is nothing called {' '.join(arguments)!r}; leave it out, or give train, or train=<name>,<name>")
        return 2
    if unknown := [name for name in names if name not in RECIPES]:
        print(f"there is no policy {unknown[0]!r}; choose from {', '.join(RECIPES)}")
        return 2
    train(names)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs and records for the tests of the report."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa

from rollahead.commands.results import describe, write_records
from rollahead.evaluation.evaluation import Cell, evaluate, summarise
from rollahead.evaluation.metrics import wilson
from rollahead.report.load import CellResult, EpisodeResult, Recording
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import EnsembleConfig
from rollahead.runtime.control.trace import InferenceRecord, TickStatus
from rollahead.runtime.recording.records import write_parquet
from rollahead.runtime.recording.run_folder import RunFolder, provenance

FIGURES = {
    "episodes": 50,
    "success": 100.0,
    "success_ci": [92.9, 100.0],
    "time_s": 0.7,
    "time_s_ci": [0.65, 0.75],
    "reaction_s": {"p50": 0.2, "p95": 0.3, "max": 0.4},
    "jerk": 60.0,
    "age_ticks": {"p50": 7.0, "p95": 11.0, "max": 12.0},
    "idle": 0.0,
    "guard_hits": 17.0,
    "switch_step": 0.104,
    "switch_step_max": 0.16,
    "median_step_elsewhere": 0.001,
    "action_unit": "m",
    "calls_per_s": 6.0,
    "rows_lost": 0,
    "delay_planned": 4,
}


def cell(name: str, ticks: int = 8, *, episodes: int = 2, traces: int = 2, **options: Any) -> Cell:
    """A small cell of whack-a-mole at a fixed latency."""
    return Cell(
        task={"name": "mole"},
        strategy=StrategyConfig(name, **options),
        latency={"name": "fixed", "ticks": ticks},
        episodes=episodes,
        reactions=False,
        traces=traces,
    )


def write_run(folder: Path, cells: Sequence[Cell]) -> Path:
    """Plays `cells` and leaves the folder that a command would leave."""
    played = [evaluate(each) for each in cells]
    run = RunFolder(folder)
    write_records(run, played)
    described = [describe(each, summarise(episodes)) for each, episodes in zip(cells, played, strict=True)]
    run.write_json("summary.json", {"command": "eval", "cells": described, **provenance(0)})
    return folder


def seen(step: int, error: float | None = 0.1, success: float | None = None, time_s: float = 0.0) -> dict[str, Any]:
    """What a training writes down of a look."""
    played = {} if success is None else {"success": success}
    return {"step": step, "loss": 0.01, "cold_error": error, **played, "time": time_s}


LOOKS = (seen(1000, 0.2, 40.0, 90.0), seen(2000, 0.05, 90.0, 180.0))


def write_training(
    folder: Path, cells: Sequence[Cell] = (), looks: Sequence[Mapping[str, Any]] = LOOKS, **changes: Any
) -> Path:
    """Leaves the folder that a training would leave. changes: of its configuration."""
    write_run(folder, cells)
    edit_summary(folder, command="train")
    config = {
        "task": {"name": "mole"},
        "policy": {"name": "flow", "horizon": 16, "width": None},
        "dataset": None,
        "demonstrations": {"count": 1500},
        "offsets": 12,
        "delay_input": True,
        "prefixes": 0,
        "training": {"steps": 2000, "batch": 64},
        "watch": {"episodes": 10},
    }
    (folder / "config.yaml").write_text(json.dumps(config | changes))
    (folder / "training.jsonl").write_text("".join(json.dumps(look) + "\n" for look in looks))
    return folder


def edit_summary(folder: Path, **changes: Any) -> None:
    """Changes what `summary.json` says."""
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def result(
    name: str = "vlash",
    ticks: int | None = 8,
    *,
    outcomes: Sequence[bool] = (),
    recorded: Iterable[int] | None = None,
    task: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    latency: Mapping[str, Any] | None = None,
    search: Sequence[Mapping[str, Any]] = (),
    **options: Any,
) -> CellResult:
    """A cell as it is read. outcomes: of its episodes, which are all recorded if not said otherwise; ticks: None for a
    latency that is random, if `latency` is not given."""
    fixed = {"name": "fixed", "ticks": ticks, "bind_fraction": 0.0}
    spikes = {"name": "lognormal", "p50": 4.0, "p95": 6.0, "bind_fraction": 0.0}
    return CellResult(
        folder=Path("nowhere"),
        index=0,
        task={"name": "mole", **(task or {})},
        strategy={"name": name, "s": 8, "d": None, **options},
        latency=latency or (spikes if ticks is None else fixed),
        planner={"name": "scripted", "horizon": 32},
        rate_hz=50.0,
        figures={**FIGURES, **(figures or {})},
        episodes={i: EpisodeResult(i, success, 50, 0.5) for i, success in enumerate(outcomes)},
        recorded=frozenset(range(len(outcomes)) if recorded is None else recorded),
        search=tuple(search),
    )


def shared(hits: int, n: int = 200) -> dict[str, Any]:
    """The figures of so many successes."""
    return {"episodes": n, "success": 100.0 * hits / n, "success_ci": [100.0 * end for end in wilson(hits, n)]}


STUDIED = ("sync", "naive", "naive_arrival", "ensemble", "vlash")
DELAYS = (0, 2, 4, 6, 8, 12, 16)
KINDS: Sequence[Mapping[str, Any]] = (
    {"name": "fixed", "ticks": 8, "bind_fraction": 0.0},
    {"name": "lognormal", "p50": 4.0, "p95": 6.0, "bind_fraction": 0.0},
    {"name": "spikes", "ticks": 4, "probability": 0.05, "low": 15, "high": 20, "bind_fraction": 0.0},
    {"name": "recorded", "path": "diffusion_2_cores", "bind_fraction": 0.0},
)


def share(strategy: str, task: str, delay: float) -> int:
    """Episodes of 200 that succeed, in a study that was made up: vlash leads on mole, and trails on the belt."""
    knee = {"sync": 2, "naive": 5, "naive_arrival": 6, "ensemble": 5, "vlash": 11}[strategy]
    knee = 12 if (task, strategy) == ("belt", "naive") else knee
    return round(200 / (1 + (delay / knee) ** 6))


def write_study(
    folder: Path,
    tasks: Sequence[str] = ("mole", "belt"),
    planners: Sequence[str] = ("scripted", "flow"),
    strategies: Sequence[str] = STUDIED,
    delays: Sequence[float] = DELAYS,
    kinds: Sequence[Mapping[str, Any]] = KINDS,
) -> Path:
    """Leaves the folder that a sweep over all of these would leave, its figures made up and its search told."""
    episodes = [{"cell": 0, "episode": i, "success": True, "event_tick": 50, "time_s": 0.5} for i in range(2)]
    for i, (task, planner, kind, delay, name) in enumerate(product(tasks, planners, kinds, delays, strategies)):
        decay = -2.0 if name == "ensemble" else 0.01
        tried = [{"s": s, "decay": 0.01, "success": float(100 - s), "time_s": 0.6} for s in (4, 8, 16)]
        described = {
            "task": {"name": task},
            "strategy": asdict(
                StrategyConfig(name, s=4 if delay < 8 else 16, ensemble=EnsembleConfig(decay if delay else 0.01))
            ),
            "latency": {**kind, "median": delay},
            "planner": PLANNERS[planner](task),
            "roller": {"name": "robot"},
            "rate_hz": 50.0,
            "figures": {**FIGURES, **shared(share(name, task, delay))},
            "search": tried,
        }
        run = RunFolder(folder / str(i))
        write_parquet(run.path / "episodes.parquet", [pa.Table.from_pylist(episodes)])
        run.write_json("summary.json", {"command": "eval", "cells": [described], "took_s": 30.0, **PROVENANCE})
    return folder


PLANNERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "scripted": lambda task: {"name": "scripted", "horizon": 32},
    "flow": lambda task: {"name": "policy", "checkpoint": f"{task}_flow", "dataset": None, "rename": None},
}
PROVENANCE = {"machine": "a machine", "versions": {"rollahead": "0.1.0"}, "date": "2026-01-01", "seed": 0}


def inference(request: int, accepted: int, origin: int | None, start: int | None, **values: Any) -> InferenceRecord:
    """The record of an inference of 8 rows."""
    known: dict[str, Any] = {"epoch": 0, "delay_planned": 2, "outcome": "placed", "calls": 1, "rows": 8, "lost": 0}
    return InferenceRecord(
        request=request,
        accepted=accepted,
        origin=origin,
        start=start,
        delay=accepted - request,
        state_tick=request,
        **(known | values),
    )


def recording(
    sources: Sequence[int | None],
    inferences: Sequence[InferenceRecord] = (),
    *,
    skipped: Sequence[int] = (),
    requests: Sequence[int] = (),
    columns: Mapping[str, Any] | None = None,
) -> Recording:
    """A recording from tick 0 on. sources: the request that each tick's action came from; None for a hold."""
    n = len(sources)
    chunk = np.array([-1 if source is None else source for source in sources])
    status = np.where(chunk < 0, int(TickStatus.UNDERRUN), int(TickStatus.OK))
    status[list(skipped)] = int(TickStatus.OVERRUN)
    asked = np.full(n, -1)
    asked[: len(requests)] = requests
    ticks = {"tick": np.arange(n), "status": status, "chunk": chunk, "request": asked, **(columns or {})}
    return Recording(ticks, tuple(inferences))


def parse(svg: str) -> ElementTree.Element:
    """The drawing as a tree. Raises: ParseError, if it is not well-formed."""
    return ElementTree.fromstring(svg)


def marked(svg: str, class_: str) -> list[int]:
    """The ticks of the marks that are of `class_`, in their order."""
    return [
        int(part.attrib["data-tick"])
        for part in parse(svg).iter()
        if class_ in part.attrib.get("class", "").split() and "data-tick" in part.attrib
    ]

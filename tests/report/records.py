"""Runs and records for the tests of the report."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from rollahead.commands.results import describe, write_records
from rollahead.report.load import CellResult, EpisodeResult, Recording
from rollahead.runtime.build import StrategyConfig
from rollahead.runtime.run_folder import RunFolder, provenance
from rollahead.runtime.trace import InferenceRecord, TickStatus
from rollahead.sim.evaluation import Cell, evaluate, summarise

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
    **options: Any,
) -> CellResult:
    """A cell as it is read. outcomes: of its episodes, which are all recorded if not said otherwise; ticks: None for a
    latency that is random."""
    fixed = {"name": "fixed", "ticks": ticks, "bind_fraction": 0.0}
    spikes = {"name": "lognormal", "p50": 4.0, "p95": 6.0, "bind_fraction": 0.0}
    return CellResult(
        folder=Path("nowhere"),
        index=0,
        task={"name": "mole", **(task or {})},
        strategy={"name": name, "s": 8, "d": None, **options},
        latency=spikes if ticks is None else fixed,
        planner={"name": "scripted", "horizon": 32},
        rate_hz=50.0,
        figures={**FIGURES, **(figures or {})},
        episodes={i: EpisodeResult(i, success, 50, 0.5) for i, success in enumerate(outcomes)},
        recorded=frozenset(range(len(outcomes)) if recorded is None else recorded),
    )


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

"""Reads a run without a summary, which was killed or still goes on, from its configuration and its records.

All records but those of about the last second are on disk (`rollahead.runtime.recording.recorder`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from rollahead.runtime.control.trace import OUTCOMES, STAGES
from rollahead.runtime.recording.gauges import Gauges
from rollahead.runtime.recording.records import batches, rate_of, schema_of, source_of
from rollahead.runtime.recording.run_folder import CONFIG, INFERENCES, SUMMARY, TICKS, damaged

TIMED = ("tick", "status", "guard", "age", "began_ns")  # columns of ticks that `Gauges` reads
ANSWERED = ("delay_planned", "delay", "lost", "outcome")  # columns of inferences that `Gauges` reads

NOTHING: NDArray[Any] = np.empty(0)

Ran = dict[str, Any]


def unfinished(folder: Path) -> bool:
    """Whether `folder` holds a run with records but without a summary."""
    needed = (folder / CONFIG).exists() and source_of(folder / TICKS) and source_of(folder / INFERENCES)
    return bool(needed) and not (folder / SUMMARY).exists()


def note(folder: Path) -> str | None:
    """Line that says which files of `folder` are incomplete or missing; None if the run ended normally."""
    files = (source_of(folder / name) for name in (TICKS, INFERENCES))
    cut = [file.name for file in files if file and not file.name.endswith(".parquet")]
    missing = [] if not unfinished(folder) else [f"no {SUMMARY}: it was killed, or still goes on"]
    verbs = ("is", "ends") if len(cut) == 1 else ("are", "end")
    read = [f"{' and '.join(cut)} {verbs[0]} read, which {verbs[1]} where the recorder stopped"]
    return f"{folder}: {'; '.join([*missing, *(read if cut else [])])}" if missing or cut else None


def date(folder: Path) -> str:
    """Day of the last record, as YYYY-MM-DD (UTC)."""
    file = source_of(folder / TICKS) or folder
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%d")


def ran(folder: Path) -> Ran:
    """Entry for a run in real time, as a summary has it.

    Since it is not recorded when tick 0 was due, lateness is counted from the most punctual tick of the first second of
    each episode. Raises ConfigError if configuration or records are damaged.
    """
    rate_hz = rate_of(folder / TICKS)
    if rate_hz is None:
        raise damaged(folder / TICKS, "it does not say its rate")
    gauges, before = Gauges(rate_hz), None
    for ticks in _stretches(folder / TICKS):
        if before is None or ticks["tick"][0] <= before:
            due_ns = np.round(ticks["tick"] * (1e9 / rate_hz)).astype(np.int64)
            gauges.begin(int((ticks["began_ns"] - due_ns)[: round(rate_hz) + 1].min()))
        gauges.take(ticks, NOTHING)
        before = ticks["tick"][-1]
    timed = set(STAGES) & set(schema_of(folder / INFERENCES).names)  # an older run has none
    for batch in batches(folder / INFERENCES, (*ANSWERED, *timed)):
        gauges.take(NOTHING, _records(batch))
    return {"strategy": _strategy(folder), "figures": None, "gauges": gauges.figures(), "rate_hz": rate_hz}


def last_of(folder: Path, ticks: int) -> tuple[pa.Table, pa.Table]:
    """Last `ticks` records of the last episode, or a few more, and the inferences that were answered in them."""
    tables = [_last(folder / name, ticks) for name in (TICKS, INFERENCES)]
    if "episode" in tables[0].column_names and tables[0].num_rows:
        last = tables[0]["episode"][-1]
        tables = [table.filter(pc.field("episode") == last) for table in tables]
    seen, answered = tables
    first = seen["tick"][0].as_py() if seen.num_rows else 0
    return seen, answered.filter(pc.field("accepted") >= first)


def _last(path: Path, rows: int) -> pa.Table:
    """Record batches with the last `rows` of the table at `path`, as one table."""
    kept: list[pa.RecordBatch] = []
    for batch in batches(path):
        kept.append(batch)
        while sum(one.num_rows for one in kept[1:]) >= rows:
            kept.pop(0)
    return pa.Table.from_batches(kept, schema_of(path))


def _strategy(folder: Path) -> dict[str, Any]:
    """Options of the strategy, with its name, from the run's configuration."""
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(folder / CONFIG))
        return {"name": str(config["strategy"]["name"]), **config["strategy"]}
    except (OSError, ValueError, KeyError, TypeError, YAMLError, OmegaConfBaseException) as error:
        raise damaged(folder / CONFIG, error) from error


def _stretches(path: Path) -> Iterator[NDArray[Any]]:
    """Yields the tick records in parts with rising tick numbers; a new episode begins a new part."""
    for records in map(_records, batches(path, TIMED)):
        parts = np.split(records, np.flatnonzero(np.diff(records["tick"]) <= 0) + 1)
        yield from (part for part in parts if len(part))


def _records(batch: pa.RecordBatch) -> NDArray[Any]:
    """Converts a record batch to the form of the trace's rings, with an outcome as its index in `OUTCOMES`."""
    records = np.empty(batch.num_rows, [(name, np.int64) for name in batch.schema.names])
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        found = pc.index_in(column, pa.array(OUTCOMES)) if name == "outcome" else column
        records[name] = found.to_numpy(zero_copy_only=False)
    return records

"""A run that left no summary, since it was killed or still goes on: what its records tell.

Its configuration says what was run; its ticks and inferences, of which all but the last second are on the disk, say how
it went until then.
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

from rollahead.runtime.gauges import Gauges
from rollahead.runtime.records import batches, rate_of, schema_of, source_of
from rollahead.runtime.run_folder import CONFIG, INFERENCES, SUMMARY, TICKS, damaged
from rollahead.runtime.trace import OUTCOMES

TIMED = ("tick", "status", "guard", "age", "began_ns")  # what gauges read of a tick, and of an inference
ANSWERED = ("delay_planned", "delay", "lost", "outcome")

NOTHING: NDArray[Any] = np.empty(0)

Ran = dict[str, Any]


def unfinished(folder: Path) -> bool:
    """Whether it is the folder of a run without a summary, but with records."""
    needed = (folder / CONFIG).exists() and source_of(folder / TICKS) and source_of(folder / INFERENCES)
    return bool(needed) and not (folder / SUMMARY).exists()


def note(folder: Path) -> str | None:
    """One line about what is read in place of what a run leaves that ends by itself; None if nothing is."""
    files = (source_of(folder / name) for name in (TICKS, INFERENCES))
    cut = [file.name for file in files if file and not file.name.endswith(".parquet")]
    missing = [] if not unfinished(folder) else [f"no {SUMMARY}: it was killed, or still goes on"]
    verbs = ("is", "ends") if len(cut) == 1 else ("are", "end")
    read = [f"{' and '.join(cut)} {verbs[0]} read, which {verbs[1]} where the recorder stopped"]
    return f"{folder}: {'; '.join([*missing, *(read if cut else [])])}" if missing or cut else None


def date(folder: Path) -> str:
    """The day on which the last was recorded."""
    file = source_of(folder / TICKS) or folder
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%d")


def ran(folder: Path) -> Ran:
    """How it ran in real time, as a summary would have it. When a tick was due is counted from the most punctual one of
    the first second of its episode.

    Raises: ConfigError, if configuration or records are damaged.
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
    for batch in batches(folder / INFERENCES, ANSWERED):
        gauges.take(NOTHING, _records(batch))
    return {"strategy": _strategy(folder), "figures": None, "gauges": gauges.figures(), "rate_hz": rate_hz}


def last_of(folder: Path, ticks: int) -> tuple[pa.Table, pa.Table]:
    """Of the last episode the last `ticks`, or a few more, and the inferences that were answered in them."""
    tables = [_last(folder / name, ticks) for name in (TICKS, INFERENCES)]
    if "episode" in tables[0].column_names and tables[0].num_rows:
        last = tables[0]["episode"][-1]
        tables = [table.filter(pc.field("episode") == last) for table in tables]
    seen, answered = tables
    first = seen["tick"][0].as_py() if seen.num_rows else 0
    return seen, answered.filter(pc.field("accepted") >= first)


def _last(path: Path, rows: int) -> pa.Table:
    """The batches with the last `rows` of a table."""
    kept: list[pa.RecordBatch] = []
    for batch in batches(path):
        kept.append(batch)
        while sum(one.num_rows for one in kept[1:]) >= rows:
            kept.pop(0)
    return pa.Table.from_batches(kept, schema_of(path))


def _strategy(folder: Path) -> dict[str, Any]:
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(folder / CONFIG))
        return {"name": str(config["strategy"]["name"]), **config["strategy"]}
    except (OSError, ValueError, KeyError, TypeError, YAMLError, OmegaConfBaseException) as error:
        raise damaged(folder / CONFIG, error) from error


def _stretches(path: Path) -> Iterator[NDArray[Any]]:
    """The ticks in parts in which they rise."""
    for records in map(_records, batches(path, TIMED)):
        parts = np.split(records, np.flatnonzero(np.diff(records["tick"]) <= 0) + 1)
        yield from (part for part in parts if len(part))


def _records(batch: pa.RecordBatch) -> NDArray[Any]:
    """A batch as a trace has it: an outcome by its place."""
    records = np.empty(batch.num_rows, [(name, np.int64) for name in batch.schema.names])
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        found = pc.index_in(column, pa.array(OUTCOMES)) if name == "outcome" else column
        records[name] = found.to_numpy(zero_copy_only=False)
    return records

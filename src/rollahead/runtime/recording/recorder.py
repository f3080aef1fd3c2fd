"""The recorder: writes traces to disk while the robot runs.

It follows both rings of a trace. Every second it appends the new records to `ticks.arrows` and `inferences.arrows` in
the run's folder; at the end these become `ticks.parquet` and `inferences.parquet`. So after a crash or SIGKILL all
records but those of about the last second can be read (details: `runtime.recording.records`). A full disk stops the
recorder, never the robot: the error is raised at the end, and the records written until then stay.

Threads: one of its own for each trace that is followed; the thread that made the recorder enters and leaves it.
Python's lock is held while the records of a second are turned into columns, about 0.2 ms. Interrupts are delayed while
it ends.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rollahead.errors import ControlError
from rollahead.runtime.control.trace import OUTCOMES, Trace
from rollahead.runtime.recording.records import Stream, make_table, stream_of
from rollahead.runtime.recording.run_folder import INFERENCES, TICKS, not_written
from rollahead.runtime.system.interrupts import deferred
from rollahead.runtime.transport.shared import Ring
from rollahead.runtime.types.messages import NEVER

EVERY_S = 1.0


class Recorder:
    """Writes the traces that it follows, one after the other, into `folder`.

    with Recorder(folder) as recorder:
        with recorder.follow(trace): ...the run
    """

    def __init__(self, folder: Path) -> None:
        self.lost = 0  # number of records that were overwritten before they were read
        self._folder = folder
        self._streams: dict[str, Stream] = {}  # by the name of the table
        self._error: ControlError | None = None

    def __enter__(self) -> "Recorder":
        import pyarrow.parquet  # noqa: F401  imported here, so that the thread need not while the robot runs

        return self

    def __exit__(self, *raised: Any) -> None:
        """Makes the tables. Raises ControlError if not all could be written, unless another error was raised."""
        try:
            with deferred():
                for name, stream in self._streams.items():
                    stream.close()
                    if self._error is None:
                        self._make_table(name)
        finally:
            if self._error is not None and not isinstance(raised[1], Exception):
                raise self._error  # comes before an interrupt, which would hide it

    def _make_table(self, name: str) -> None:
        try:
            make_table(self._folder / name, self._streams[name].rows)
        except ControlError as error:
            self._error = ControlError(f"{error} (no record is lost: rollahead report reads {stream_of(Path(name))})")

    @contextmanager
    def follow(self, trace: Trace, **constants: object) -> Iterator[None]:
        """Writes `trace` while inside the `with`.

        Args:
            trace: Trace of a run.
            constants: Further columns with one value each; they have the same names for each trace.

        Raises ControlError at the start if nothing can be written to the disk.
        """
        followed = [
            _Followed(TICKS, trace.tick_ring, lambda rows: trace.tick_columns(rows, **constants)),
            _Followed(INFERENCES, trace.inference_ring, lambda rows: _columns(rows, constants)),
        ]
        ending = threading.Event()
        self._begin(followed, trace.rate_hz)
        thread = threading.Thread(target=self._follow, args=(followed, ending), name="rollahead recorder", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with deferred():
                ending.set()
                thread.join()

    def _begin(self, followed: "list[_Followed]", rate_hz: float) -> None:
        for one in followed:
            if one.name not in self._streams:
                path = stream_of(self._folder / one.name)
                try:
                    self._streams[one.name] = Stream(path, one.nothing().schema, rate_hz)
                except OSError as error:
                    raise not_written(path, error) from error

    def _follow(self, followed: "list[_Followed]", ending: threading.Event) -> None:
        ended = False
        while not ended and self._error is None:
            ended = ending.wait(EVERY_S)
            with self._failing():
                for one in followed:
                    self.lost += one.append_new(self._streams[one.name])

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Keeps an error that is raised inside the `with`.

        After an error nothing more is written, because a batch may be incomplete.
        """
        try:
            yield
        except Exception as error:
            why = getattr(error, "strerror", None) or error
            self._error = ControlError(
                f"the trace could not be written any further ({why}); the robot ran on, and what was recorded before "
                f"is in {self._folder}; free some space, or give another runs=..."
            )


class _Followed:
    """A ring, and the function that turns its records into columns of the table `name`."""

    def __init__(self, name: str, ring: Ring, columns: Callable[[Any], dict[str, Any]]) -> None:
        self.name = name
        self._ring = ring
        self._columns = columns
        self._cursor = 0

    def append_new(self, stream: Stream) -> int:
        """Appends the new records of the ring to `stream`; returns how many were overwritten before they were read."""
        rows, self._cursor, lost = self._ring.since(self._cursor)
        if len(rows):
            stream.append(self._batch(rows))
        return lost

    def nothing(self) -> Any:
        """Record batch without rows, for its schema."""
        return self._batch(self._ring.since(self._ring.count)[0])

    def _batch(self, rows: Any) -> Any:
        import pyarrow as pa

        return pa.RecordBatch.from_pydict(self._columns(rows))


def _columns(packed: Any, constants: dict[str, object]) -> dict[str, Any]:
    """Turns inference records into columns, with null for unknown values.

    constants: further columns with one value each.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {name: np.full(len(packed), value) for name, value in constants.items()}
    for name in packed.dtype.names:
        columns[name] = pa.array(packed[name], mask=packed[name] == NEVER)
    return {**columns, "outcome": pa.array(np.array(OUTCOMES)[packed["outcome"]], pa.string())}

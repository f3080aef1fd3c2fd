"""The recorder: writes a trace to disk while the robot runs.

It follows both rings of the trace and appends to `ticks.parquet` and `inferences.parquet` of a run's folder. A disk
that takes no more stops the recorder, never the robot: the error is raised at the end.

Threads: its own, which follows; whoever made it enters and leaves. Python's lock is held for what a group of ticks
takes to turn into columns.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rollahead.errors import ControlError
from rollahead.runtime.chunk import NEVER
from rollahead.runtime.run_folder import INFERENCES, TICKS, written_whole
from rollahead.runtime.shared import Ring
from rollahead.runtime.trace import OUTCOMES, Trace

EVERY_S = 1.0
GROUP = 16384  # records that are written at a time; what a file says of each group is in memory until it is closed


class Recorder:
    """Writes `trace` into `folder` between `with` and its end. constants: columns that are the same in each row."""

    def __init__(self, trace: Trace, folder: Path, **constants: object) -> None:
        self.lost = 0  # records written over before they were read
        self._ending = threading.Event()
        self._error: ControlError | None = None
        self._files = ExitStack()
        self._followed = [
            _Followed(trace.tick_ring, folder / TICKS, lambda rows: trace.tick_columns(rows, **constants)),
            _Followed(trace.inference_ring, folder / INFERENCES, lambda rows: _columns(rows, constants)),
        ]
        self._thread = threading.Thread(target=self._follow, name="rollahead recorder", daemon=True)

    def __enter__(self) -> "Recorder":
        import pyarrow.parquet  # noqa: F401  here, and not in the thread while the robot runs

        for followed in self._followed:
            self._files.enter_context(followed.open())
        self._thread.start()
        return self

    def __exit__(self, *raised: Any) -> None:
        """Raises: ControlError, if not all could be written."""
        self._ending.set()
        self._thread.join()
        try:
            self._files.__exit__(*((type(self._error), self._error, None) if self._error else (None, None, None)))
        except ControlError as error:
            self._error = self._error or error
        if self._error is not None and raised[0] is None:
            raise self._error

    def _follow(self) -> None:
        try:
            ending = False
            while not ending:
                ending = self._ending.wait(EVERY_S)
                for followed in self._followed:
                    self.lost += followed.append_new()
        except Exception as error:
            why = getattr(error, "strerror", None) or error
            self._error = ControlError(
                f"the trace could not be written ({why}); the robot ran on, and its records are lost: free some space, "
                "or give another runs=..."
            )


class _Followed:
    """A ring and the file that it goes to."""

    def __init__(self, ring: Ring, path: Path, columns: Callable[[Any], dict[str, Any]]) -> None:
        self._ring = ring
        self._path = path
        self._columns = columns
        self._cursor = 0
        self._unwritten: list[Any] = []
        self._writer: Any = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """The file is whole at the end, or not there."""
        import pyarrow.parquet as pq

        with written_whole(self._path) as unfinished:
            empty = self._table(self._ring.since(self._ring.count)[0])
            self._writer = pq.ParquetWriter(unfinished, empty.schema, write_statistics=False)
            try:
                yield
                self._write()
            finally:
                self._writer.close()

    def append_new(self) -> int:
        """Takes what is new, and writes it when it makes a group; how many records were lost."""
        rows, self._cursor, lost = self._ring.since(self._cursor)
        if len(rows):
            self._unwritten.append(rows)
        if sum(map(len, self._unwritten)) >= GROUP:
            self._write()
        return lost

    def _write(self) -> None:
        if self._unwritten:
            self._writer.write_table(self._table(np.concatenate(self._unwritten)))
            self._unwritten.clear()

    def _table(self, rows: Any) -> Any:
        import pyarrow as pa

        return pa.table(self._columns(rows))


def _columns(packed: Any, constants: dict[str, object]) -> dict[str, Any]:
    """Inferences as columns; what is not known is null."""
    import pyarrow as pa

    columns: dict[str, Any] = {name: np.full(len(packed), value) for name, value in constants.items()}
    for name in packed.dtype.names:
        columns[name] = pa.array(packed[name], mask=packed[name] == NEVER)
    return {**columns, "outcome": np.array(OUTCOMES)[packed["outcome"]]}

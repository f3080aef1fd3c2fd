"""Records of a run on disk: Parquet tables, and the Arrow streams that they are made from.

    while the run goes on     ticks.arrows    a batch of records is appended every second (Arrow IPC stream)
    at its end                ticks.parquet   made from the stream, which is removed when the table is complete

A table can be read only when it is complete; a stream can be read up to its last complete batch. So the batches in a
stream survive SIGKILL and a full disk. They also survive a power failure, since each batch is flushed (fdatasync)
before the next one is collected, as far as the disk keeps what is flushed. `read_parquet` reads the stream if there is
no table.

Threads: one writer per stream; any number of readers, also while it is written.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rollahead.errors import ControlError
from rollahead.runtime.recording.run_folder import damaged, written_whole

GROUP = 16384  # least number of records in a row group of a table; about as many are in memory while it is made
STREAM = ".arrows"  # suffix of a stream, in place of `.parquet`
RATE = b"rate_hz"  # metadata key in the schema of a stream and of its table: the control rate in Hz


class Stream:
    """A growing file of record batches (pyarrow) at `path`, for a run at `rate_hz`.

    Raises OSError if a write fails; nothing may be appended after that.
    """

    def __init__(self, path: Path, schema: Any, rate_hz: float) -> None:
        self.rows = 0  # number of rows written
        self._file = path.open("wb", buffering=0)
        try:
            self._write(schema.with_metadata({RATE: str(rate_hz)}).serialize())
        except OSError:
            self.close()
            path.unlink()
            raise

    def append(self, batch: Any) -> None:
        """Writes `batch` and waits until it is on disk. Python's lock is released meanwhile."""
        self._write(batch.serialize())
        os.fdatasync(self._file.fileno())
        self.rows += batch.num_rows

    def _write(self, message: Any) -> None:
        rest = memoryview(message)
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def stream_of(path: Path) -> Path:
    """Path of the stream that the table at `path` is made from."""
    return path.with_suffix(STREAM)


def source_of(path: Path) -> Path | None:
    """File that the table at `path` is read from: itself, or its stream; None if there is neither."""
    return next((file for file in (path, stream_of(path)) if file.exists()), None)


def whole_batches(stream: Path) -> Iterator[Any]:
    """Yields the record batches of a stream, up to the first incomplete one."""
    import pyarrow as pa

    with pa.OSFile(str(stream)) as source, pa.ipc.open_stream(source) as reader:
        while True:
            try:
                batch = reader.read_next_batch()
            except (StopIteration, OSError, pa.ArrowException):  # the end, or an incomplete batch
                return
            yield batch


def make_table(path: Path, rows: int = 0) -> None:
    """Makes the table at `path` from its stream, in constant memory, and removes the stream.

    Args:
        path: Path of the table.
        rows: Number of rows that the stream holds at least.

    Raises ControlError if a write fails, or not all rows can be read; the stream stays then.
    """
    import pyarrow.parquet as pq

    stream, made = stream_of(path), 0
    with (
        written_whole(path) as unfinished,
        pq.ParquetWriter(unfinished, _schema(stream), write_statistics=False) as writer,
    ):
        for group in _groups(whole_batches(stream)):
            writer.write_table(group)
            made += group.num_rows
        if made < rows:
            raise ControlError(f"{stream} has {rows} records, and only the first {made} can be read; look at the disk")
    stream.unlink()


def _groups(batches: Iterable[Any]) -> Iterator[Any]:
    """Joins `batches` to tables of at least `GROUP` rows; the last one may have fewer."""
    import pyarrow as pa

    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        if sum(part.num_rows for part in group) >= GROUP:
            yield pa.Table.from_batches(group)
            group = []
    if group:
        yield pa.Table.from_batches(group)


def batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """Yields the record batches (pyarrow) of the table at `path`, or of its stream.

    Args:
        path: Path of the table.
        columns: Names of the columns to read; None for all.

    Raises ConfigError if the file is missing or damaged.
    """
    import pyarrow.parquet as pq

    with _reading(path) as file:
        if file.suffix == STREAM:
            yield from (batch if columns is None else batch.select(columns) for batch in whole_batches(file))
        else:
            with pq.ParquetFile(file) as table:
                yield from table.iter_batches(columns=columns)


def schema_of(path: Path) -> Any:
    """Schema (pyarrow) of the table at `path`, or of its stream. Raises ConfigError if it is missing or damaged."""
    with _reading(path) as file:
        return _schema(file)


def rate_of(path: Path) -> float | None:
    """Control rate in Hz of the run recorded in the table at `path`, or in its stream; None if it is not noted.

    Raises ConfigError if the file is missing or damaged.
    """
    said = (schema_of(path).metadata or {}).get(RATE)
    return None if said is None else float(said)


@contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """Yields the file that the table at `path` is read from.

    Raises ConfigError that names the file if reading it fails inside the `with`.
    """
    import pyarrow as pa

    file = source_of(path) or path
    try:
        yield file
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise damaged(file, error) from error


def _schema(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.suffix != STREAM:
        return pq.read_schema(file)
    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as reader:
        return reader.schema


def read_parquet(path: Path, **options: Any) -> Any:
    """Reads the table (pyarrow) at `path`, or the complete batches of its stream if there is no table.

    Args:
        path: Path of the table.
        options: `columns` and `filters` of pyarrow's `read_table`.

    Raises ConfigError if the file is missing or damaged.
    """
    import pyarrow.parquet as pq

    with _reading(path) as file:
        return _read_stream(file, **options) if file.suffix == STREAM else pq.read_table(file, **options)


def _read_stream(stream: Path, columns: Sequence[str] | None = None, filters: Any = None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_batches(whole_batches(stream), _schema(stream))
    if filters is not None:
        table = table.filter(pq.filters_to_expression(filters))
    return (table if columns is None else table.select(columns)).combine_chunks()


def write_parquet(path: Path, tables: Sequence[Any]) -> None:
    """Writes `tables` (pyarrow) one after the other into the file `path`, whole or not at all.

    Raises ControlError if the disk does not take it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with written_whole(path) as unfinished:
        pq.write_table(pa.concat_tables(tables), unfinished)

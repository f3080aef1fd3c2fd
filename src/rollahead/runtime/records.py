"""Records of a run on the disk: tables, and the streams that they are made of.

    while the run goes on     ticks.arrows    a batch of records is appended every second (Arrow IPC stream)
    at its end                ticks.parquet   made of the stream, which is removed when the table is whole

A table can be read only once its last byte is written; a stream can be read up to its last whole batch. So what was
appended survives a process that is killed (SIGKILL), a disk that is full, and, as each batch is handed to the disk
(fdatasync) before the next is collected, a machine that loses its power, if the disk keeps what it was handed.
`read_parquet` reads the stream where there is no table.

Threads: one writer for each stream; anyone reads, also while it is written.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rollahead.runtime.run_folder import damaged, written_whole

GROUP = 16384  # records in a row group of a table, at least; so many are in memory while a table is made
STREAM = ".arrows"  # what a stream is called in place of `.parquet`
RATE = b"rate_hz"  # of the metadata of a stream and its table


class Stream:
    """A stream of record batches (pyarrow), which grows; of a run at `rate_hz`. Raises: OSError, if the disk does not
    take what is written; nothing may be appended afterwards."""

    def __init__(self, path: Path, schema: Any, rate_hz: float) -> None:
        self._file = path.open("wb", buffering=0)
        try:
            self._write(schema.with_metadata({RATE: str(rate_hz)}).serialize())
        except OSError:
            self.close()
            path.unlink()
            raise

    def append(self, batch: Any) -> None:
        """Writes `batch`, and waits until the disk has it. Python's lock is free meanwhile."""
        self._write(batch.serialize())
        os.fdatasync(self._file.fileno())

    def _write(self, message: Any) -> None:
        rest = memoryview(message)
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Nothing is appended any more."""
        self._file.close()


def stream_of(path: Path) -> Path:
    """Where the stream lies that the table at `path` is made of."""
    return path.with_suffix(STREAM)


def source_of(path: Path) -> Path | None:
    """The file that the table at `path` is read from: itself, or its stream; None if there is neither."""
    return next((file for file in (path, stream_of(path)) if file.exists()), None)


def whole_batches(stream: Path) -> Iterator[Any]:
    """The record batches of a stream, up to the first that was not written whole."""
    import pyarrow as pa

    with pa.OSFile(str(stream)) as source, pa.ipc.open_stream(source) as reader:
        while True:
            try:
                batch = reader.read_next_batch()
            except (StopIteration, OSError, pa.ArrowException):  # the end, or a batch that was cut off
                return
            yield batch


def make_table(path: Path) -> None:
    """Makes the table at `path` of its stream, and removes the stream. What is in memory does not grow with its length.

    Raises: ControlError, if the disk does not take it; the stream stays.
    """
    import pyarrow.parquet as pq

    stream = stream_of(path)
    with (
        written_whole(path) as unfinished,
        pq.ParquetWriter(unfinished, _schema(stream), write_statistics=False) as writer,
    ):
        for group in _groups(whole_batches(stream)):
            writer.write_table(group)
    stream.unlink()


def _groups(batches: Iterable[Any]) -> Iterator[Any]:
    """`batches` as tables of at least `GROUP` rows, the last one excepted."""
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
    """The table at `path`, or its stream, one record batch (pyarrow) after the other. columns: those that are read.

    Raises: ConfigError, if it is missing or damaged.
    """
    import pyarrow.parquet as pq

    with _reading(path) as file:
        if file.suffix == STREAM:
            yield from (batch if columns is None else batch.select(columns) for batch in whole_batches(file))
        else:
            with pq.ParquetFile(file) as table:
                yield from table.iter_batches(columns=columns)


def schema_of(path: Path) -> Any:
    """The schema (pyarrow) of the table at `path`, or of its stream. Raises: ConfigError, if it is missing or
    damaged."""
    with _reading(path) as file:
        return _schema(file)


def rate_of(path: Path) -> float | None:
    """The control rate in Hz of what stands in the table at `path`, or in its stream; None if that is not known.

    Raises: ConfigError, if it is missing or damaged.
    """
    said = (schema_of(path).metadata or {}).get(RATE)
    return None if said is None else float(said)


@contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """The file that the table at `path` is read from; what goes wrong inside is told with its name."""
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
    """The table (pyarrow) at `path`, or what there is of its stream. options: `columns` and `filters`, as of pyarrow's
    `read_table`.

    Raises: ConfigError, if it is missing or damaged.
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
    """Writes `tables` (pyarrow) one after the other into `path`. Nothing half-written is left under that name.

    Raises: ControlError, if the disk does not take it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with written_whole(path) as unfinished:
        pq.write_table(pa.concat_tables(tables), unfinished)

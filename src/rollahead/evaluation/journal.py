"""The journal of a run: its episodes as they are played, so that a run that is killed repeats none of them.

A line of JSON each, which names the cell by what is its own (`_key`) and holds all of the episode, its trace too where
that is kept. A last line that was cut off is that of an episode that was not over.
"""

import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from rollahead.errors import ConfigError, one_line
from rollahead.evaluation.evaluation import Cell, Episode
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.recording.run_folder import not_written
from rollahead.runtime.system.patience import error_text
from rollahead.runtime.transport.shared import Ring, packed
from rollahead.sim.task import Task

ARRAYS = ("ages", "switch_steps", "other_steps")
KEPT = tuple(field.name for field in fields(Episode) if field.name not in (*ARRAYS, "trace"))


class JournalFile:
    """The episodes of cells that share a task, a planner, a roller and a sampler, in a file."""

    def __init__(self, path: Path, task: Task) -> None:
        """Reads what is there, of `task`. Whole lines only: the next one begins where the last of them ends.

        Raises: ConfigError, if a line is damaged, or the file cannot be read or written.
        """
        self._path, self._task = path, task
        with _opening(path):
            whole, _, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
        self._played: dict[str, dict[int, Episode]] = {}
        for n, line in enumerate(whole.split(b"\n") if whole else (), 1):
            self._read(n, line)
        self.resumed = bool(self._played)
        with _opening(path):
            self._file = path.open("r+b" if path.exists() else "xb", buffering=0)
        self._file.truncate(len(whole) + 1 if whole else 0)
        self._file.seek(0, 2)

    def _read(self, n: int, line: bytes) -> None:
        """Keeps what line `n` holds."""
        try:
            key, values, trace = json.loads(line)
            arrays = {name: np.array(values[name], np.float64) for name in ARRAYS}
            episode = Episode(**values | arrays, trace=trace and self._trace(*trace))
            self._played.setdefault(key, {})[episode.seed] = episode
        except (ValueError, TypeError, KeyError, RecursionError, struct.error, zlib.error) as error:
            raise ConfigError(
                f"line {n} of {self._path} is damaged ({error_text(error)}); take it out, so that its "
                "episode is played again, or give another name=..."
            ) from error

    def _trace(self, ticks: str, inferences: str) -> Trace:
        trace = Trace(self._task.spec, self._task.max_ticks)
        _fill(trace.tick_ring, ticks)
        _fill(trace.inference_ring, inferences)
        return trace

    def played(self, cell: Cell) -> Mapping[int, Episode]:
        """Those of `cell` that need not be played again, by their seeds: where a trace is wanted, if it is there."""
        known, traced = self._played.get(_key(cell), {}), cell.seed + cell.traces
        return {
            seed: episode if seed < traced else replace(episode, trace=None)
            for seed, episode in known.items()
            if cell.seed <= seed < cell.seed + cell.episodes and (episode.trace or seed >= traced)
        }

    def add(self, cell: Cell, episode: Episode) -> None:
        """Writes down one. Raises: ControlError, if the disk does not take it."""
        values: dict[str, Any] = {name: getattr(episode, name) for name in KEPT}
        arrays = {name: getattr(episode, name).tolist() for name in ARRAYS}
        rings = episode.trace and (episode.trace.tick_ring, episode.trace.inference_ring)
        line = json.dumps([_key(cell), values | arrays, rings and [_text(ring) for ring in rings]])
        left = memoryview(line.encode() + b"\n")
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise not_written(self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def remove(self) -> None:
        """Once all is kept elsewhere."""
        self._path.unlink()


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Raises: ConfigError, if `path` cannot be opened in the block, as a folder cannot."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"the journal {path} cannot be opened ({one_line(error)}); move it away, or give another name=..."
        ) from error


def _key(cell: Cell) -> str:
    return json.dumps([asdict(cell.strategy), cell.reactions, cell.lag, cell.limits, repr(cell.guard)])


def _text(ring: Ring) -> str:
    """The records of `ring`."""
    return b64encode(zlib.compress(ring.newest().tobytes())).decode()


def _fill(ring: Ring, text: str) -> None:
    """Appends the records that `text` holds."""
    for numbers in packed(ring.newest().dtype).iter_unpack(zlib.decompress(b64decode(text))):
        ring.append(numbers)

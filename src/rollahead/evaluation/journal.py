"""The journal of a run: its episodes as they are played, so that a run that is killed and resumed repeats none of them.

Each episode is one line of JSON: the key of its cell (`_key`) and all values of the episode, with its trace where that
is kept. A last line that was cut off belongs to an episode that was not over.
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
    """File with the episodes of cells that share a task, a planner, a roller and a sampler."""

    def __init__(self, path: Path, task: Task) -> None:
        """Opens the file at `path` and reads its episodes of `task`.

        Only whole lines are kept; the next line is written after the last of them. Raises ConfigError if a line is
        damaged, or the file cannot be read or written.
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
        """Reads the episode in line `n`."""
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
        """Episodes of `cell` by seed that need not be played again: where a trace is wanted, those that have one."""
        known, traced = self._played.get(_key(cell), {}), cell.seed + cell.traces
        return {
            seed: episode if seed < traced else replace(episode, trace=None)
            for seed, episode in known.items()
            if cell.seed <= seed < cell.seed + cell.episodes and (episode.trace or seed >= traced)
        }

    def add(self, cell: Cell, episode: Episode) -> None:
        """Writes an episode. Raises ControlError if the disk does not take it."""
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
        """Deletes the file, once its episodes are written elsewhere."""
        self._path.unlink()


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Turns an OSError in the block into a ConfigError that `path` cannot be opened."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"the journal {path} cannot be opened ({one_line(error)}); move it away, or give another name=..."
        ) from error


def _key(cell: Cell) -> str:
    """Text that identifies a cell among those that share a journal."""
    return json.dumps([asdict(cell.strategy), cell.reactions, cell.lag, cell.limits, repr(cell.guard)])


def _text(ring: Ring) -> str:
    """Records of `ring`, compressed, as text."""
    return b64encode(zlib.compress(ring.newest().tobytes())).decode()


def _fill(ring: Ring, text: str) -> None:
    """Appends the records in `text` to `ring`."""
    for numbers in packed(ring.newest().dtype).iter_unpack(zlib.decompress(b64decode(text))):
        ring.append(numbers)

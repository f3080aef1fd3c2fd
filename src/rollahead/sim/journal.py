"""The journal of a run: its episodes as they are played, so that a run that is killed repeats none of them.

A line of JSON each, which names the cell by its strategy and holds all of the episode but its trace. A last line that
was cut off is that of an episode that was not over.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from rollahead.sim.evaluation import Cell, Episode

ARRAYS = ("ages", "switch_steps", "other_steps")
KEPT = tuple(field.name for field in fields(Episode) if field.name != "trace")


class JournalFile:
    """The episodes of cells that differ in their strategy and their seeds only, in a file."""

    def __init__(self, path: Path) -> None:
        """Reads what is there. Whole lines only: the next one begins where the last of them ends."""
        self._path = path
        whole, _, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
        self._played: dict[str, dict[int, Episode]] = {}
        for line in whole.splitlines():
            key, values = json.loads(line)
            episode = Episode(**values | {name: np.array(values[name]) for name in ARRAYS})
            self._played.setdefault(key, {})[episode.seed] = episode
        self.resumed = bool(self._played)
        self._file = path.open("r+b" if path.exists() else "xb")
        self._file.truncate(len(whole) + 1 if whole else 0)
        self._file.seek(0, 2)

    def played(self, cell: Cell) -> Mapping[int, Episode]:
        """Those of `cell` that need not be played again, by their seeds: not those whose traces are wanted."""
        known = self._played.get(_key(cell), {})
        return {
            seed: episode
            for seed, episode in known.items()
            if cell.seed + cell.traces <= seed < cell.seed + cell.episodes
        }

    def add(self, cell: Cell, episode: Episode) -> None:
        """Writes down one."""
        values: dict[str, Any] = {name: getattr(episode, name) for name in KEPT}
        line = json.dumps([_key(cell), values | {name: values[name].tolist() for name in ARRAYS}])
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def remove(self) -> None:
        """Once all is kept elsewhere."""
        self._path.unlink()


def _key(cell: Cell) -> str:
    return json.dumps([asdict(cell.strategy), cell.reactions])

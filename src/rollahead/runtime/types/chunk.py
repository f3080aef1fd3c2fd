"""Chunks, which are the actions of one inference addressed by tick, and the timeline of the live ones.

Row `i` of a chunk is for tick `origin + i`, always, and is never used before `start`:

    tick      10   11   12   13   14   15
    row        0    1    2    3    4    5      origin = 10
    usable               2    3    4    5      start = 12

Threads: the executor's alone. Hot path: all but the constructors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import NEVER, nothing


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Actions of one inference, one row per tick from `origin` on.

    Attributes:
        rows: (H, A), actions in robot units, read-only.
        origin: Tick that row 0 is for.
        start: First tick at which a row may be used.
        obs_tick: Tick of the oldest part of the observation.
        state_tick: Tick at which the state was measured that the plan starts from.
        request: Tick of the request that the chunk answers.
        epoch: Epoch of the request.
        accepted: Tick at which the executor took the chunk.
        lost: Number of rows that could have been used if the chunk had come by its start.
        environment: (E,), numbers about the scene in the observation that the chunk was made for.
        policy_features: (Z,), features from the policy's network, see `Result`.
        stop: First tick after the last row.
    """

    rows: FloatArray
    origin: int
    start: int
    obs_tick: int
    state_tick: int
    request: int
    epoch: int
    accepted: int
    lost: int = 0
    environment: FloatArray = field(default_factory=nothing)
    policy_features: FloatArray = field(default_factory=nothing)
    stop: int = field(init=False)  # the first tick after those covered

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", self.origin + len(self.rows))

    def between(self, start: int, stop: int) -> FloatArray:
        """Rows (n, A) for ticks `[start, stop)`. Phase: hot."""
        return self.rows[start - self.origin : stop - self.origin]


MOST_DECAY = 100.0

# (chunks that cover ticks [start, stop), oldest first; start; stop) -> (n, A)
Blend = Callable[[Sequence[Chunk], int, int], FloatArray]


def newest(chunks: Sequence[Chunk], start: int, stop: int) -> FloatArray:
    """Actions (n, A) of ticks `[start, stop)` from the newest chunk. Phase: hot."""
    return chunks[-1].between(start, stop)


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """Weighted mean of all chunks that cover a tick: temporal ensembling (ACT, arXiv 2304.13705, section IV).

    Attributes:
        decay: The j-th oldest chunk has weight exp(-decay * j), so a negative decay favours the newest.
        exempt: (A,), the dimensions that take the newest row instead of a mean (discrete ones, rotations).

    Raises ConfigError if `decay` is beyond 100 in size.
    """

    decay: float
    exempt: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if not -MOST_DECAY <= self.decay <= MOST_DECAY:
            raise ConfigError(f"decay is {self.decay}; give one from {-MOST_DECAY:g} (newest only) to {MOST_DECAY:g}")

    def __call__(self, chunks: Sequence[Chunk], start: int, stop: int) -> FloatArray:
        """Mean actions (n, A) of ticks `[start, stop)`. Phase: hot."""
        rows = np.stack([chunk.between(start, stop) for chunk in chunks])
        logs = -self.decay * np.arange(len(rows))
        weights = np.exp(logs - logs.max())
        shares = weights / weights.sum()
        mean = (shares[:, None, None] * rows).sum(axis=0)  # no BLAS: its rounding depends on the shape
        return np.where(self.exempt, rows[-1], mean)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Live chunks in the order in which they were accepted. It is immutable: `add` returns a new one.

    Attributes:
        chunks: The chunks, oldest first.
        blend: Function that joins the chunks that cover the same ticks.
    """

    chunks: tuple[Chunk, ...] = ()
    blend: Blend = newest

    @property
    def stop(self) -> int:
        """First tick after the last that any chunk has a row for; `NEVER` if there is no chunk. Phase: hot."""
        return max((chunk.stop for chunk in self.chunks), default=NEVER)

    def add(self, chunk: Chunk) -> "Timeline":
        """Timeline with `chunk` as the newest, without chunks that no tick from its acceptance on can need."""
        replaces = self.blend is newest and chunk.start <= chunk.accepted
        needed_to = max(chunk.accepted, chunk.stop) if replaces else chunk.accepted
        live = tuple(old for old in self.chunks if old.stop > needed_to)
        return Timeline((*live, chunk), self.blend)

    def covering(self, k: int) -> tuple[Chunk, ...]:
        """Chunks with a usable row for tick `k`, oldest first. Phase: hot."""
        return tuple([chunk for chunk in self.chunks if chunk.start <= k < chunk.stop])

    def action(self, k: int) -> FloatArray | None:
        """Action (A,) of tick `k`, or None if no chunk has one. Phase: hot."""
        covering = self.covering(k)
        return self.blend(covering, k, k + 1)[0] if covering else None

    def stretches(self, start: int, stop: int) -> Iterator[tuple[int, int, tuple[Chunk, ...]]]:
        """Divides ticks `[start, stop)` into ranges that the same chunks cover: begin, end, and the chunks.

        Phase: hot.
        """
        edges = {edge for chunk in self.chunks for edge in (chunk.start, chunk.stop) if start < edge < stop}
        for begin, end in pairwise((start, *sorted(edges), stop)):
            yield begin, end, self.covering(begin)

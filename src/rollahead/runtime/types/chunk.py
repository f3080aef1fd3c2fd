"""A chunk is the actions of one inference, addressed by tick; the timeline is the chunks that are alive.

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
    """Planned actions for consecutive ticks. rows: (H, A), in robot units, read-only. obs_tick: the oldest part of the
    observation; state_tick: when the state was measured that the plan starts from; request: the tick of the request
    that it answers; accepted: the tick at which the executor took it; lost: rows that could have been used, had it come
    by its start; environment: as it was seen for it; policy_features: as of `Result`."""

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
        """(n, A), the rows for ticks `[start, stop)`. Phase: hot."""
        return self.rows[start - self.origin : stop - self.origin]


MOST_DECAY = 100.0

Blend = Callable[
    [Sequence[Chunk], int, int], FloatArray
]  # those that cover ticks [start, stop), oldest first -> (n, A)


def newest(chunks: Sequence[Chunk], start: int, stop: int) -> FloatArray:
    """Returns the rows of the newest chunk for ticks `[start, stop)`, (n, A). Phase: hot."""
    return chunks[-1].between(start, stop)


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """Temporal ensembling (ACT, arXiv 2304.13705, section IV): the weighted mean of all chunks that cover a tick.

    The j-th oldest has weight exp(-decay * j), so a negative decay favours the newest. Dimensions where `exempt` (A,)
    holds take the newest row instead: a mean of open and shut, or of two rotations, is neither.
    """

    decay: float
    exempt: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if not -MOST_DECAY <= self.decay <= MOST_DECAY:
            raise ConfigError(f"decay is {self.decay}; give one from {-MOST_DECAY:g} (newest only) to {MOST_DECAY:g}")

    def __call__(self, chunks: Sequence[Chunk], start: int, stop: int) -> FloatArray:
        """(n, A), the means at ticks `[start, stop)`. Phase: hot."""
        rows = np.stack([chunk.between(start, stop) for chunk in chunks])
        logs = -self.decay * np.arange(len(rows))
        weights = np.exp(logs - logs.max())
        shares = weights / weights.sum()
        mean = (shares[:, None, None] * rows).sum(axis=0)  # no BLAS: it rounds by the shape, and a tick is a tick
        return np.where(self.exempt, rows[-1], mean)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The live chunks, in the order in which they were accepted. Immutable: `add` gives a new one."""

    chunks: tuple[Chunk, ...] = ()
    blend: Blend = newest

    @property
    def stop(self) -> int:
        """The first tick after those that any chunk is for; before all ticks if there is no chunk. Phase: hot."""
        return max((chunk.stop for chunk in self.chunks), default=NEVER)

    def add(self, chunk: Chunk) -> "Timeline":
        """With `chunk` as the newest; chunks that no tick from its acceptance on can need are dropped."""
        replaces = self.blend is newest and chunk.start <= chunk.accepted
        needed_to = max(chunk.accepted, chunk.stop) if replaces else chunk.accepted
        live = tuple(old for old in self.chunks if old.stop > needed_to)
        return Timeline((*live, chunk), self.blend)

    def covering(self, k: int) -> tuple[Chunk, ...]:
        """The chunks with a usable row for tick `k`, oldest first. Phase: hot."""
        return tuple([chunk for chunk in self.chunks if chunk.start <= k < chunk.stop])

    def action(self, k: int) -> FloatArray | None:
        """(A,), the action of tick `k`, or None if no chunk has one. Phase: hot."""
        covering = self.covering(k)
        return self.blend(covering, k, k + 1)[0] if covering else None

    def stretches(self, start: int, stop: int) -> Iterator[tuple[int, int, tuple[Chunk, ...]]]:
        """Ticks `[start, stop)` in pieces that the same chunks cover: where each begins and ends, and the chunks.
        Phase: hot."""
        edges = {edge for chunk in self.chunks for edge in (chunk.start, chunk.stop) if start < edge < stop}
        for begin, end in pairwise((start, *sorted(edges), stop)):
            yield begin, end, self.covering(begin)

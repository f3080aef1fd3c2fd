"""What will be sent from a tick on if nothing new comes: the timeline's actions, and holds where it has none."""

from collections.abc import Callable

import numpy as np

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.chunk import Timeline, newest
from rollahead.runtime.hold import Hold


def planned_rows(timeline: Timeline, k: int, n: int, hold: Hold, held: Callable[[], FloatArray]) -> FloatArray:
    """(n, A), read-only, for ticks `[k, k + n)`, n >= 1. held: gives (A,), what a hold at tick `k` would send.
    Phase: hot."""
    chunk = timeline.chunks[-1] if timeline.chunks else None
    if timeline.fold is newest and chunk is not None and chunk.covers(k) and chunk.stop == timeline.stop:
        rows = chunk.rows[k - chunk.origin :][:n]  # the usual case: the newest chunk has all that there is
    else:
        rows = _walk(timeline, k, min(n, max(timeline.stop - k, 1)), hold, held())
    if len(rows) < n:
        rows = np.concatenate([rows, hold.rows(rows[-1], n - len(rows))])
    rows.flags.writeable = False
    return rows


def _walk(timeline: Timeline, k: int, n: int, hold: Hold, held: FloatArray) -> FloatArray:
    """(n, A), tick by tick."""
    rows = np.empty((n, len(held)))
    for j in range(n):
        action = timeline.action(k + j)
        rows[j] = held if action is None else action
        held = hold.rows(rows[j], 1)[0]
    return rows

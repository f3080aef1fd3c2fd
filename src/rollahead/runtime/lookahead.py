"""What will be sent from a tick on if nothing new comes: the timeline's actions, and holds where it has none."""

import numpy as np

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.chunk import Timeline, newest
from rollahead.runtime.hold import Hold


def planned_rows(timeline: Timeline, k: int, n: int, hold: Hold, held: FloatArray) -> FloatArray:
    """(n, A), read-only, for ticks `[k, k + n)`. held: (A,), what a hold at tick `k` would follow. Phase: hot."""
    rows = np.empty((n, len(held)))
    chunk = timeline.chunks[-1] if timeline.chunks else None
    if timeline.fold is newest and chunk is not None and chunk.covers(k) and chunk.stop == timeline.stop:
        covered = min(n, chunk.stop - k)  # the usual case: the newest chunk has it all
        rows[:covered] = chunk.rows[k - chunk.origin :][:covered]
    else:
        covered = _walk(timeline, k, rows, hold, held)
    if covered < n:
        rows[covered:] = hold.rows(rows[covered - 1] if covered else held, n - covered)
    rows.flags.writeable = False
    return rows


def _walk(timeline: Timeline, k: int, rows: FloatArray, hold: Hold, held: FloatArray) -> int:
    """Fills `rows` tick by tick up to the last one that a chunk is for; says how many that are."""
    covered = min(len(rows), max(timeline.stop - k, 0))
    for j in range(covered):
        action = timeline.action(k + j)
        held = rows[j] = hold.rows(held, 1)[0] if action is None else action
    return covered

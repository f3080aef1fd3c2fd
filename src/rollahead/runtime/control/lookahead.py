"""What will be sent from a tick on if nothing new comes: the timeline's actions, and holds where it has none.

Hot path: of the executor's tick while a request is open; the work is by stretch, not by tick.
"""

from collections.abc import Callable

import numpy as np

from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.chunk import Timeline


def planned_rows(
    timeline: Timeline, k: int, n: int, hold: Hold, held: Callable[[], FloatArray], epoch: int = 0
) -> tuple[FloatArray, int]:
    """(n, A), read-only, for ticks `[k, k + n)`, n >= 1, and how many of these, from the first on, are of chunks of
    `epoch`. held: gives (A,), what a hold at tick `k` would send. Phase: hot."""
    blocks: list[FloatArray] = []
    covered = k
    for start, stop, covering in timeline.stretches(k, k + n):
        if covering and covering[-1].epoch == epoch and covered == start:
            covered = stop
        if covering:
            blocks.append(timeline.blend(covering, start, stop))
            continue
        if not blocks:
            blocks.append(held()[None])
            start += 1
        blocks.append(hold.rows(blocks[-1][-1], stop - start))
    rows = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    rows.flags.writeable = False
    return rows, covered - k

"""Planned actions: what will be sent from a tick on if nothing new comes.

These are the timeline's actions, and holds where it has none.

Hot path: part of the executor's tick while a request is open; the work is done by range of ticks, not by tick.
"""

from collections.abc import Callable

import numpy as np

from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.chunk import Timeline


def planned_rows(
    timeline: Timeline, k: int, n: int, hold: Hold, held: Callable[[], FloatArray], epoch: int = 0
) -> tuple[FloatArray, int]:
    """Planned actions (n, A), read-only, for ticks `[k, k + n)`, n >= 1, and how many chunks of `epoch` cover.

    The second value counts the ticks, from the first on, that chunks of `epoch` have an action for. Phase: hot.

    Args:
        timeline: The live chunks.
        k: First tick.
        n: Number of ticks.
        hold: Computes holds.
        held: Returns the action (A,) of a hold at tick `k`.
        epoch: The current epoch.
    """
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

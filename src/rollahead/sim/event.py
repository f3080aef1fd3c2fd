"""When the event of an episode comes: at a tick that falls anywhere in a strategy's cycle."""

import numpy as np

LEAD = 48  # ticks before the event: every strategy is in its stride by then
PHASE = 64  # it comes at a random one of so many ticks after that
NEVER = 2**62  # the tick of an event that does not come


def draw_tick(rng: np.random.Generator) -> int:
    """The tick at whose head the event can first be seen."""
    return LEAD + int(rng.integers(PHASE))

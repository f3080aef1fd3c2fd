"""The tick of an episode's event, drawn so that it falls anywhere in a strategy's cycle."""

import numpy as np

LEAD = 48  # ticks before the event, so that every strategy has made its first plans
PHASE = 64  # the event comes at a random one of the next PHASE ticks
NEVER = 2**62  # the tick of an event that never comes


def draw_tick(rng: np.random.Generator) -> int:
    """The tick at whose head the event can first be observed."""
    return LEAD + int(rng.integers(PHASE))

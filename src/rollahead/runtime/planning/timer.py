"""How much time an inference has left until its deadline, so that it can do with fewer steps where there is little.

Threads: the worker's alone. Hot path: `left`.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

from rollahead.runtime.planning.latency import Latency
from rollahead.runtime.system.clock import Clock, Grid

EARLY = 0.1  # of a tick, that a result is to be there before its deadline: the executor has yet to find it


class Timer(Protocol):
    """Interface that tells how much time is left in one inference."""

    def left(self, share: float) -> float:
        """Ticks until the deadline, when this share of the denoising is done. Phase: hot."""
        ...


@dataclass(frozen=True, slots=True)
class NoDeadline:
    """There is time for everything."""

    def left(self, share: float) -> float:
        """Phase: hot."""
        return math.inf


NO_DEADLINE = NoDeadline()


@dataclass(frozen=True, slots=True)
class ClockTimer:
    """By the clock. deadline: the tick at whose head the result should be there."""

    clock: Clock
    grid: Grid
    deadline: int

    def left(self, share: float) -> float:
        """Phase: hot."""
        return (self.grid.due_ns(self.deadline - EARLY) - self.clock.now_ns()) * 1e-9 * self.grid.rate_hz


@dataclass(slots=True)
class LatencyTimer:
    """By a latency model: what comes after the state is bound is denoising, each step as long as the others. spare:
    ticks from the head of the tick in which the inference began to its deadline."""

    latency: Latency
    spare: int
    share: float = field(default=1.0, init=False)  # that is done, as was said last

    def left(self, share: float) -> float:
        """Phase: hot."""
        self.share = share
        return self.spare - self._took

    @property
    def done(self) -> int:
        """The ticks after which the result is there, if it ended with that share."""
        return math.ceil(self._took - 1e-9)

    @property
    def _took(self) -> float:
        return self.latency.bind + self.share * (self.latency.done - self.latency.bind)

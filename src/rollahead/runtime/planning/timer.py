"""Timers: how much time an inference has left until its deadline, so that it can leave out denoising steps.

Threads: the worker's alone. Hot path: `left`.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

from rollahead.runtime.planning.latency import Latency
from rollahead.runtime.system.clock import Clock, Grid

EARLY = 0.1  # ticks before the deadline at which a result should arrive, so that the executor finds it in time


class Timer(Protocol):
    """Interface that tells how much time is left in one inference."""

    def left(self, share: float) -> float:
        """Ticks until the deadline, when `share` of the denoising is done, from 0 to 1. Phase: hot."""
        ...


@dataclass(frozen=True, slots=True)
class NoDeadline:
    """Timer of an inference without a deadline."""

    def left(self, share: float) -> float:
        """Infinity. Phase: hot."""
        return math.inf


NO_DEADLINE = NoDeadline()


@dataclass(frozen=True, slots=True)
class ClockTimer:
    """Timer by a clock.

    Attributes:
        clock: Clock of the run.
        grid: Times of the ticks.
        deadline: Tick at whose head the result should have arrived.
    """

    clock: Clock
    grid: Grid
    deadline: int

    def left(self, share: float) -> float:
        """Ticks from now to `EARLY` before the deadline. Phase: hot."""
        return (self.grid.due_ns(self.deadline - EARLY) - self.clock.now_ns()) * 1e-9 * self.grid.rate_hz


@dataclass(slots=True)
class LatencyTimer:
    """Timer by a latency: all of it after the state is bound counts as denoising, with steps of equal duration.

    Attributes:
        latency: Latency of the inference with all steps.
        spare: Ticks from the head of the tick in which the inference began to its deadline.
        share: Share of the denoising that was done at the last call of `left`, 1 before.
    """

    latency: Latency
    spare: int
    share: float = field(default=1.0, init=False)

    def left(self, share: float) -> float:
        """Ticks until the deadline, when `share` of the denoising is done; notes `share`. Phase: hot."""
        self.share = share
        return self.spare - self._took

    @property
    def done(self) -> int:
        """Ticks after which the result arrives, if the inference ends after `share` of the denoising."""
        return math.ceil(self._took - 1e-9)

    @property
    def _took(self) -> float:
        return self.latency.bind + self.share * (self.latency.done - self.latency.bind)

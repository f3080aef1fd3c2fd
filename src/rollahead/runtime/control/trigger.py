"""Triggers: decide when to request the next chunk.

A trigger is called at the head of each tick at which no request is open. `last`, the tick of the newest request of this
epoch, is None if there was none yet, or the planner had no answer to it.
"""

from dataclasses import dataclass
from typing import Protocol

from rollahead.errors import ConfigError


class Trigger(Protocol):
    """Decides whether a request is due."""

    def due(self, k: int, covered_until: int, last: int | None) -> bool:
        """Whether to request a chunk in tick `k`. Phase: hot.

        Args:
            k: The tick.
            covered_until: First tick after the last that a live chunk has a row for; before all ticks if there is no
                chunk.
            last: Tick of the newest request of this epoch, or None.
        """
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Requests a chunk every `s` ticks (the execution horizon), or at once if no chunk is left.

    The ticks are counted from request to request. Raises ConfigError if `s` is less than 1.
    """

    s: int

    def __post_init__(self) -> None:
        if self.s < 1:
            raise ConfigError(f"the execution horizon s is {self.s}; give at least 1 tick")

    def due(self, k: int, covered_until: int, last: int | None) -> bool:
        """Whether `s` ticks have passed since the last request, or no chunk is left. Phase: hot."""
        return last is None or k - last >= self.s or covered_until <= k


@dataclass(frozen=True, slots=True)
class AsSoonAsPossible:
    """Requests a chunk whenever no request is open, at most once per tick.

    The execution horizon is then the latency itself.
    """

    def due(self, k: int, covered_until: int, last: int | None) -> bool:
        """Whether no request was made in this tick yet. Phase: hot."""
        return last is None or last < k


@dataclass(frozen=True, slots=True)
class Overlap:
    """Requests a chunk when at most `ticks` of the planned actions are left.

    Raises ConfigError if `ticks` is negative.
    """

    ticks: int

    def __post_init__(self) -> None:
        if self.ticks < 0:
            raise ConfigError(f"the overlap is {self.ticks} ticks; give 0 (ask when the chunk is used up) or more")

    def due(self, k: int, covered_until: int, last: int | None) -> bool:
        """Whether at most `ticks` of the planned actions are left. Phase: hot."""
        return covered_until - k <= self.ticks

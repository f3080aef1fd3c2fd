"""When to ask for the next chunk; what to ask for is the strategy's.

A trigger is asked at the head of each tick at which no request is open. It is told the tick `k`; `covered_until`,
the first tick after those that any live chunk is for (before all ticks if there is none); and `last`, the tick of the
newest request of this epoch, or None if there was none yet, or the planner had no answer to it.
"""

from dataclasses import dataclass
from typing import Protocol

from rollahead.errors import ConfigError


class Trigger(Protocol):
    """Interface that decides in each tick whether a request is due."""

    def due(self, k: int, covered_until: int, last: int | None) -> bool:
        """Phase: hot."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every `s` ticks (the execution horizon), counted from request to request; at once if no chunk is left."""

    s: int

    def __post_init__(self) -> None:
        if self.s < 1:
            raise ConfigError(f"the execution horizon s is {self.s}; give at least 1 tick")

    def due(self, k: int, covered_until: int, last: int | None) -> bool:
        """Phase: hot."""
        return last is None or k - last >= self.s or covered_until <= k


@dataclass(frozen=True, slots=True)
class AsSoonAsPossible:
    """Whenever no request is open, at most once a tick: the execution horizon is then the latency itself."""

    def due(self, k: int, covered_until: int, last: int | None) -> bool:
        """Phase: hot."""
        return last is None or last < k


@dataclass(frozen=True, slots=True)
class Overlap:
    """When at most `ticks` of the planned actions are left."""

    ticks: int

    def __post_init__(self) -> None:
        if self.ticks < 0:
            raise ConfigError(f"the overlap is {self.ticks} ticks; give 0 (ask when the chunk is used up) or more")

    def due(self, k: int, covered_until: int, last: int | None) -> bool:
        """Phase: hot."""
        return covered_until - k <= self.ticks

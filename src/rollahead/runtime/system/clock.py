"""Clocks: the monotonic one, and one that moves only when told."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Nanoseconds that never go back."""

    def now_ns(self) -> int: ...

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Returns at once if the deadline has passed."""
        ...


class MonotonicClock:
    """The machine's own. spin_ns: of each sleep the last so many are spent awake: the machine wakes who sleeps some
    50 us late, and with cold caches."""

    def __init__(self, spin_ns: int = 0) -> None:
        self._spin_ns = spin_ns

    def now_ns(self) -> int:
        """Phase: hot."""
        return time.monotonic_ns()

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Phase: hot."""
        while (left := deadline_ns - time.monotonic_ns()) > 0:
            if left > self._spin_ns:
                time.sleep((left - self._spin_ns) * 1e-9)


class FakeClock:
    """Time moves when somebody sleeps or calls `advance`."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """The time it was last told."""
        return self._now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Moves on to the deadline, if that lies ahead."""
        self._now_ns = max(self._now_ns, deadline_ns)

    def advance(self, by_ns: int) -> None:
        """Moves on by `by_ns`, which must not be negative."""
        if by_ns < 0:
            raise ValueError(f"time cannot go back by {-by_ns} ns")
        self._now_ns += by_ns


@dataclass(frozen=True, slots=True)
class Grid:
    """The heads of ticks on a clock: absolute, so that lateness never adds up."""

    start_ns: int
    rate_hz: float

    def due_ns(self, k: float) -> int:
        """The head of tick `k`, or a time within a tick. Phase: hot."""
        return self.start_ns + int(k * 1e9 / self.rate_hz)

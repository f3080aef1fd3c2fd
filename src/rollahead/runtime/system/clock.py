"""Clocks: the machine's monotonic clock, and one for tests that moves only when it is told to."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """A source of time in nanoseconds that never goes back."""

    def now_ns(self) -> int:
        """Current time in nanoseconds, from an arbitrary origin."""
        ...

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Waits until the clock shows `deadline_ns`; returns at once if that has passed."""
        ...


class MonotonicClock:
    """The machine's monotonic clock.

    Args:
        spin_ns: How long before each deadline the thread stops sleeping and waits in a loop. Linux wakes a sleeping
            thread some 50 us late, and the caches are cold then.
    """

    def __init__(self, spin_ns: int = 0) -> None:
        self._spin_ns = spin_ns

    def now_ns(self) -> int:
        """Current time of the machine's monotonic clock, in nanoseconds. Phase: hot."""
        return time.monotonic_ns()

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Sleeps until `deadline_ns`, awake for the last `spin_ns`. Phase: hot."""
        while (left := deadline_ns - time.monotonic_ns()) > 0:
            if left > self._spin_ns:
                time.sleep((left - self._spin_ns) * 1e-9)


class FakeClock:
    """A clock for tests: its time moves only when somebody sleeps or calls `advance`."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Time that it was set to last, in nanoseconds."""
        return self._now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Moves the time on to the deadline, if that lies ahead."""
        self._now_ns = max(self._now_ns, deadline_ns)

    def advance(self, by_ns: int) -> None:
        """Moves the time on by `by_ns`. Raises ValueError if it is negative."""
        if by_ns < 0:
            raise ValueError(f"time cannot go back by {-by_ns} ns")
        self._now_ns += by_ns


@dataclass(frozen=True, slots=True)
class Grid:
    """The deadlines of ticks on a clock; they are absolute, so that lateness never adds up.

    Attributes:
        start_ns: Deadline of tick 0.
        rate_hz: Ticks per second.
    """

    start_ns: int
    rate_hz: float

    def due_ns(self, k: float) -> int:
        """Deadline of tick `k` in nanoseconds; a fractional `k` gives a time within a tick. Phase: hot."""
        return self.start_ns + int(k * 1e9 / self.rate_hz)

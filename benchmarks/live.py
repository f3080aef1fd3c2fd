"""The simulated robot of `benchmarks.episodes` for runs in real time, with a log that another process can read.

Each setpoint moves the axes by one setpoint period, whenever it comes. Each read begins a tick.
"""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.episodes import Episode, Rig
from benchmarks.limits import Event
from rollahead.runtime.transport.shared import Ring
from rollahead.runtime.types.robot import Reading

WHAT = ("read", "write", "stop")  # kinds of events, by their number in the ring
CAPACITY = 20_000  # events


def now_s() -> float:
    """Monotonic time in s, the same in every process of this machine."""
    return time.monotonic_ns() / 1e9


class Notebook:
    """The log of a run: events in shared memory. It can be passed as an argument to a process when that is started."""

    def __init__(self, episode: Episode) -> None:
        size = len(episode.joints)
        fields = [("what", "i8"), ("known", "i8"), ("age", "i8"), ("at_s", "f8"), ("values", "f8", (size,))]
        self._ring = Ring(fields, CAPACITY, shared=True)
        self._nothing = (0.0,) * size

    def __call__(self, event: Event) -> None:
        """Appends `event`."""
        values = self._nothing if event.values is None else event.values
        known = int(event.values is not None)
        self._ring.append((WHAT.index(event.what), known, event.age, event.at_s, *values))

    @property
    def events(self) -> list[Event]:
        """All events, in order."""
        return [_event(note) for note in self._ring.newest()]


def _event(note: Any) -> Event:
    values = tuple(note["values"].tolist()) if note["known"] else None
    return Event(WHAT[note["what"]], values, int(note["age"]), at_s=float(note["at_s"]))


class LiveRig(Rig):
    """A `Rig` that is driven in real time: the time between two reads is a tick."""

    def __init__(self, episode: Episode, log: Callable[[Event], None], clock: Callable[[], float] = now_s) -> None:
        super().__init__(episode, log, clock)

    def read(self) -> Reading:
        """Begins a tick, and reads the state."""
        if self._driven:
            self._states.append(self._at.copy())
            self.now += 1
        self.head()
        return super().read()

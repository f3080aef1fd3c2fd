"""A recorded robot in real time: the rig of `benchmarks.episodes`, whose log another process can read.

Its axes move a dt with each setpoint, whenever that comes. Ticks are told by their reads.
"""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.episodes import Episode, Rig
from benchmarks.limits import Event
from rollahead.runtime.robots import Reading
from rollahead.runtime.shared import Ring

WHAT = ("read", "write", "stop")
CAPACITY = 20_000


def now_s() -> float:
    """Seconds, as every process of this machine counts them."""
    return time.monotonic_ns() / 1e9


class Notebook:
    """What is done to the robot of `episode`, in order. It may be sent to a process that is started."""

    def __init__(self, episode: Episode) -> None:
        size = len(episode.joints)
        fields = [("what", "i8"), ("known", "i8"), ("age", "i8"), ("at_s", "f8"), ("values", "f8", (size,))]
        self._ring = Ring(fields, CAPACITY, shared=True)
        self._nothing = (0.0,) * size

    def __call__(self, event: Event) -> None:
        """Notes `event`."""
        values = self._nothing if event.values is None else event.values
        known = int(event.values is not None)
        self._ring.append((WHAT.index(event.what), known, event.age, event.at_s, *values))

    @property
    def events(self) -> list[Event]:
        """All of them."""
        return [_event(note) for note in self._ring.newest()]


def _event(note: Any) -> Event:
    values = tuple(note["values"].tolist()) if note["known"] else None
    return Event(WHAT[note["what"]], values, int(note["age"]), at_s=float(note["at_s"]))


class LiveRig(Rig):
    """A rig that is driven in real time: what passes between two reads is a tick."""

    def __init__(self, episode: Episode, log: Callable[[Event], None], clock: Callable[[], float] = now_s) -> None:
        super().__init__(episode, log, clock)

    def read(self) -> Reading:
        """A tick begins."""
        if self._driven:
            self._states.append(self._at.copy())
            self.now += 1
        self.head()
        return super().read()

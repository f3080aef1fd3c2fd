"""Latency models that draw each latency only once, for the many schedules that are looked at under the same ones."""

from dataclasses import dataclass, field

from rollahead.runtime.planning.latency import Latency, LatencyModel
from rollahead.runtime.planning.timed_latency import span_of


@dataclass(slots=True)
class Drawn:
    """Keeps each latency of `latency`, which does not depend on time."""

    latency: LatencyModel
    known: dict[tuple[int, int], Latency] = field(default_factory=dict)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency that `latency` has for it."""
        if (seed, n) not in self.known:
            self.known[seed, n] = self.latency.sample(seed, n)
        return self.known[seed, n]


@dataclass(slots=True)
class Episodes:
    """Plays a latency that depends on time in episodes of `ticks` ticks, one after the other, each with a seed."""

    latency: LatencyModel
    ticks: int
    known: dict[tuple[int, int, int], Latency] = field(default_factory=dict)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency in the episode that tick `tick` falls into, at its time there."""
        episode, at = divmod(tick, self.ticks)
        key = (seed + episode, min(n, 0), at)
        if key not in self.known:
            self.known[key] = self.latency.sample(*key)
        return self.known[key]


def drawn(latency: LatencyModel, episode: int | None = None) -> LatencyModel:
    """`latency`, each of which is drawn only once. episode: ticks of an episode, in which one that depends on time
    begins anew; None for as long as its own schedule."""
    if isinstance(latency, Drawn | Episodes):
        return latency
    span = span_of(latency)
    return Drawn(latency) if span is None else Episodes(latency, episode or span)

"""Latency models that draw each latency only once, so that many schedules can be compared under the same latencies."""

from dataclasses import dataclass, field

from rollahead.runtime.planning.latency import Latency, LatencyModel
from rollahead.runtime.planning.timed_latency import span_of


@dataclass(slots=True)
class Drawn:
    """Caches the samples of `latency`, a model that does not depend on time."""

    latency: LatencyModel
    known: dict[tuple[int, int], Latency] = field(default_factory=dict)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """Latency of inference `n` with `seed`, drawn at the first call and the same at each later one."""
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
        """Latency in the episode that `tick` falls into, at its time in that episode."""
        episode, at = divmod(tick, self.ticks)
        key = (seed + episode, min(n, 0), at)
        if key not in self.known:
            self.known[key] = self.latency.sample(*key)
        return self.known[key]


def drawn(latency: LatencyModel, episode: int | None = None) -> LatencyModel:
    """Wraps `latency` so that each latency is drawn only once.

    Args:
        latency: The latency model.
        episode: Length in ticks of an episode, in which a latency that depends on time begins anew; None for the length
            of the model's own schedule.
    """
    if isinstance(latency, Drawn | Episodes):
        return latency
    span = span_of(latency)
    return Drawn(latency) if span is None else Episodes(latency, episode or span)

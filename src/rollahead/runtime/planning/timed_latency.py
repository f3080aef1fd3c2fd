"""Latency models that depend on the time at which an inference begins, in ticks of the episode or of the run.

`Scheduled` follows a written schedule; `Replayed` replays a recording by the times at which its inferences began. Both
are independent of the number of inferences before.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.planning.latency import (
    Latency,
    LatencyModel,
    Recorded,
    Stretched,
    check_fraction,
    round_up,
    split,
)
from rollahead.runtime.types.seeds import generator

REPLAYS = ("inference", "time")


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A latency of `ticks[i]` for inferences that begin in `[at[i], at[i + 1])`; the last one has no end.

    Attributes:
        at: Times in ticks of the episode, rising from 0.
        ticks: Latencies in ticks, one for each time.
        ramp: Whether the latency changes linearly from each time to the next, rounded up, instead of in a step.
        bind_fraction: Fraction of an inference after which the state is bound, in [0, 1).

    Raises: ConfigError, if the times do not rise from 0, or a latency is negative.
    """

    at: Sequence[float]
    ticks: Sequence[int]
    ramp: bool = False
    bind_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_fraction(self.bind_fraction)
        if not self.ticks or len(self.at) != len(self.ticks):
            raise ConfigError(
                f"latency.at_s has {len(self.at)} times and latency.ticks {len(self.ticks)} latencies; give as many of "
                "both, at least 1"
            )
        if self.at[0] != 0 or any(late <= early for early, late in pairwise(self.at)):
            raise ConfigError(
                f"the times in latency.at_s come to the ticks {list(self.at)}, and must begin with 0 and rise; give "
                "them as in [0, 1.5, 3]"
            )
        if min(self.ticks) < 0:
            raise ConfigError(f"a latency in latency.ticks is {min(self.ticks)} ticks; give 0 or more")

    @classmethod
    def at_rate(cls, rate_hz: float) -> Callable[..., "Scheduled"]:
        """Constructor for a control rate, which takes the times in seconds."""

        def scheduled(
            at_s: Sequence[float], ticks: Sequence[int], ramp: bool = False, bind_fraction: float = 0.0
        ) -> Scheduled:
            return cls([seconds * rate_hz for seconds in at_s], ticks, ramp, bind_fraction)

        return scheduled

    @property
    def median(self) -> float:
        """Median of `ticks`."""
        return median(self.ticks)

    @property
    def span(self) -> int:
        """Ticks that the schedule lasts, at least 1.

        A schedule with ramps lasts up to the tick in which the last ramp ends, inclusive. One with steps lasts until
        the last step has lasted as long as the one before.
        """
        if self.ramp or len(self.at) == 1:
            return round_up(self.at[-1]) + 1
        return round_up(2 * self.at[-1] - self.at[-2])

    def scaled(self, factor: float) -> Stretched:
        """Model whose latencies are `factor` times as long."""
        return Stretched(self, factor)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency of the schedule in tick `tick`, the same for all seeds."""
        i = bisect_right(self.at, tick) - 1
        if not self.ramp or i == len(self.at) - 1:
            return split(self.ticks[i], self.bind_fraction)
        share = (tick - self.at[i]) / (self.at[i + 1] - self.at[i])
        return split(round_up(self.ticks[i] + share * (self.ticks[i + 1] - self.ticks[i])), self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recording replayed by time: an inference takes as long as the one that began last in the recording by then.

    The recording is a ring, entered at a time that the seed selects.

    Attributes:
        latencies: Latency of each inference.
        starts: Tick in which each inference began, the first one 0.
        span: Ticks that the recording lasts.
    """

    latencies: Sequence[Latency]
    starts: Sequence[int]
    span: int

    @classmethod
    def of(cls, recorded: Recorded) -> "Replayed":
        """Makes it from `recorded`; inferences whose start times are unknown are taken to follow without a pause."""
        apart = recorded.apart or [max(latency.done, 1) for latency in recorded.latencies]
        *starts, span = accumulate(apart, initial=0)
        return cls(recorded.latencies, starts, span)

    @property
    def median(self) -> float:
        """Median latency in ticks."""
        return median(latency.done for latency in self.latencies)

    def scaled(self, factor: float) -> Stretched:
        """Model whose latencies are `factor` times as long; the recording lasts no longer."""
        return Stretched(self, factor)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency at tick `tick` of the recording; for warm-ups (n < 0), those of the inferences before it."""
        first = int(generator("recording", seed).integers(self.span))
        i = bisect_right(self.starts, (first + tick) % self.span) - 1
        return self.latencies[(i + min(n, 0)) % len(self.latencies)]


def recorded_at_rate(rate_hz: float) -> Callable[..., Recorded | Replayed]:
    """Constructor of a recorded latency for a control rate.

    The constructor raises ConfigError if the way to replay it is not in `REPLAYS`, or there is no such recording.
    """

    def recorded(path: str, bind_fraction: float = 0.0, replay: str = "inference") -> Recorded | Replayed:
        if replay not in REPLAYS:
            raise unknown_name("way to replay a recording", replay, REPLAYS)
        model = Recorded.from_file(path, rate_hz, bind_fraction)
        return Replayed.of(model) if replay == "time" else model

    return recorded


def span_of(model: LatencyModel) -> int | None:
    """Ticks that a schedule or a recording of `model` lasts; None for a latency that does not depend on time."""
    if isinstance(model, Stretched):
        return span_of(model.model)
    return model.span if isinstance(model, Scheduled | Replayed) else None

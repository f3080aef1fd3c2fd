"""Latency models that depend on the time at which an inference begins, in ticks of the episode or of the run.

`Scheduled` follows a schedule that a person wrote; `Replayed` plays a recording in its own time. Neither draws
anything: how many inferences there were before makes no difference.
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
    """A latency of `ticks[i]` for inferences that begin at `at[i]` or later, up to `at[i + 1]`; the last one stays.

    at: in ticks of the episode, the first one 0; ramp: whether the latency changes on a straight line from each to the
    next, rounded up, instead of all at once.
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
        """The constructor for a control rate; it takes the times in seconds."""

        def scheduled(
            at_s: Sequence[float], ticks: Sequence[int], ramp: bool = False, bind_fraction: float = 0.0
        ) -> Scheduled:
            return cls([seconds * rate_hz for seconds in at_s], ticks, ramp, bind_fraction)

        return scheduled

    @property
    def median(self) -> float:
        """The median of `ticks`."""
        return median(self.ticks)

    @property
    def span(self) -> int:
        """Ticks that the schedule lasts: up to and with the tick in which its last ramp ends; of steps, until the last
        one has lasted as long as the one before. At least 1."""
        if self.ramp or len(self.at) == 1:
            return round_up(self.at[-1]) + 1
        return round_up(2 * self.at[-1] - self.at[-2])

    def scaled(self, factor: float) -> Stretched:
        """So many times as long."""
        return Stretched(self, factor)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency that the schedule has in tick `tick`, the same for all seeds."""
        i = bisect_right(self.at, tick) - 1
        if not self.ramp or i == len(self.at) - 1:
            return split(self.ticks[i], self.bind_fraction)
        share = (tick - self.at[i]) / (self.at[i + 1] - self.at[i])
        return split(round_up(self.ticks[i] + share * (self.ticks[i + 1] - self.ticks[i])), self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recording in its own time: an inference takes as long as the one that was begun last in the recording.

    The recording is a ring, entered at a time that the seed picks. starts: the tick in which each inference began, the
    first one 0; span: ticks that the recording lasts.
    """

    latencies: Sequence[Latency]
    starts: Sequence[int]
    span: int

    @classmethod
    def of(cls, recorded: Recorded) -> "Replayed":
        """`recorded` in time; inferences whose times are not known followed each other without a pause."""
        apart = recorded.apart or [max(latency.done, 1) for latency in recorded.latencies]
        *starts, span = accumulate(apart, initial=0)
        return cls(recorded.latencies, starts, span)

    @property
    def median(self) -> float:
        """In ticks."""
        return median(latency.done for latency in self.latencies)

    def scaled(self, factor: float) -> Stretched:
        """Each latency so many times as long; the recording lasts no longer."""
        return Stretched(self, factor)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency at that time of the recording; for warming up, those of the inferences before."""
        first = int(generator("recording", seed).integers(self.span))
        i = bisect_right(self.starts, (first + tick) % self.span) - 1
        return self.latencies[(i + min(n, 0)) % len(self.latencies)]


def recorded_at_rate(rate_hz: float) -> Callable[..., Recorded | Replayed]:
    """The constructor of a recorded latency for a control rate."""

    def recorded(path: str, bind_fraction: float = 0.0, replay: str = "inference") -> Recorded | Replayed:
        if replay not in REPLAYS:
            raise unknown_name("way to replay a recording", replay, REPLAYS)
        model = Recorded.from_file(path, rate_hz, bind_fraction)
        return Replayed.of(model) if replay == "time" else model

    return recorded


def span_of(model: LatencyModel) -> int | None:
    """Ticks after which a latency that depends on time has been through all that it does; None if it does not depend on
    time."""
    if isinstance(model, Stretched):
        return span_of(model.model)
    return model.span if isinstance(model, Scheduled | Replayed) else None

"""Latency models: how long an inference takes, in simulated time.

Each gives two numbers per inference, in ticks from the request: until the state is bound (late binding takes the
newest measurement then) and until the result is there. Most models draw each inference anew. `Scheduled` and `Replayed`
depend on the time at which an inference begins, as where a computer is throttled or gets another load.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist, median
from typing import Any, Protocol

import numpy as np

from rollahead.errors import ConfigError, one_line
from rollahead.runtime.planning import recordings
from rollahead.runtime.recording.records import rate_of, read_parquet, source_of
from rollahead.runtime.recording.run_folder import INFERENCES, SUMMARY
from rollahead.runtime.types.seeds import generator


@dataclass(frozen=True, slots=True)
class Latency:
    """Duration of one inference in ticks: the state is bound at the head of tick `request + bind`, the result is there
    at the head of `request + done`. Both 0 is the idealised instant policy: its result serves the tick of its own
    observation."""

    bind: int
    done: int

    def __post_init__(self) -> None:
        if not (0 <= self.bind < self.done or self.bind == self.done == 0):
            raise ConfigError(
                f"an inference that binds its state after {self.bind} ticks and is done after {self.done} cannot be; "
                "give 0 <= bind < done, or 0 for both"
            )


class LatencyModel(Protocol):
    """Interface of a source of inference latencies. Deterministic: the n-th inference of an episode with seed `seed`,
    begun in tick `tick`, always takes as long."""

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency of the `n`-th inference, begun in tick `tick`; those before the first (n < 0) are for warming
        up, before the first tick."""
        ...


class Distribution(LatencyModel, Protocol):
    """Latencies that can be had longer or shorter."""

    @property
    def median(self) -> float:
        """In ticks."""
        ...

    def scaled(self, factor: float) -> "Distribution":
        """The same, each latency so many times as long."""
        ...


WIDEST = 1000  # times the median: the most that a p95 may be
LONGEST_S = 10.0  # median of a recording in seconds; longer ones are in milliseconds
NONE = "none"  # instead of a model: an inference takes as long as it takes
ASIDE = ("name", "bind_fraction", "median")  # options that do not say how latencies are distributed


def latency_words(latency: Mapping[str, Any]) -> str:
    """A latency model in a few words: '8 ticks'."""
    name, ticks = latency["name"], latency.get("median")
    if name == "fixed":
        return f"{latency['ticks'] if ticks is None else ticks:g} ticks"
    if name == NONE:
        return "none injected"
    if ticks is not None:
        return f"{name}, median {ticks:g} ticks"
    return f"{name} ({', '.join(f'{key} {value}' for key, value in latency.items() if key not in ASIDE)})"


def with_median(model: Distribution, ticks: float) -> LatencyModel:
    """`model`, stretched so that its median is so many ticks; with 0 no inference takes any time.

    Raises: ConfigError, if it cannot be.
    """
    if not 0 <= ticks < math.inf:
        raise ConfigError(f"latency.median is {ticks} ticks; give 0 or more")
    if ticks == 0:
        return Fixed(0)
    if model.median <= 0:
        raise ConfigError(
            f"latency.median is {ticks:g} ticks, and the median of the model is 0, which cannot be stretched; give it "
            "a longer one, or leave median out"
        )
    return model.scaled(ticks / model.median)


def split(done: int, bind_fraction: float) -> Latency:
    """An inference of `done` ticks whose state is bound after that share of them, rounded down."""
    return Latency(min(math.floor(bind_fraction * done), max(done - 1, 0)), done)


def round_up(ticks: float) -> int:
    """Whole ticks, at least `ticks` but for what floating-point numbers add."""
    return math.ceil(ticks - 1e-9)


def _rng(seed: int, n: int) -> np.random.Generator:
    return generator("latency", seed, abs(n), int(n < 0))


def check_fraction(bind_fraction: float) -> None:
    """Raises: ConfigError, if no state can be bound after that share of an inference."""
    if not 0.0 <= bind_fraction < 1.0:
        raise ConfigError(f"bind_fraction is {bind_fraction}; give 0 (bound at once) or more, and less than 1")


@dataclass(frozen=True, slots=True)
class Stretched:
    """Each latency of `model`, `factor` times as long, rounded up; a state is bound as much later."""

    model: Distribution
    factor: float

    @property
    def median(self) -> float:
        """In ticks."""
        return round_up(self.factor * self.model.median)

    def scaled(self, factor: float) -> "Stretched":
        """So many times as long."""
        return Stretched(self, factor)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """That of `model`, made longer."""
        drawn = self.model.sample(seed, n, tick)
        done = round_up(self.factor * drawn.done)
        return Latency(min(int(self.factor * drawn.bind), max(done - 1, 0)), done)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Every inference takes `ticks`; the state is bound after `bind_fraction` of them."""

    ticks: int
    bind_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_fraction(self.bind_fraction)
        if self.ticks < 0:
            raise ConfigError(f"the latency is {self.ticks} ticks; give 0 or more")

    @property
    def median(self) -> float:
        """In ticks."""
        return self.ticks

    def scaled(self, factor: float) -> "Fixed":
        """So many times as long, rounded up."""
        return replace(self, ticks=round_up(factor * self.ticks))

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The same for all."""
        return split(self.ticks, self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """A lognormal with median `p50` and 95th percentile `p95`, in ticks, rounded up."""

    p50: float
    p95: float
    bind_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_fraction(self.bind_fraction)
        if not 0 < self.p50 < self.p95 <= WIDEST * self.p50:
            raise ConfigError(
                f"the latency's p50 is {self.p50} ticks and its p95 {self.p95}; give 0 < p50 < p95 <= {WIDEST} p50"
            )

    @property
    def median(self) -> float:
        """In ticks."""
        return self.p50

    def scaled(self, factor: float) -> "Lognormal":
        """So many times as long."""
        return replace(self, p50=factor * self.p50, p95=factor * self.p95)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """Drawn anew for each."""
        sigma = math.log(self.p95 / self.p50) / NormalDist().inv_cdf(0.95)
        drawn = self.p50 * math.exp(sigma * _rng(seed, n).standard_normal())
        return split(math.ceil(drawn), self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Uniform:
    """A whole number of ticks from `low` to `high`, both inclusive, one as likely as the other."""

    low: int
    high: int
    bind_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_fraction(self.bind_fraction)
        if not 0 <= self.low <= self.high:
            raise ConfigError(f"the latency is from {self.low} to {self.high} ticks; give 0 <= low <= high")

    @property
    def median(self) -> float:
        """In ticks."""
        return (self.low + self.high) / 2

    def scaled(self, factor: float) -> "Uniform":
        """So many times as long, in whole ticks on both sides of a median that is rounded up to half a tick."""
        twice = round_up(2 * factor * self.median)
        low = min(round_up(twice / 2 - factor * (self.high - self.low) / 2), twice // 2)
        return replace(self, low=low, high=twice - low)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """Drawn anew for each."""
        return split(int(_rng(seed, n).integers(self.low, self.high, endpoint=True)), self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Spikes:
    """`ticks` for most; a share `probability` takes a whole number from `low` to `high`, both inclusive."""

    ticks: int
    probability: float
    low: int
    high: int
    bind_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_fraction(self.bind_fraction)
        if not (0 <= self.ticks <= self.low <= self.high and 0.0 <= self.probability <= 1.0):
            raise ConfigError(
                f"spikes of {self.low} to {self.high} ticks over {self.ticks}, with probability {self.probability}, "
                "cannot be; give 0 <= ticks <= low <= high and a probability between 0 and 1"
            )

    @property
    def median(self) -> float:
        """In ticks: where at most half are spikes, of the others, else the spike that makes it half."""
        if self.probability <= 0.5:
            return self.ticks
        return self.low - 1 + round_up((self.high - self.low + 1) * (self.probability - 0.5) / self.probability)

    def scaled(self, factor: float) -> Distribution:
        """So many times as long, rounded up."""
        if self.probability > 0.5:  # a longer range, rounded, would have another median
            return Stretched(self, factor)
        ticks, low, high = (round_up(factor * value) for value in (self.ticks, self.low, self.high))
        return replace(self, ticks=ticks, low=low, high=high)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """Drawn anew for each."""
        rng = _rng(seed, n)
        spike = rng.random() < self.probability
        return split(int(rng.integers(self.low, self.high, endpoint=True)) if spike else self.ticks, self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The latencies of a recording, in ticks, replayed from a place that the seed picks. apart: ticks from the start of
    each inference to that of the next, where that is known."""

    latencies: Sequence[Latency]
    apart: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not self.latencies:
            raise ConfigError("the recorded latencies are empty; give a recording with at least one inference")

    @classmethod
    def from_file(cls, path: str | Path, rate_hz: float, bind_fraction: float = 0.0) -> "Recorded":
        """Reads a recording, rounded up to ticks of 1 / `rate_hz`. path: a text file with one latency in seconds per
        line; the folder of a run, or its `inferences.parquet`, whose delays are in ticks at the rate noted in it, or
        else in the `summary.json` beside it, or else at `rate_hz`; or the name of one of `recordings`."""
        check_fraction(bind_fraction)
        path = recordings.path(str(path)) if str(path) in recordings.names() else inferences_of(Path(path))
        if not (path.is_file() or (path.suffix == ".parquet" and source_of(path))):
            raise ConfigError(
                f"there is no recording at {path}; give latency.path=<file with one latency in s per line>, or "
                f"{' or '.join(recordings.names())}, which comes with rollahead"
            )
        try:
            parquet = path.suffix == ".parquet"
            ticks, apart = _of_run(path, rate_hz) if parquet else (_ticks(path, rate_hz), [])
        except (OSError, ValueError, OverflowError, LookupError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"{path} holds no latencies ({one_line(error)}); give one in seconds per line, or a run's "
                "inferences.parquet"
            ) from error
        return cls([split(done, bind_fraction) for done in ticks], apart)

    @property
    def median(self) -> float:
        """In ticks."""
        return median(latency.done for latency in self.latencies)

    def scaled(self, factor: float) -> "Stretched":
        """So many times as long."""
        return Stretched(self, factor)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The next one of the recording, which is a ring."""
        first = int(generator("recording", seed).integers(len(self.latencies)))
        return self.latencies[(first + n) % len(self.latencies)]


def inferences_of(path: Path) -> Path:
    """The `inferences.parquet` in `path`, if that is the folder of a run, else `path`."""
    return path / INFERENCES if path.is_dir() else path


def _ticks(path: Path, rate_hz: float) -> list[int]:
    """The latencies of a text file. Raises: ConfigError, if they are so long that they are not in seconds."""
    seconds = [float(word) for word in path.read_text().split()]
    ticks = [round_up(one * rate_hz) for one in seconds]
    if seconds and (middle := median(seconds)) >= LONGEST_S:
        raise ConfigError(
            f"the median of the latencies in {path} is {middle:g} s, so probably in milliseconds; give seconds, "
            f"as in {middle / 1000:g} for {middle:g} ms"
        )
    return ticks


def _of_run(path: Path, rate_hz: float) -> tuple[list[int], list[int]]:
    """How long the inferences of a run took, and how far apart they began; a new episode begins after the delay of the
    last inference before it, as does what follows a run that does not say when it asked."""
    longer = rate_hz / (rate_of(path) or _recorded_hz(path.parent, rate_hz))
    record = read_parquet(path)
    known = record.filter(record["delay"].is_valid())
    if "outcome" in known.column_names:  # no answer is no chunk, and took as long as a failure takes
        import pyarrow.compute as pc

        known = known.filter(pc.field("outcome") != "no_answer")
    delays = known["delay"].to_pylist()
    asked = known["request"].to_pylist() if "request" in known.column_names else [0] * len(delays)
    gaps = [late - early for early, late in pairwise(asked)] + [0] * bool(delays)
    apart = [gap if gap > 0 else max(delay, 1) for gap, delay in zip(gaps, delays, strict=True)]
    return [round_up(longer * delay) for delay in delays], [max(round(longer * gap), 1) for gap in apart]


def _recorded_hz(run: Path, otherwise: float) -> float:
    """The control rate of a run, as its summary has it."""
    if not (path := run / SUMMARY).is_file():
        return otherwise
    said = json.loads(path.read_text())
    return float(said.get("rate_hz") or next((cell["rate_hz"] for cell in said.get("cells", [])), otherwise))

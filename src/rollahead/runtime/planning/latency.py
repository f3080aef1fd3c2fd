"""Latency models: how long an inference takes, in simulated time or injected in real time.

Each gives two numbers per inference, in ticks from the request: until the state is bound (late binding takes the
newest measurement then) and until the result arrives. Most models draw a latency for each inference. `Scheduled` and
`Replayed` depend on the time at which an inference begins, as on a computer that is throttled or whose load changes.
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
    """Duration of one inference in ticks.

    Attributes:
        bind: The state is bound at the head of tick `request + bind`.
        done: The result arrives at the head of tick `request + done`. If both are 0, the policy is ideal: its result
            serves the tick of its own observation.

    Raises: ConfigError, unless 0 <= bind < done, or both are 0.
    """

    bind: int
    done: int

    def __post_init__(self) -> None:
        if not (0 <= self.bind < self.done or self.bind == self.done == 0):
            raise ConfigError(
                f"an inference that binds its state after {self.bind} ticks and is done after {self.done} cannot be; "
                "give 0 <= bind < done, or 0 for both"
            )


class LatencyModel(Protocol):
    """Interface of a source of inference latencies.

    It is deterministic: the same seed, inference and tick always have the same latency.
    """

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency of one inference of an episode.

        Args:
            seed: Seed of the episode.
            n: Index of the inference; n < 0 for those that warm up an estimator before the first tick.
            tick: Tick in which the inference begins.
        """
        ...


class Distribution(LatencyModel, Protocol):
    """Interface of a latency model whose latencies can be scaled."""

    @property
    def median(self) -> float:
        """Median latency in ticks."""
        ...

    def scaled(self, factor: float) -> "Distribution":
        """Model whose latencies are `factor` times as long."""
        ...


WIDEST = 1000  # largest p95 of a lognormal, in multiples of its median
LONGEST_S = 10.0  # median of a recording from which on it is taken to be in milliseconds
NONE = "none"  # in place of a model's name: no latency is injected
ASIDE = ("name", "bind_fraction", "median")  # options that do not describe the distribution


def latency_words(latency: Mapping[str, Any]) -> str:
    """Short description of a latency model, such as '8 ticks'."""
    name, ticks = latency["name"], latency.get("median")
    if name == "fixed":
        return f"{latency['ticks'] if ticks is None else ticks:g} ticks"
    if name == NONE:
        return "none injected"
    if ticks is not None:
        return f"{name}, median {ticks:g} ticks"
    return f"{name} ({', '.join(f'{key} {value}' for key, value in latency.items() if key not in ASIDE)})"


def with_median(model: Distribution, ticks: float) -> LatencyModel:
    """Scales `model` so that its median is `ticks`; with 0 no inference takes any time.

    Raises: ConfigError, if `ticks` is negative or not finite, or the median of `model` is 0 and `ticks` is not.
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
    """Latency of `done` ticks whose state is bound after the fraction `bind_fraction` of them, rounded down."""
    return Latency(min(math.floor(bind_fraction * done), max(done - 1, 0)), done)


def round_up(ticks: float) -> int:
    """Rounds `ticks` up to whole ticks, except for a floating-point error of up to 1e-9."""
    return math.ceil(ticks - 1e-9)


def _rng(seed: int, n: int) -> np.random.Generator:
    return generator("latency", seed, abs(n), int(n < 0))


def check_fraction(bind_fraction: float) -> None:
    """Checks the fraction of an inference after which the state is bound.

    Raises: ConfigError, if it is not in [0, 1).
    """
    if not 0.0 <= bind_fraction < 1.0:
        raise ConfigError(f"bind_fraction is {bind_fraction}; give 0 (bound at once) or more, and less than 1")


@dataclass(frozen=True, slots=True)
class Stretched:
    """Latencies of `model` multiplied by `factor`: the total is rounded up, the time of binding rounded down."""

    model: Distribution
    factor: float

    @property
    def median(self) -> float:
        """Median latency in ticks."""
        return round_up(self.factor * self.model.median)

    def scaled(self, factor: float) -> "Stretched":
        """Model whose latencies are `factor` times as long."""
        return Stretched(self, factor)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency of `model`, multiplied by `factor`."""
        drawn = self.model.sample(seed, n, tick)
        done = round_up(self.factor * drawn.done)
        return Latency(min(int(self.factor * drawn.bind), max(done - 1, 0)), done)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant latency of `ticks`, whose state is bound after the fraction `bind_fraction` of them.

    Raises: ConfigError, if `ticks` is negative, or `bind_fraction` is not in [0, 1).
    """

    ticks: int
    bind_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_fraction(self.bind_fraction)
        if self.ticks < 0:
            raise ConfigError(f"the latency is {self.ticks} ticks; give 0 or more")

    @property
    def median(self) -> float:
        """Median latency in ticks."""
        return self.ticks

    def scaled(self, factor: float) -> "Fixed":
        """Model whose latencies are `factor` times as long, rounded up."""
        return replace(self, ticks=round_up(factor * self.ticks))

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """Latency of `ticks` for every inference."""
        return split(self.ticks, self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal latencies with median `p50` and 95th percentile `p95`, in ticks, rounded up.

    Raises: ConfigError, unless 0 < p50 < p95 <= `WIDEST` p50, or if `bind_fraction` is not in [0, 1).
    """

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
        """Median latency in ticks."""
        return self.p50

    def scaled(self, factor: float) -> "Lognormal":
        """Model whose latencies are `factor` times as long."""
        return replace(self, p50=factor * self.p50, p95=factor * self.p95)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """A latency drawn for the `n`-th inference. Deterministic for a seed."""
        sigma = math.log(self.p95 / self.p50) / NormalDist().inv_cdf(0.95)
        drawn = self.p50 * math.exp(sigma * _rng(seed, n).standard_normal())
        return split(math.ceil(drawn), self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform latencies of a whole number of ticks from `low` to `high`, both inclusive.

    Raises: ConfigError, unless 0 <= low <= high, or if `bind_fraction` is not in [0, 1).
    """

    low: int
    high: int
    bind_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_fraction(self.bind_fraction)
        if not 0 <= self.low <= self.high:
            raise ConfigError(f"the latency is from {self.low} to {self.high} ticks; give 0 <= low <= high")

    @property
    def median(self) -> float:
        """Median latency in ticks."""
        return (self.low + self.high) / 2

    def scaled(self, factor: float) -> "Uniform":
        """Model `factor` times as long: its median is rounded up to half a tick, its bounds lie evenly around it."""
        twice = round_up(2 * factor * self.median)
        low = min(round_up(twice / 2 - factor * (self.high - self.low) / 2), twice // 2)
        return replace(self, low=low, high=twice - low)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """A latency drawn for the `n`-th inference. Deterministic for a seed."""
        return split(int(_rng(seed, n).integers(self.low, self.high, endpoint=True)), self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Spikes:
    """A constant latency with random spikes.

    Attributes:
        ticks: Latency in ticks without a spike.
        probability: Probability that an inference is a spike.
        low: Smallest latency of a spike, in ticks.
        high: Largest latency of a spike, in ticks, inclusive.
        bind_fraction: Fraction of an inference after which the state is bound, in [0, 1).

    Raises: ConfigError, unless 0 <= ticks <= low <= high, or if a fraction is out of its range.
    """

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
        """Median latency in ticks: `ticks` if at most half are spikes, else a latency from `low` to `high`."""
        if self.probability <= 0.5:
            return self.ticks
        return self.low - 1 + round_up((self.high - self.low + 1) * (self.probability - 0.5) / self.probability)

    def scaled(self, factor: float) -> Distribution:
        """Model whose latencies are `factor` times as long, rounded up."""
        if self.probability > 0.5:  # a longer range, rounded, would have another median
            return Stretched(self, factor)
        ticks, low, high = (round_up(factor * value) for value in (self.ticks, self.low, self.high))
        return replace(self, ticks=ticks, low=low, high=high)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """A latency drawn for the `n`-th inference. Deterministic for a seed."""
        rng = _rng(seed, n)
        spike = rng.random() < self.probability
        return split(int(rng.integers(self.low, self.high, endpoint=True)) if spike else self.ticks, self.bind_fraction)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Latencies of a recording, replayed in order from a position that the seed selects.

    Attributes:
        latencies: Latency of each inference, in ticks.
        apart: Ticks from the start of each inference to the start of the next; empty if unknown.

    Raises: ConfigError, if there are none.
    """

    latencies: Sequence[Latency]
    apart: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not self.latencies:
            raise ConfigError("the recorded latencies are empty; give a recording with at least one inference")

    @classmethod
    def from_file(cls, path: str | Path, rate_hz: float, bind_fraction: float = 0.0) -> "Recorded":
        """Reads a recording; latencies are rounded up to ticks of 1 / `rate_hz`.

        Args:
            path: A text file with one latency in seconds per line; or the name of one of `recordings`; or the folder of
                a run, or its `inferences.parquet`. The delays of a run are in ticks at the rate noted in that file, or
                else in the `summary.json` beside it, or else at `rate_hz`.
            rate_hz: Control rate.
            bind_fraction: Fraction of an inference after which the state is bound, in [0, 1).

        Raises: ConfigError, if there is no such recording, or it cannot be read.
        """
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
        """Median latency in ticks."""
        return median(latency.done for latency in self.latencies)

    def scaled(self, factor: float) -> "Stretched":
        """Model whose latencies are `factor` times as long."""
        return Stretched(self, factor)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The `n`-th latency after the starting position; after the end, the recording begins again."""
        first = int(generator("recording", seed).integers(len(self.latencies)))
        return self.latencies[(first + n) % len(self.latencies)]


def inferences_of(path: Path) -> Path:
    """Path of `inferences.parquet` in `path`, if that is the folder of a run, else `path`."""
    return path / INFERENCES if path.is_dir() else path


def _ticks(path: Path, rate_hz: float) -> list[int]:
    """Latencies of a text file, in ticks.

    Raises: ConfigError, if they are so long that they are probably in milliseconds.
    """
    seconds = [float(word) for word in path.read_text().split()]
    ticks = [round_up(one * rate_hz) for one in seconds]
    if seconds and (middle := median(seconds)) >= LONGEST_S:
        raise ConfigError(
            f"the median of the latencies in {path} is {middle:g} s, so probably in milliseconds; give seconds, "
            f"as in {middle / 1000:g} for {middle:g} ms"
        )
    return ticks


def _of_run(path: Path, rate_hz: float) -> tuple[list[int], list[int]]:
    """Latencies of the inferences of a run, and the ticks between their starts.

    Where the ticks of two requests do not rise (a new episode, or a recording without them), the second is taken to
    begin when the first has ended.
    """
    longer = rate_hz / (rate_of(path) or _recorded_hz(path.parent, rate_hz))
    record = read_parquet(path)
    known = record.filter(record["delay"].is_valid())
    if "outcome" in known.column_names:  # an inference without an answer took as long as the failure, not as a chunk
        import pyarrow.compute as pc

        known = known.filter(pc.field("outcome") != "no_answer")
    delays = known["delay"].to_pylist()
    asked = known["request"].to_pylist() if "request" in known.column_names else [0] * len(delays)
    gaps = [late - early for early, late in pairwise(asked)] + [0] * bool(delays)
    apart = [gap if gap > 0 else max(delay, 1) for gap, delay in zip(gaps, delays, strict=True)]
    return [round_up(longer * delay) for delay in delays], [max(round(longer * gap), 1) for gap in apart]


def _recorded_hz(run: Path, otherwise: float) -> float:
    """Control rate of a run from its summary, or `otherwise` if there is none."""
    if not (path := run / SUMMARY).is_file():
        return otherwise
    said = json.loads(path.read_text())
    return float(said.get("rate_hz") or next((cell["rate_hz"] for cell in said.get("cells", [])), otherwise))

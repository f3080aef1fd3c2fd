"""Gauges: statistics of runs in real time (rate, lateness, ages, delays, counts), computed from their traces.

Call `follow` now and then while a run goes on, and `figures` for the last seconds or for everything so far. Memory does
not grow with the run. Over everything, quantiles of times are within 1 % (`runtime.recording.histogram`); ages and
delays up to 1000 ticks, and each maximum, are exact.

Threads: any one thread but the executor's.
"""

from collections import Counter, deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.control.trace import OUTCOMES, STAGES, Outcome, TickStatus, Trace
from rollahead.runtime.recording.histogram import TICKS, TIMES, Histogram
from rollahead.runtime.safety.guard import Flag

COUNTED = {  # name of the count, and the status of the ticks that it counts
    "underruns": TickStatus.UNDERRUN,
    "skipped": TickStatus.OVERRUN,
    "stale": TickStatus.STALE,
    "paused": TickStatus.PAUSED,
    "estopped": TickStatus.ESTOP,
}

MISSED = (Outcome.LATE.value, Outcome.EXPIRED.value, Outcome.REFUSED.value)  # results that lose rows by a fault
UNTIMED = (Outcome.DROPPED.value, Outcome.NO_ANSWER.value)  # results whose delay is not that of a chunk
QUANTILES = (50, 95, 99)
KEPT_S = 10.0  # the longest time that `figures` can be asked for

Figures = dict[str, Any]
Records = NDArray[Any]


class Gauges:
    """Statistics of one or more runs at `rate_hz`, one after the other."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._trace: Trace | None = None
        self._counts: Counter[str] = Counter()
        self._status = "none"
        kept = max(round(KEPT_S * rate_hz), 1)
        self._ages, self._delays = _Series(TICKS, kept), _Series(TICKS, kept)
        self._late_us, self._uneven_us = _Series(TIMES, kept), _Series(TIMES, kept)
        self._stages = {name: _Series(TIMES, kept) for name in STAGES}
        self._steps = _Steps(kept)
        self._delay_planned: int | None = None

    def follow(self, trace: Trace, start_ns: int) -> None:
        """Takes the new records of `trace`, the trace of a run whose tick 0 was due at `start_ns`."""
        if trace is not self._trace:
            self._trace = trace
            self._tick_cursor = self._inference_cursor = 0
            self.begin(start_ns)
        ticks, self._tick_cursor, _ = trace.tick_ring.since(self._tick_cursor)
        inferences, self._inference_cursor, _ = trace.inference_ring.since(self._inference_cursor)
        self.take(ticks, inferences)

    def begin(self, start_ns: int) -> None:
        """Begins a new run, whose tick 0 was due at `start_ns`, and to which the next records belong."""
        self._start_ns = start_ns
        self._before_ns: int | None = None  # when the tick before began

    def take(self, ticks: Records, inferences: Records) -> None:
        """Takes the next records of the run: structured arrays (n,) with the fields of the trace's rings."""
        if len(ticks):
            self._count(ticks)
            self._time(ticks)
        if len(inferences):
            self._answered(inferences)

    def _count(self, ticks: Records) -> None:
        self._counts["ticks"] += len(ticks)
        self._status = TickStatus(int(ticks["status"][-1])).name.lower()
        for name, code in COUNTED.items():
            self._counts[name] += int((ticks["status"] == code).sum())
        for flag in Flag:
            self._counts[f"guard {flag.name}"] += int((ticks["guard"] & flag != 0).sum())
        self._ages.append(ticks["age"][ticks["age"] >= 0])

    def _time(self, ticks: Records) -> None:
        sent = ticks[ticks["status"] != TickStatus.OVERRUN]
        due_ns = self._start_ns + sent["tick"] * (1e9 / self._rate_hz)
        began_ns = sent["began_ns"]
        before = began_ns[:1] if self._before_ns is None else [self._before_ns]
        steps_ns = np.diff(np.concatenate([before, began_ns]))[self._before_ns is None :]
        self._late_us.append((began_ns - due_ns) / 1e3)
        self._steps.append(steps_ns)
        self._uneven_us.append(np.abs(steps_ns * 1e-9 - 1 / self._rate_hz) * 1e6)
        self._before_ns = int(began_ns[-1]) if len(sent) else self._before_ns

    def _answered(self, records: Records) -> None:
        self._delay_planned = int(records["delay_planned"][-1])
        for code, name in enumerate(OUTCOMES):
            self._counts[name] += int((records["outcome"] == code).sum())
        known = records[~np.isin(records["outcome"], [OUTCOMES.index(outcome) for outcome in UNTIMED])]
        for name in set(STAGES) & set(records.dtype.names or ()):  # an older run has none
            self._stages[name].append(known[name][known[name] > 0] / 1e3)
        self._counts["inferences"] += len(records)
        missed = np.isin(known["outcome"], [OUTCOMES.index(outcome) for outcome in MISSED])
        self._counts["rows_lost"] += int(known["lost"].sum(where=missed))
        self._delays.append(known["delay"])

    def figures(self, last_s: float | None = None) -> Figures:
        """Returns counts over everything, and quantiles of ages and times over everything or the last seconds.

        Args:
            last_s: Length of the time that the quantiles are taken over, at most `KEPT_S`; None for everything.
        """
        newest = None if last_s is None else max(round(last_s * self._rate_hz), 1)
        return {
            "status": self._status,
            **{name: self._counts[name] for name in ("ticks", *COUNTED, "inferences", *OUTCOMES, "rows_lost")},
            "rate_hz": self._steps.rate_hz(newest),
            "late_us": self._late_us.spread(newest),
            "uneven_us": self._uneven_us.spread(newest),
            "age_ticks": self._ages.spread(newest),
            "guard": {str(flag.name).lower(): n for flag in Flag if (n := self._counts[f"guard {flag.name}"])},
            "delay_planned": self._delay_planned,
            "delay_ticks": self._delays.spread(newest),
            "stages_us": {name.removesuffix("_ns"): one.spread(newest) for name, one in self._stages.items()},
        }


class _Newest:
    """Keeps at least the last `kept` of the numbers that are appended."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._held = 0
        self._parts: deque[Records] = deque()

    def append(self, part: Records) -> None:
        part = part[-self._kept :]
        if len(part):
            self._parts.append(part)
            self._held += len(part)
        while self._parts and self._held - len(self._parts[0]) >= self._kept:
            self._held -= len(self._parts.popleft())

    def last(self, n: int) -> Records:
        """Last `n` numbers (n,), or as many as are kept."""
        return np.concatenate(self._parts)[-min(n, self._kept) :] if self._parts else np.empty(0)


class _Series:
    """A series of numbers, kept as a histogram of all and as the last `kept` themselves.

    classes: (n,), the values that the classes of the histogram stand for.
    """

    def __init__(self, classes: NDArray[np.float64], kept: int) -> None:
        self._all, self._newest = Histogram(classes), _Newest(kept)

    def append(self, part: Records) -> None:
        self._all.add(part)
        self._newest.append(part)

    def spread(self, n: int | None) -> Figures:
        """Median, p95, p99 and maximum of the last `n` numbers, or of all (None); each is None if there are none."""
        last = None if n is None else self._newest.last(n)
        if not (self._all.count if last is None else len(last)):
            return {**{f"p{q}": None for q in QUANTILES}, "max": None}
        at = [q / 100 for q in QUANTILES]
        found = self._all.quantiles(at) if last is None else np.quantile(last, at).tolist()
        most = self._all.most if last is None else float(last.max())
        return {**{f"p{q}": value for q, value in zip(QUANTILES, found, strict=True)}, "max": most}


class _Steps:
    """Times from one tick to the next, in ns, for the mean rate."""

    def __init__(self, kept: int) -> None:
        self._count, self._sum_ns, self._newest = 0, 0, _Newest(kept)

    def append(self, part: Records) -> None:
        self._count += len(part)
        self._sum_ns += int(part.sum())
        self._newest.append(part)

    def rate_hz(self, n: int | None) -> float | None:
        """Mean rate in Hz over the last `n` steps, or over all (None); None if there are none."""
        last = None if n is None else self._newest.last(n)
        count, sum_ns = (self._count, self._sum_ns) if last is None else (len(last), int(last.sum()))
        return count / (sum_ns * 1e-9) if sum_ns > 0 else None

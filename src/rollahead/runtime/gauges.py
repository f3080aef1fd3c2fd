"""Gauges: how runs go, read off their traces while they go on.

`follow` a run now and then, and ask for `figures` of the last seconds, or of everything so far.

Threads: whoever watches; never the executor's.
"""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.guard import Flag
from rollahead.runtime.trace import OUTCOMES, Outcome, TickStatus, Trace

COUNTED = {  # what a tick is counted as, by its status
    "underruns": TickStatus.UNDERRUN,
    "skipped": TickStatus.OVERRUN,
    "stale": TickStatus.STALE,
    "paused": TickStatus.PAUSED,
    "estopped": TickStatus.ESTOP,
}

Figures = dict[str, Any]
Records = NDArray[Any]


class Gauges:
    """Of one or more runs at `rate_hz`, one after the other."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._trace: Trace | None = None
        self._counts: Counter[str] = Counter()
        self._status = "none"
        self._ages, self._late_us, self._steps_s, self._delays = _Series(), _Series(), _Series(), _Series()
        self._delay_planned: int | None = None

    def follow(self, trace: Trace, start_ns: int) -> None:
        """Takes what is new in `trace`, of a run whose tick 0 was due at `start_ns`."""
        if trace is not self._trace:
            self._trace = trace
            self._start_ns = start_ns
            self._tick_cursor = self._inference_cursor = 0
            self._before_ns: int | None = None  # when the tick before began
        ticks, self._tick_cursor, _ = trace.tick_ring.since(self._tick_cursor)
        inferences, self._inference_cursor, _ = trace.inference_ring.since(self._inference_cursor)
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
        self._steps_s.append(steps_ns * 1e-9)
        self._before_ns = int(began_ns[-1]) if len(sent) else self._before_ns

    def _answered(self, records: Records) -> None:
        self._delay_planned = int(records["delay_planned"][-1])
        for code, name in enumerate(OUTCOMES):
            self._counts[name] += int((records["outcome"] == code).sum())
        known = records[records["outcome"] != OUTCOMES.index(Outcome.DROPPED.value)]
        self._counts["inferences"] += len(records)
        self._counts["rows_lost"] += int(known["lost"].sum())
        self._delays.append(known["delay"])

    def figures(self, last_s: float | None = None) -> Figures:
        """Counts over everything; ages and times over the last seconds, if it is said of how many."""
        newest = None if last_s is None else max(round(last_s * self._rate_hz), 1)
        steps_s = self._steps_s.newest(newest)
        return {
            "status": self._status,
            **{name: self._counts[name] for name in ("ticks", *COUNTED, "inferences", *OUTCOMES, "rows_lost")},
            "rate_hz": float(len(steps_s) / steps_s.sum()) if steps_s.sum() > 0 else None,
            "late_us": _spread(self._late_us.newest(newest)),
            "uneven_us": _spread(np.abs(steps_s - 1 / self._rate_hz) * 1e6),
            "age_ticks": _spread(self._ages.newest(newest)),
            "guard": {str(flag.name).lower(): n for flag in Flag if (n := self._counts[f"guard {flag.name}"])},
            "delay_planned": self._delay_planned,
            "delay_ticks": _spread(self._delays.newest(newest)),
        }


class _Series:
    """Numbers that come in parts. What is asked of the newest does not grow with all that came."""

    def __init__(self) -> None:
        self._parts: list[NDArray[Any]] = []

    def append(self, part: NDArray[Any]) -> None:
        if len(part):
            self._parts.append(part)

    def newest(self, n: int | None) -> NDArray[Any]:
        """The last `n`, or all."""
        first, found = len(self._parts), 0
        while first and (n is None or found < n):
            first -= 1
            found += len(self._parts[first])
        joined = np.concatenate(self._parts[first:]) if first < len(self._parts) else np.empty(0)
        return joined if n is None else joined[-n:]


def _spread(values: NDArray[Any]) -> Figures:
    """Median, tail and maximum; None if there are no values."""
    if not len(values):
        return {"p50": None, "p95": None, "p99": None, "max": None}
    return {**{f"p{q}": float(np.quantile(values, q / 100)) for q in (50, 95, 99)}, "max": float(values.max())}

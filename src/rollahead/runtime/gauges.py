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

KEPT = ("tick", "status", "guard", "age", "began_ns", "sent_ns")
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
        self._ticks: list[Records] = []
        self._inferences: list[Records] = []
        self._trace: Trace | None = None
        self._late_us: list[NDArray[np.float64]] = []
        self._steps_s: list[NDArray[np.float64]] = []  # from one tick that was sent to the next
        self.lost = 0  # records written over before they were read

    def follow(self, trace: Trace, start_ns: int) -> None:
        """Takes what is new in `trace`, of a run whose tick 0 was due at `start_ns`."""
        if trace is not self._trace:
            self._trace = trace
            self._start_ns = start_ns
            self._tick_cursor = self._inference_cursor = 0
            self._before_ns: int | None = None  # when the tick before began
        ticks, self._tick_cursor, lost = trace.tick_ring.since(self._tick_cursor)
        inferences, self._inference_cursor, more = trace.inference_ring.since(self._inference_cursor)
        self.lost += lost + more
        if len(inferences):
            self._inferences.append(inferences)
        if len(ticks):
            self._ticks.append(ticks[list(KEPT)])
            self._time(ticks)

    def _time(self, ticks: Records) -> None:
        sent = ticks[ticks["status"] != TickStatus.OVERRUN]
        due_ns = self._start_ns + sent["tick"] * (1e9 / self._rate_hz)
        began_ns = sent["began_ns"]
        before = began_ns[:1] if self._before_ns is None else [self._before_ns]
        steps_ns = np.diff(np.concatenate([before, began_ns]))[self._before_ns is None :]
        self._late_us.append((began_ns - due_ns) / 1e3)
        self._steps_s.append(steps_ns * 1e-9)
        self._before_ns = int(began_ns[-1]) if len(sent) else self._before_ns

    def figures(self, last_s: float | None = None) -> Figures:
        """Counts over everything; ages and times over the last seconds, if it is said of how many."""
        ticks = _joined(self._ticks)
        newest = None if last_s is None else max(round(last_s * self._rate_hz), 1)
        recent = ticks if newest is None else ticks[-newest:]
        steps_s = _last(_joined(self._steps_s), newest)
        status = Counter(ticks["status"].tolist()) if len(ticks) else Counter()
        ages = recent["age"][recent["age"] >= 0] if len(recent) else np.empty(0)
        return {
            "ticks": len(ticks),
            "status": TickStatus(int(ticks["status"][-1])).name.lower() if len(ticks) else "none",
            **{name: status[code] for name, code in COUNTED.items()},
            "rate_hz": float(len(steps_s) / steps_s.sum()) if steps_s.sum() > 0 else None,
            "late_us": _spread(_last(_joined(self._late_us), newest)),
            "uneven_us": _spread(np.abs(steps_s - 1 / self._rate_hz) * 1e6),
            "age_ticks": _spread(ages),
            "guard": {
                flag.name.lower(): n for flag in Flag if flag.name and (n := int((ticks["guard"] & flag != 0).sum()))
            }
            if len(ticks)
            else {},
            **_of_inferences(_joined(self._inferences), newest),
        }


def _of_inferences(records: Records, newest: int | None) -> Figures:
    """What became of them; the delays of the last."""
    if not len(records):
        return {"inferences": 0, "delay_planned": None, "delay_ticks": _spread(np.empty(0)), "rows_lost": 0}
    kinds = Counter(records["outcome"].tolist())
    known = records[records["outcome"] != OUTCOMES.index(Outcome.DROPPED.value)]
    return {
        "inferences": len(records),
        **{name: kinds[i] for i, name in enumerate(OUTCOMES)},
        "delay_planned": int(records["delay_planned"][-1]),
        "delay_ticks": _spread(_last(known["delay"], newest)),
        "rows_lost": int(known["lost"].sum()),
    }


def _last(values: NDArray[Any], newest: int | None) -> NDArray[Any]:
    return values if newest is None else values[-newest:]


def _spread(values: NDArray[Any]) -> Figures:
    """Median, tail and maximum; None if there are no values."""
    if not len(values):
        return {"p50": None, "p95": None, "p99": None, "max": None}
    return {**{f"p{q}": float(np.quantile(values, q / 100)) for q in (50, 95, 99)}, "max": float(values.max())}


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0)

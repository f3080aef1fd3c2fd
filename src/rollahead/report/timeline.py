"""The timeline of an episode: a lane per chunk, with what became of each of its rows.

    tick        0    1    2    3    4    5    6    7
    chunk 0     used used used used                    <- asked before tick 0
    chunk 2               ( thinking ) used used used  <- asked at 2, there at 4

`picture` finds out what to show, in absolute ticks; `rollahead.report.lanes` draws it.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.report.load import Recording
from rollahead.runtime.control.trace import InferenceRecord, TickStatus

BEFORE = 12  # ticks shown before the event
EVENT, START, END = "event", "start", "end"  # labels of the tick from which ticks are counted
SHOWN = 60  # ticks shown in all
AS_OBSERVED = ("sync", "naive", "naive_arrival", "ensemble")  # strategies that plan without the committed rows
ROLLED = ("vlash",)  # the policy is given the state of the tick that row 0 is for
AVERAGED = ("ensemble",)  # older chunks are still used when a newer one is there


class Row(enum.Enum):
    """Use that was made of a row of a chunk."""

    USED = "used"
    AVERAGED = "averaged"  # used together with a row of a newer chunk
    LATE = "late"  # its tick had passed when the chunk came
    PREFIX = "prefix"  # before the chunk's start by design: repeats what was committed
    UNUSED = "unused"  # replaced by a newer chunk, or after the end


@dataclass(frozen=True, slots=True)
class Lane:
    """One chunk of a timeline.

    Attributes:
        request: Tick of the request.
        accepted: Tick at which the chunk was taken; None while the policy still computes.
        given: Tick whose state the policy was given; None if that is not known.
        aware: Whether it was requested when the event could be seen.
        rows: What became of the row for each tick.
        committed: Ticks whose rows a later request took as given.
    """

    request: int
    accepted: int | None
    given: int | None
    aware: bool
    rows: Mapping[int, Row]
    committed: tuple[int, ...] = ()

    def ticks(self, kind: Row) -> list[int]:
        """Ticks whose rows became `kind`."""
        return [tick for tick, row in self.rows.items() if row is kind]


@dataclass(frozen=True, slots=True)
class Picture:
    """The content of a timeline drawing for ticks `[start, stop)`.

    event: the tick from which ticks are counted; ended: the first tick after the episode; mark: the label of the tick
    `event`, which is the start or the end of what was recorded where there was no event.
    """

    start: int
    stop: int
    event: int
    ended: int
    lanes: tuple[Lane, ...]
    source: Mapping[int, int]
    holds: tuple[int, ...]
    skipped: tuple[int, ...]
    switches: tuple[int, ...]
    mark: str = EVENT

    @property
    def first_aware(self) -> int | None:
        """The first tick whose action was planned when the event could be seen."""
        return min((tick for tick, request in self.source.items() if self.aware(request)), default=None)

    def aware(self, request: int) -> bool:
        """Whether the event could be seen at the tick `request`."""
        return self.mark == EVENT and request >= self.event


def window(event: int, recordings: Sequence[Recording]) -> tuple[int, int]:
    """Ticks `[start, stop)` to show of recordings of the same episode."""
    start = max(event - BEFORE, 0)
    last = max(int(recording.ticks["tick"][-1]) for recording in recordings)
    return start, min(start + SHOWN, last + 1)


def picture(recording: Recording, strategy: str, event: int | None, start: int, stop: int) -> Picture:
    """Content of the timeline of `recording`, made with the strategy of that name, for ticks `[start, stop)`.

    event: its tick; None for a task without an event, whose ticks are counted from the start.
    """
    ticks = recording.ticks
    shown = (ticks["tick"] >= start) & (ticks["tick"] < stop)
    lanes = _lanes(recording, strategy, event)
    return Picture(
        start=start,
        stop=stop,
        event=event or 0,
        mark=START if event is None else EVENT,
        ended=int(ticks["tick"][-1]) + 1,
        lanes=tuple(lane for lane in lanes if _seen(lane, start, stop)),
        source=_sources(ticks, shown),
        holds=_of_status(ticks, shown, TickStatus.UNDERRUN),
        skipped=_of_status(ticks, shown, TickStatus.OVERRUN),
        switches=_switches(ticks, shown),
    )


def last_picture(recording: Recording, strategy: str) -> Picture:
    """Content of the drawing of the last `SHOWN` ticks of `recording`, with ticks counted from its end."""
    ended = int(recording.ticks["tick"][-1]) + 1
    start = max(ended - SHOWN, int(recording.ticks["tick"][0]))
    return replace(picture(recording, strategy, ended, start, ended), mark=END)


def _lanes(recording: Recording, strategy: str, event: int | None) -> list[Lane]:
    records, ticks = recording.inferences, recording.ticks
    ran = ticks["status"] == TickStatus.OK
    source = dict(zip(ticks["tick"][ran].tolist(), ticks["chunk"][ran].tolist(), strict=True))
    committed = _committed(records, source) if strategy not in AS_OBSERVED else {}
    lanes = [
        Lane(
            request=record.request,
            accepted=record.accepted,
            given=_given(record, strategy),
            aware=event is not None and record.request >= event,
            rows=_rows(record, source, averaged=strategy in AVERAGED),
            committed=tuple(committed.get(record.request, ())),
        )
        for record in records
    ]
    return sorted([*lanes, *_unanswered(recording, event)], key=lambda lane: lane.request)


def _rows(record: InferenceRecord, source: Mapping[int, int], *, averaged: bool) -> dict[int, Row]:
    """Use that was made of each row, by its tick.

    The late rows come before `start`, and before them those that were not meant to be used.
    """
    if record.origin is None or record.start is None:
        return {}
    covered = range(record.origin, record.origin + record.rows)
    return {tick: _row(record, tick, source, averaged=averaged) for tick in covered}


def _row(record: InferenceRecord, tick: int, source: Mapping[int, int], *, averaged: bool) -> Row:
    start = record.start or 0
    if tick < start:
        return Row.LATE if tick >= start - record.lost else Row.PREFIX
    if source.get(tick) == record.request:
        return Row.USED
    return Row.AVERAGED if averaged and tick in source else Row.UNUSED


def _given(record: InferenceRecord, strategy: str) -> int:
    return record.origin if strategy in ROLLED and record.origin is not None else record.request


def _committed(records: Sequence[InferenceRecord], source: Mapping[int, int]) -> dict[int, list[int]]:
    """Ticks of the rows that later requests took as given, by the request of the running chunk."""
    found: dict[int, set[int]] = {}
    for record in records:
        for tick in range(record.request, record.request + record.delay_planned):
            if tick in source and source[tick] != record.request:
                found.setdefault(source[tick], set()).add(tick)
    return {request: sorted(ticks) for request, ticks in found.items()}


def _unanswered(recording: Recording, event: int | None) -> list[Lane]:
    """Requests that were still open at the end."""
    answered = {record.request for record in recording.inferences}
    asked = {int(request) for request in np.unique(recording.ticks["request"]) if request >= 0}
    return [Lane(tick, None, None, event is not None and tick >= event, {}) for tick in sorted(asked - answered)]


def _seen(lane: Lane, start: int, stop: int) -> bool:
    """Whether the lane has more to show than rows that were never used."""
    accepted = stop if lane.accepted is None else lane.accepted
    if lane.request < stop and accepted > start:
        return True
    return any(start <= tick < stop for tick, row in lane.rows.items() if row is not Row.UNUSED)


def _sources(ticks: Mapping[str, NDArray[Any]], shown: NDArray[np.bool_]) -> dict[int, int]:
    ran = shown & (ticks["status"] == TickStatus.OK)
    return dict(zip(ticks["tick"][ran].tolist(), ticks["chunk"][ran].tolist(), strict=True))


def _of_status(ticks: Mapping[str, NDArray[Any]], shown: NDArray[np.bool_], status: TickStatus) -> tuple[int, ...]:
    return tuple(ticks["tick"][shown & (ticks["status"] == status)].tolist())


def _switches(ticks: Mapping[str, NDArray[Any]], shown: NDArray[np.bool_]) -> tuple[int, ...]:
    """Ticks at which another chunk takes over."""
    chunk = ticks["chunk"]
    changed = np.concatenate([[True], chunk[1:] != chunk[:-1]])
    return tuple(ticks["tick"][shown & changed & (chunk >= 0)].tolist())

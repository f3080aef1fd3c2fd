"""One episode as it can be drawn from above.

A task can be drawn if it names its columns so: `state.x`, `state.y` are the tool, `environment.<object>_x` and `_y`
objects, all in metres.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollahead.report.load import EpisodeResult, Recording
from rollahead.runtime.control.trace import TickStatus
from rollahead.runtime.types.arrays import FloatArray

BEFORE = 10  # ticks shown before the event


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Content of one panel, from some ticks before the event, or else from the start, to the end of the episode.

    tool: (n, 2), objects: name to (n, 2), in metres, at the head of each tick; sent: (n,), what the action came from:
    "hold", "before" or "after" (of a plan made when the event could be seen); event: its index, 0 without an event;
    colour: by its name in `theme`; window_s: how long the object stays, if that is known.
    """

    title: str
    colour: str
    success: bool
    time_s: float
    rate_hz: float
    event: int
    tool: FloatArray
    objects: Mapping[str, FloatArray]
    sent: tuple[str, ...]
    window_s: float | None = None


def panel(
    title: str, colour: str, recording: Recording, result: EpisodeResult, rate_hz: float, window_s: float | None = None
) -> Panel | None:
    """Panel of a recorded episode; None if its task names no tool or no object that can be drawn from above."""
    tick = recording.ticks["tick"]
    first = max(result.zero - BEFORE, int(tick[0]))
    shown = tick >= first
    tool = _points(recording.group("state"), shown).get("")
    objects = {name: points for name, points in _points(recording.group("environment"), shown).items() if name}
    if tool is None or not objects:
        return None
    return Panel(
        title=title,
        colour=colour,
        success=result.success,
        time_s=result.time_s,
        rate_hz=rate_hz,
        event=result.zero - first,
        tool=tool,
        objects=objects,
        sent=_sent(recording, shown, result.event_tick),
        window_s=window_s,
    )


def _points(dims: Mapping[str, FloatArray], shown: NDArray[np.bool_]) -> dict[str, FloatArray]:
    """Positions (n, 2) of every pair `<name>_x`, `<name>_y`, by name; the pair `x`, `y` has the name ''."""
    names = [key[:-1] for key in dims if key == "x" or key.endswith("_x")]
    return {
        name.removesuffix("_"): np.column_stack([dims[f"{name}x"], dims[f"{name}y"]])[shown]
        for name in names
        if f"{name}y" in dims
    }


def _sent(recording: Recording, shown: NDArray[np.bool_], event: int | None) -> tuple[str, ...]:
    ticks = recording.ticks
    held = ticks["status"][shown] != TickStatus.OK
    aware = ticks["chunk"][shown] >= event if event is not None else np.zeros_like(held)
    return tuple(np.where(held, "hold", np.where(aware, "after", "before")).tolist())

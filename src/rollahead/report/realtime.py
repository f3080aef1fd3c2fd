"""Table of the runs in real time: how regular the ticks were, and what the guard and the delay amounted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollahead.report.figures import NONE, Entry, TableRow, number

STAGES = {  # of `StageTimes`, in words
    "queue": "from the head of the tick that asked until the worker took the request",
    "infer": "the planner, of which those that follow are parts",
    "encode": "images and task text",
    "bind": "rolling and binding the state",
    "denoise": "all denoising steps",
    "post": "un-normalising and mapping the rows",
    "publish": "checking the rows and preparing them for the executor",
}

Ran = Mapping[str, Any]  # an entry that `rollahead.commands.results.describe_live` writes


def live_rows(ran: Sequence[Ran]) -> list[TableRow]:
    """Rows of the table, one for each strategy."""
    return [TableRow(str(one["strategy"]["name"]), f"s={one['strategy']['s']}", False, _entries(one)) for one in ran]


def _entries(one: Ran) -> tuple[Entry, ...]:
    gauges = one["gauges"]
    late, delay, age = gauges["late_us"], gauges["delay_ticks"], gauges["age_ticks"]
    did = ", ".join(f"{name} {n}" for name, n in gauges["guard"].items())
    return (
        _entry("success", "%", *_success(one["figures"])),
        _entry("rate", "Hz", number(gauges["rate_hz"])),
        _entry("late p50", "ms", _ms(late["p50"]), f"p99 {_ms(late['p99'])}, max {_ms(late['max'])}"),
        _entry("delay p50", "ticks", number(delay["p50"], 0), f"planned {number(gauges['delay_planned'], 0)}"),
        _entry("age p50", "ticks", number(age["p50"], 0), f"max {number(age['max'], 0)}"),
        _entry("underruns", "ticks", str(gauges["underruns"]), f"of {gauges['ticks']}"),
        _entry("skipped", "ticks", str(gauges["skipped"])),
        _entry("rows lost", "", str(gauges["rows_lost"])),
        _entry("no answer", "", str(gauges.get("no_answer", 0)), f"of {gauges['inferences']} inferences"),
        _entry("guard", "", did or "nothing to do"),
    )


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of an inference, with quantiles of its duration in ms."""

    name: str
    what: str
    p50: str
    p99: str


def stage_rows(one: Ran) -> list[StageRow]:
    """A row for each stage of the inferences of a run that its planner reported; none for a run of an older version."""
    found = one["gauges"].get("stages_us") or {}
    return [
        StageRow(name, what, _ms(found[name]["p50"]), _ms(found[name]["p99"]))
        for name, what in STAGES.items()
        if name in found and found[name]["p50"] is not None
    ]


def _entry(heading: str, unit: str, value: str, detail: str = "") -> Entry:
    return Entry(heading, unit, value, detail, False)


def _success(figures: Mapping[str, Any] | None) -> tuple[str, str]:
    if figures is None:
        return NONE, ""
    low, high = figures["success_ci"]
    return (
        f"{figures['success']:.0f}",
        f"{low:.0f} to {high:.0f}, {figures['episodes']} episode{'' if figures['episodes'] == 1 else 's'}",
    )


def _ms(us: float | None) -> str:
    return NONE if us is None else f"{us / 1000:.2f}"

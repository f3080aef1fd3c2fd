"""Table of the runs in real time: how regular the ticks were, and what the guard and the delay amounted to."""

from collections.abc import Mapping, Sequence
from typing import Any

from rollahead.report.figures import NONE, Entry, TableRow, number

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
        _entry("guard", "", did or "nothing to do"),
    )


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

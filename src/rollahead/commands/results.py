"""Results of evaluated cells, as the commands print them and write them to the run folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.table import Table

from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.latency import latency_words
from rollahead.runtime.recording.records import write_parquet
from rollahead.runtime.recording.run_folder import EPISODES, INFERENCES, TICKS, RunFolder, finite
from rollahead.runtime.safety.guard import GuardConfig

if TYPE_CHECKING:
    from rollahead.evaluation.evaluation import Cell, Episode

Description = Mapping[str, Any]  # a cell's options and figures, as `describe` returns them


def describe(cell: "Cell", figures: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a cell in `summary.json`; a figure that is NaN or infinite is null."""
    from rollahead.sim.task import make_task

    return {
        "task": dict(cell.task),
        "strategy": asdict(cell.strategy),
        "latency": dict(cell.latency),
        "planner": dict(cell.planner),
        "roller": dict(cell.roller),
        "sampler": dict(cell.sampler),
        "lag": cell.lag,
        "limits": dict(cell.limits),
        "guard": _changed(cell.guard),
        "rate_hz": make_task(**cell.task).spec.rate_hz,
        "figures": finite(figures),
    }


def _changed(guard: GuardConfig) -> dict[str, Any]:
    """The settings of the guard that differ from the defaults for a simulated robot."""
    default = asdict(GuardConfig())
    return {name: value for name, value in asdict(guard).items() if value != default[name]}


def describe_live(
    strategy: StrategyConfig, gauges: Mapping[str, Any], figures: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The entry in `summary.json` of a run in real time.

    Args:
        strategy: The strategy.
        gauges: Figures of the gauges.
        figures: Figures of the episodes; None for a real robot, which has no episodes.
    """
    return {"strategy": asdict(strategy), "figures": finite(figures), "gauges": finite(gauges)}


def write_records(folder: RunFolder, cells: "Sequence[Sequence[Episode]]") -> None:
    """Writes `episodes.parquet`, and, if traces were kept, `ticks.parquet` and `inferences.parquet`.

    Column `cell` is the index of the cell in `summary.json`; column `episode` is the seed.
    """
    numbered = [(i, episode) for i, episodes in enumerate(cells) for episode in episodes]
    columns = ("success", "event_tick", "time_s", "reaction_s", "lost")
    rows = [
        {"cell": i, "episode": episode.seed, **{name: getattr(episode, name) for name in columns}}
        for i, episode in numbered
    ]
    write_parquet(folder.path / EPISODES, [pa.Table.from_pylist(rows)])
    traces = [(i, episode.seed, episode.trace) for i, episode in numbered if episode.trace is not None]
    if traces:
        ticks = [pa.table(trace.tick_columns(cell=i, episode=seed)) for i, seed, trace in traces]
        inferences = [row for i, seed, trace in traces for row in trace.inference_rows(cell=i, episode=seed)]
        write_parquet(folder.path / TICKS, ticks)
        write_parquet(folder.path / INFERENCES, [pa.Table.from_pylist(inferences)])


def table(cells: Sequence[Description]) -> Table:
    """A table of the figures with a row per cell."""
    printed = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    printed.add_column("strategy", no_wrap=True)
    for heading in ("latency", "s", "success\n%", "task\ns", "reaction s\np50/p95", "age", "idle\n%", "guard\n%"):
        printed.add_column(heading, justify="right", no_wrap=True)
    for cell in cells:
        printed.add_row(*_row(cell))
    return printed


def success_table(cells: Sequence[Description]) -> Table:
    """A table of success with 95 % intervals, with a row per strategy and a column per fixed latency."""
    delays = sorted({cell["latency"]["ticks"] for cell in cells})
    printed = Table(title="success in %, with 95 % intervals", box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    printed.add_column("latency", no_wrap=True)
    for delay in delays:
        milliseconds = 1000 * delay / cells[0]["rate_hz"]
        printed.add_column(f"{delay} ticks\n{milliseconds:.0f} ms", justify="right", no_wrap=True)
    for name in dict.fromkeys(cell["strategy"]["name"] for cell in cells):
        found = {cell["latency"]["ticks"]: cell for cell in cells if cell["strategy"]["name"] == name}
        printed.add_row(name, *(_success(found[delay]["figures"]) if delay in found else "" for delay in delays))
    return printed


def live_table(ran: Sequence[Mapping[str, Any]]) -> Table:
    """A table of the runs in real time, with a row per run."""
    printed = Table(title="the same in real time", box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    printed.add_column("strategy", no_wrap=True)
    for heading in ("success %", "rate Hz", "ticks late ms p50/p99", "delay d planned/measured", "skipped"):
        printed.add_column(heading, justify="right", no_wrap=True)
    for one in ran:
        gauges = one["gauges"]
        late, delay = gauges["late_us"], gauges["delay_ticks"]
        printed.add_row(
            one["strategy"]["name"],
            _success(one["figures"]),
            _number(gauges["rate_hz"], "-"),
            f"{late['p50'] / 1000:.2f}/{late['p99'] / 1000:.2f}",
            f"{_number(gauges['delay_planned'], '-', 0)}/{_number(delay['p50'], '-', 0)}",
            str(gauges["skipped"]),
        )
    return printed


def _success(figures: Mapping[str, Any]) -> str:
    low, high = figures["success_ci"]
    return f"{figures['success']:.0f} ({low:.0f}..{high:.0f})"


def _row(cell: Description) -> list[str]:
    figures = cell["figures"]
    reaction = figures["reaction_s"]
    return [
        cell["strategy"]["name"],
        latency_words(cell["latency"]),
        str(cell["strategy"]["s"]),
        _success(figures),
        _number(figures["time_s"], "-"),
        "-" if reaction is None else f"{_number(reaction['p50'], 'never')}/{_number(reaction['p95'], 'never')}",
        _number(figures["age_ticks"]["p50"], "-", 0),
        f"{figures['idle']:.0f}",
        f"{figures['guard_hits']:.0f}",
    ]


def _number(value: float | None, otherwise: str, digits: int = 2) -> str:
    return otherwise if value is None else f"{value:.{digits}f}"

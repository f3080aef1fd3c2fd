"""Reads the results of runs from disk, as frozen values.

`load` reads the figures and episodes of a run's folder, or of a sweep's, at once; ticks and inferences of an episode
are read when they are needed, because a sweep may have millions.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.report.training import TrainingResult, read_training
from rollahead.report.unfinished import date, last_of, ran, unfinished
from rollahead.runtime.control.trace import InferenceRecord
from rollahead.runtime.recording.records import read_parquet, schema_of, source_of
from rollahead.runtime.recording.run_folder import EPISODES, INFERENCES, SUMMARY, TICKS, damaged
from rollahead.runtime.system.patience import error_text

KEYS = ("cell", "episode")
ROLLER = {"name": "robot"}  # for summaries that name none
LAST = 400  # number of ticks that are shown of a run without a summary
TICK_COLUMNS = ("tick", "status", "chunk", "request")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """One episode.

    event_tick: None for a task without an event; time_s: from the event, or else from the start, to the end.
    """

    episode: int
    success: bool
    event_tick: int | None
    time_s: float

    @property
    def zero(self) -> int:
        """The tick from which times are counted: that of the event, or else the first."""
        return self.event_tick or 0


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Records of one episode.

    Attributes:
        ticks: Columns (n,) by name, as in `Trace.tick_columns`.
        inferences: Inferences in the order in which they were answered.
    """

    ticks: Mapping[str, NDArray[Any]]
    inferences: tuple[InferenceRecord, ...]

    def group(self, name: str) -> dict[str, NDArray[Any]]:
        """Columns of `action`, `state` or `environment`, by the names of their dimensions."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): values for key, values in self.ticks.items() if key.startswith(prefix)}


@dataclass(frozen=True, slots=True, eq=False)
class CellResult:
    """Results of one cell.

    Attributes:
        folder: Folder of its run.
        index: Index of the cell in its run.
        task: Options of the task.
        strategy: Options of the strategy.
        latency: Options of the latency.
        planner: Options of the planner.
        rate_hz: Control rate.
        figures: Figures over all episodes.
        episodes: Episodes by seed.
        recorded: Seeds of the episodes that have tick records.
        roller: Options of the roller.
        search: Candidates that were tried for the strategy's `s` and `decay`, with their results.
        limits: Limits on how the robot's actions may change.
        guard: Options of the guard that differ from the defaults.
    """

    folder: Path
    index: int
    task: Mapping[str, Any]
    strategy: Mapping[str, Any]
    latency: Mapping[str, Any]
    planner: Mapping[str, Any]
    rate_hz: float
    figures: Mapping[str, Any]
    episodes: Mapping[int, EpisodeResult]
    recorded: frozenset[int]
    roller: Mapping[str, Any] = field(default_factory=lambda: dict(ROLLER))
    search: tuple[Mapping[str, Any], ...] = ()
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    guard: Mapping[str, Any] = field(default_factory=dict)

    @property
    def delay_ticks(self) -> float | None:
        """Delay at which the cell is drawn, in ticks; None if it has no place on an axis of delays.

        It is the median that its latency was given, or else the length of a fixed latency.
        """
        if self.latency.get("median") is not None:
            return float(self.latency["median"])
        return float(self.latency["ticks"]) if self.latency["name"] == "fixed" else None

    @property
    def delay_ms(self) -> float | None:
        """Delay at which the cell is drawn, in milliseconds, or None."""
        return None if self.delay_ticks is None else 1000.0 * self.delay_ticks / self.rate_hz

    def recording(self, episode: int) -> Recording:
        """Reads one of the recorded episodes. Raises ConfigError if its tables are missing or damaged."""
        here = [("cell", "==", self.index), ("episode", "==", episode)]
        ticks = _read(self.folder / TICKS, (*KEYS, *TICK_COLUMNS), filters=here)
        inferences = _read(self.folder / INFERENCES, (*KEYS, *_names(InferenceRecord)), filters=here)
        return _recording(ticks, inferences)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Results of a run, or of all runs of a sweep.

    Attributes:
        folder: Folder of the run or the sweep.
        command: Command that made it.
        cells: All cells.
        machine: Description of the machine.
        versions: Version of each package.
        date: Day on which it was made.
        unfinished: Names of runs of the sweep without a summary.
        realtime: Results of the runs in real time.
        trainings: Results of the training runs.
        runs: Number of runs.
        took_s: Duration in seconds of each run that notes it.
        last: Last ticks of a single run without a summary.
    """

    folder: Path
    command: str
    cells: tuple[CellResult, ...]
    machine: str
    versions: Mapping[str, str]
    date: str
    unfinished: tuple[str, ...] = ()
    realtime: tuple[Mapping[str, Any], ...] = ()
    trainings: tuple[TrainingResult, ...] = ()
    runs: int = 1
    took_s: tuple[float, ...] = ()
    last: Recording | None = None


def load(folder: Path) -> Results:
    """Reads the folder of a run, or of a sweep, which holds numbered run folders.

    A run in real time without a summary is read from its records. Raises ConfigError if there is no such folder, no
    summary in it, or a file is missing or damaged.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"there is no run folder {folder}; give run=<a folder that a run has left>, such as runs/demo"
        )
    if (folder / SUMMARY).exists():
        return _results(folder, [folder], [])
    if unfinished(folder):
        return _unfinished(folder)
    runs = sorted((path for path in folder.iterdir() if path.is_dir() and path.name.isdigit()), key=_number)
    done = [path for path in runs if (path / SUMMARY).exists()]
    if not done:
        raise ConfigError(
            f"{folder} holds no {SUMMARY}, nor does a numbered folder inside it; "
            "give run=<the folder of a run that has finished>"
        )
    return _results(folder, done, [path.name for path in runs if path not in done])


def _unfinished(folder: Path) -> Results:
    for name, needs in ((TICKS, TICK_COLUMNS), (INFERENCES, _names(InferenceRecord))):
        _check(folder / name, needs)
    return Results(
        folder=folder,
        command="run",
        cells=(),
        machine="",
        versions={},
        date=date(folder),
        realtime=(ran(folder),),
        last=_recording(*last_of(folder, LAST)),
    )


def _recording(ticks: pa.Table, inferences: pa.Table) -> Recording:
    return Recording(
        ticks={name: ticks[name].to_numpy() for name in ticks.column_names},
        inferences=tuple(_made(InferenceRecord, row) for row in inferences.to_pylist()),
    )


def _number(path: Path) -> int:
    return int(path.name)


def _results(folder: Path, runs: Iterable[Path], unfinished: Iterable[str]) -> Results:
    summaries = [(run, _summary(run / SUMMARY)) for run in runs]
    first = summaries[0][1]
    try:
        return Results(
            folder=folder,
            command=first["command"],
            cells=tuple(cell for run, summary in summaries for cell in _cells(run, summary)),
            machine=first["machine"],
            versions=first["versions"],
            date=first["date"],
            unfinished=tuple(unfinished),
            realtime=tuple(ran for _, summary in summaries for ran in summary.get("realtime", ())),
            trainings=tuple(read_training(run, summary) for run, summary in summaries if _trained(summary)),
            runs=len(summaries),
            took_s=tuple(summary["took_s"] for _, summary in summaries if summary.get("took_s") is not None),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(folder / SUMMARY, error_text(error)) from error


def _summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    if not isinstance(summary, dict) or not (summary.get("cells") or summary.get("realtime") or _trained(summary)):
        raise damaged(path, "it lists no cells")
    return summary


def _trained(summary: Mapping[str, Any]) -> bool:
    return summary.get("command") in ("train", "train-corrector")


def _cells(run: Path, summary: Mapping[str, Any]) -> list[CellResult]:
    if not summary["cells"]:
        return []
    episodes = _read(run / EPISODES, (*KEYS, *_names(EpisodeResult))).to_pylist()
    recorded = _recorded(run)
    return [
        CellResult(
            folder=run,
            index=i,
            **{key: cell[key] for key in ("task", "strategy", "latency", "planner", "rate_hz", "figures")},
            episodes={row["episode"]: _made(EpisodeResult, row) for row in episodes if row["cell"] == i},
            recorded=frozenset(
                row["episode"] for row in episodes if row["cell"] == i and (i, row["episode"]) in recorded
            ),
            roller=cell.get("roller") or ROLLER,
            search=tuple(cell.get("search") or ()),
            limits=cell.get("limits") or {},
            guard=cell.get("guard") or {},
        )
        for i, cell in enumerate(summary["cells"])
    ]


def _recorded(run: Path) -> set[tuple[int, int]]:
    """Pairs (cell, episode) that have tick records; none if the run kept no records."""
    if source_of(run / TICKS) is None and source_of(run / INFERENCES) is None:
        return set()
    _read(run / INFERENCES, KEYS)
    pairs = _read(run / TICKS, KEYS, columns=list(KEYS)).to_pydict()
    return set(zip(pairs["cell"], pairs["episode"], strict=True))


def _names(record: type) -> list[str]:
    """The columns that a record cannot be read without."""
    return [each.name for each in fields(record) if each.default is MISSING]


def _made(record: type[T], row: Mapping[str, Any]) -> T:
    return record(**{each.name: row[each.name] for each in fields(record) if each.name in row})  # type: ignore[arg-type]


def _read(path: Path, needs: Iterable[str], **options: Any) -> pa.Table:
    """Reads a table.

    The columns `needs` must be there, unless it has no columns at all, which an empty table has not.
    """
    return read_parquet(path, **options) if _check(path, needs) else pa.table({})


def _check(path: Path, needs: Iterable[str]) -> bool:
    """Whether the table at `path` has columns.

    Raises ConfigError if it is missing, or has columns but not all that are needed.
    """
    if source_of(path) is None:
        raise ConfigError(f"{path.parent} holds no {path.name}; make the run again, under another name")
    names = schema_of(path).names
    if missing := [name for name in needs if name not in names] if names else []:
        raise damaged(path, f"no column {missing[0]}")
    return bool(names)

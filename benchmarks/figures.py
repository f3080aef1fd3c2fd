"""Figures: rows of `benchmarks/results/<topic>.json`, written by the commands that they name.

`make figures` prints them with their goals; `make figures CHECK=name` runs that row's command again, into another
folder, and compares; `python -m benchmarks.figures table=realtime` prints those of a topic as Markdown.
"""

import json
import operator
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rollahead.runtime.recording.run_folder import provenance

RESULTS = Path(os.environ.get("ROLLAHEAD_RESULTS", Path(__file__).parent / "results"))
RELATIONS: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}
CLOSE = 0.15  # relative: how near a figure without an interval has to come again


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ci`: its 95 % interval, or the range of its repetitions; `goal`: such as '>= 2.03', or None."""

    name: str
    value: float | None
    ci: Sequence[float] | None
    unit: str
    goal: str | None
    command: str
    machine: str
    versions: dict[str, str]
    seed: int
    date: str

    @property
    def verdict(self) -> str:
        """'met', 'missed', or '' if there is no goal."""
        if self.goal is None:
            return ""
        relation, bound = self.goal.split()
        met = self.value is not None and RELATIONS[relation](self.value, float(bound))
        return "met" if met else "missed"


def row(
    name: str,
    value: float | None,
    unit: str,
    *,
    command: str,
    goal: str | None = None,
    ci: Sequence[float] | None = None,
    seed: int = 0,
) -> Row:
    """A figure measured now, on this machine."""
    return Row(name=name, value=value, ci=ci, unit=unit, goal=goal, command=command, **provenance(seed))


def record(topic: str, rows: Sequence[Row]) -> None:
    """Puts `rows` into the topic's file, in place of rows of the same name."""
    path = RESULTS / f"{topic}.json"
    new = {figure.name: asdict(figure) for figure in rows}
    old = json.loads(path.read_text()) if path.exists() else []
    kept = [new.pop(figure["name"], figure) for figure in old]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, *new.values()], indent=1) + "\n")
    for figure in rows:
        print(words(figure))


def load(folder: Path = RESULTS) -> list[Row]:
    """All rows of all topics."""
    return [Row(**figure) for path in sorted(folder.glob("*.json")) for figure in json.loads(path.read_text())]


def words(figure: Row) -> str:
    """A row as one line."""
    value = "none" if figure.value is None else f"{figure.value:.4g}"
    interval = "" if figure.ci is None else " (" + " to ".join(f"{end:.4g}" for end in figure.ci) + ")"
    goal = "" if figure.goal is None else f"   goal {figure.goal}: {figure.verdict}"
    return f"{figure.name:<36} {value}{interval} {figure.unit}{goal}"


def table(topic: str) -> str:
    """The rows of a topic in Markdown."""
    rows = [Row(**figure) for figure in json.loads((RESULTS / f"{topic}.json").read_text())]
    lines = ["| figure | value | range | goal | |", "|---|---|---|---|---|"]
    for figure in rows:
        value = "none" if figure.value is None else f"{figure.value:.4g} {figure.unit}".rstrip()
        ends = "" if figure.ci is None else " to ".join(f"{end:.4g}" for end in figure.ci)
        lines.append(f"| `{figure.name}` | {value} | {ends} | {figure.goal or ''} | {figure.verdict} |")
    return "\n".join(lines)


def check(name: str) -> bool:
    """Runs the command of row `name` again and says whether it gave the same figure."""
    old = _find(load(), name)
    with tempfile.TemporaryDirectory() as folder:
        print(f"running {old.command}")
        command = [sys.executable if word == "python" else word for word in shlex.split(old.command)]
        subprocess.run(command, check=True, env={**os.environ, "ROLLAHEAD_RESULTS": folder})
        new = _find(load(Path(folder)), name)
    print(f"was:  {words(old)}\nnow:  {words(new)}")
    return same(old, new)


def same(old: Row, new: Row) -> bool:
    """Whether `new` confirms `old`: the same verdict, and values within 15 %, or intervals that overlap."""
    if old.verdict != new.verdict or old.value is None or new.value is None:
        return old.verdict == new.verdict and old.value == new.value
    if abs(new.value - old.value) <= CLOSE * abs(old.value):
        return True
    return old.ci is not None and new.ci is not None and old.ci[0] <= new.ci[1] and new.ci[0] <= old.ci[1]


def _find(rows: Sequence[Row], name: str) -> Row:
    for figure in rows:
        if figure.name == name:
            return figure
    raise SystemExit(f"no figure is called {name!r}; `make figures` lists them")


def run_named(
    benchmarks: Mapping[str, Callable[..., None]], arguments: Sequence[str], long: Sequence[str] = ()
) -> None:
    """Runs the benchmarks named in `arguments`, or all but the `long` ones, with options as `name=number`."""
    options = dict(argument.split("=") for argument in arguments if "=" in argument)
    names = [argument for argument in arguments if "=" not in argument]
    for name in names or [name for name in benchmarks if name not in long]:
        benchmarks[name](**{key: float(value) for key, value in options.items()})


def main(arguments: Sequence[Any]) -> int:
    """Prints all rows, or checks one (`check=name`)."""
    for argument in arguments:
        if argument.startswith("check="):
            return 0 if check(argument.removeprefix("check=")) else 1
        if argument.startswith("table="):
            print(table(argument.removeprefix("table=")))
            return 0
    for figure in load():
        print(words(figure))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

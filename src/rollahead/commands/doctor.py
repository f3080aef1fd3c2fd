"""`rollahead doctor`: what this machine has, and what is missing."""

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from rollahead.commands.app import console
from rollahead.runtime.run_folder import machine

EXTRAS = {  # what each extra is for, and the module that shows it is there
    "sim": ("mujoco", "tasks in simulation: rollahead eval, demo"),
    "viz": ("matplotlib", "reports and clips"),
}
SLEEPS = 200
SLEEP_NS = 1_000_000

Finding = tuple[str, str, str]  # what, how it is, what to do


def main(config: DictConfig) -> None:
    """Prints the findings."""
    printed = Table("what", "found", "to do", box=SIMPLE_HEAD, pad_edge=False)
    for finding in findings(Path(str(config.runs))):
        printed.add_row(*map(escape, finding))
    console().print(printed)


def findings(runs: Path) -> Iterator[Finding]:
    """All that is looked at."""
    yield "python", f"{platform.python_version()} ({sys.executable})", ""
    yield (
        "machine",
        machine(),
        "" if (os.cpu_count() or 1) >= 2 else "two cores, so that executor and worker do not share",
    )
    yield "free disk", *_disk(runs)
    for extra, (module, use) in EXTRAS.items():
        yield f"[{extra}] {use}", *_extra(extra, module)
    yield "tasks", ", ".join(sorted(entry_points(group="rollahead.tasks").names)), ""
    yield "pictures", *_pictures()
    yield "timer", *_timer()


def _disk(runs: Path) -> tuple[str, str]:
    nearest = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    free_gb = shutil.disk_usage(nearest).free / 1e9
    return (
        f"{free_gb:.0f} GB at {nearest}",
        "" if free_gb > 1 else "a run may leave 100 MB: free some space, or set runs=...",
    )


def _extra(extra: str, module: str) -> tuple[str, str]:
    if find_spec(module) is None:
        return "not installed", f"pip install 'rollahead[{extra}]'"
    try:
        return f"{module} {version(module)}", ""
    except PackageNotFoundError:
        return module, ""


def _pictures() -> tuple[str, str]:
    if find_spec("mujoco") is None:
        return "needs [sim]", ""
    from rollahead.sim.render import REMEDY, backend, explain

    return explain().split(";")[0], "" if backend() else REMEDY


def _timer() -> tuple[str, str]:
    """How late a sleep of 1 ms ends: the floor of any control loop here."""
    late_us = []
    for _ in range(SLEEPS):
        deadline = time.monotonic_ns() + SLEEP_NS
        time.sleep(SLEEP_NS * 1e-9)
        late_us.append((time.monotonic_ns() - deadline) / 1000)
    late_us.sort()
    median, worst = late_us[SLEEPS // 2], late_us[int(SLEEPS * 0.99)]
    return f"a sleep of 1 ms ends {median:.0f} us late (median), {worst:.0f} us (p99)", ""

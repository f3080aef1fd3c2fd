"""`rollahead doctor`: lists what this machine has and what is missing; with `task=...`, tries a task instead.

The exit status is 1 if anything was found wrong with the task.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from rollahead.commands.app import console, group, options, runs_path
from rollahead.commands.config_files import members
from rollahead.commands.rig import SIMULATED
from rollahead.errors import ConfigError
from rollahead.runtime.recording.run_folder import machine
from rollahead.runtime.robots.lerobot import plug_ins
from rollahead.runtime.robots.lerobot.version import check_version
from rollahead.runtime.system.floor import RATE_HZ, measure_floor, permitted
from rollahead.runtime.system.tuning import Tuning

EXTRAS = {  # by extra: a module that is there if it is installed, and its purpose
    "sim": ("mujoco", "tasks in simulation: rollahead eval, demo"),
    "gym": ("gymnasium", "environments of gymnasium as tasks: task=gym"),
    "viz": ("matplotlib", "reports and clips"),
}
FLOOR_S = 2.0
LATE_US = 1000.0  # largest p99 lateness that counts as good, a tenth of a period at 100 Hz
LIMITS = "in /etc/security/limits.d/, for your user, then log in again"
PERMISSIONS = {  # by permission: the option of `tuning` that needs it, and how to grant it
    "scheduling": ("fifo", f"write `<user> - rtprio 80` {LIMITS}"),
    "memory": ("lock_memory", f"write `<user> - memlock unlimited` {LIMITS}"),
}

VERDICTS = {True: "ok", False: "wrong", None: "-"}
Finding = tuple[str, str, str]  # what was looked at, what was found, what to do


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """Options of `rollahead doctor`, outside its groups (configs/doctor.yaml)."""

    episodes: int
    seed: int


def main(config: DictConfig) -> None:
    """Prints the findings on the machine, or on the task if one is given."""
    chosen = options(config, DoctorOptions, ("task",))
    if config.get("task") is not None:
        sys.exit(_try(group(config, "task"), chosen))
    printed = Table("what", "found", "to do", box=SIMPLE_HEAD, pad_edge=False)
    for finding in findings(runs_path(config)):
        printed.add_row(*map(escape, finding))
    console().print(printed)


def _try(task: Mapping[str, Any], chosen: DoctorOptions) -> int:
    """Prints the findings on `task`, and returns the exit status."""
    from rollahead.evaluation.task_trials import try_task

    printed = Table("tried", "", "found", box=SIMPLE_HEAD, pad_edge=False)
    found = []
    for finding in try_task(task, episodes=chosen.episodes, seed=chosen.seed):
        found.append(finding)
        printed.add_row(finding.what, VERDICTS[finding.ok], escape(finding.says))
    console().print(printed)
    return 1 if any(finding.ok is False for finding in found) else 0


def findings(runs: Path) -> Iterator[Finding]:
    """Yields the findings on this machine."""
    yield "python", f"{platform.python_version()} ({sys.executable})", ""
    yield (
        "machine",
        machine(),
        "" if (os.cpu_count() or 1) >= 2 else "two cores, so that executor and worker do not share",
    )
    yield "free disk", *_disk(runs)
    for extra, (module, use) in EXTRAS.items():
        yield f"[{extra}] {use}", *_extra(extra, module)
    yield "LeRobot", *_lerobot()
    yield "LeRobot plug-ins", ", ".join(plug_ins()) or "none", ""
    yield "torch", *_torch()
    yield "tasks", ", ".join(members("task")), ""
    yield "pictures", *_pictures()
    yield "robots", ", ".join(sorted({SIMULATED, *entry_points(group="rollahead.robots").names})), ""
    yield "timer", *_floor()
    yield from _permissions()


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


def _lerobot() -> tuple[str, str]:
    try:
        check_version()
    except ConfigError as error:
        found, _, remedy = str(error).partition("; ")
        return found, remedy
    return version("lerobot"), ""


def _torch() -> tuple[str, str]:
    """The version of torch, and the devices that `planner.device` and a training's `device` may name."""
    if find_spec("torch") is None:
        return "not installed", "pip install 'rollahead[policies]'"
    import torch

    gpus = [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    metal = ["mps"] if torch.backends.mps.is_available() else []
    return f"{torch.__version__}, devices: {', '.join(['cpu', *gpus, *metal])}", ""


def _pictures() -> tuple[str, str]:
    if find_spec("mujoco") is None:
        return "needs [sim]", ""
    from rollahead.sim.render import REMEDY, backend, explain

    return explain().split(";")[0], "" if backend() else REMEDY


def _floor() -> tuple[str, str]:
    """The lateness of an empty loop, which is the least that a control loop on this machine can have."""
    p50, p99, most = np.quantile(measure_floor(FLOOR_S, Tuning()).late_us, [0.5, 0.99, 1.0])
    found = f"a bare loop at {RATE_HZ:g} Hz is {p50:.0f} us late (median), {p99:.0f} us (p99), {most:.0f} us at most"
    return found, "" if p99 < LATE_US else "something else keeps the processor busy: end it, or set tuning.cores=[...]"


def _permissions() -> Iterator[Finding]:
    """Yields the permissions that options of `tuning` need, and how to grant them."""
    for name, words in permitted().items():
        option, remedy = PERMISSIONS[name]
        denied = words.startswith("not permitted")
        yield f"tuning.{option}", words if denied else "permitted", remedy if denied else ""

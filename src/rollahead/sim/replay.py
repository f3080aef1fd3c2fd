"""Rendering of recorded states of a task into a clip: `python -m rollahead.sim.replay`.

`clip` runs this module in a process of its own, because the GL backend must be set before MuJoCo is imported.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rollahead.errors import ControlError
from rollahead.sim.render import Camera, backend, write_clip
from rollahead.sim.task import Drawable, make_task

SIZE = 320  # width and height of each episode, in pixels
EVERY = 2  # ticks per picture


def clip(path: Path, task: Mapping[str, Any], lanes: Sequence[tuple[Any, Any]], period_s: float) -> bool:
    """Writes a clip of several episodes side by side. Returns False if nothing can be rendered here.

    Args:
        path: File to write.
        task: `name` and options of the task. If it is not `Drawable`, nothing is written.
        lanes: States (n, S) and environments (n, E) of each episode, tick by tick.
        period_s: Seconds per tick.
    """
    gl = backend()
    if gl is None or not isinstance(make_task(**task), Drawable):
        return False
    job = {
        "path": str(path),
        "task": dict(task),
        "lanes": [[np.asarray(part).tolist() for part in lane] for lane in lanes],
        "period_s": period_s,
    }
    process = subprocess.run(
        [sys.executable, "-m", "rollahead.sim.replay"],
        input=json.dumps(job),
        env={**os.environ, "MUJOCO_GL": gl},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        errors = [line for line in process.stderr.splitlines() if re.match(r"[\w.]+Error\b", line)]
        why = errors[0] if errors else f"exit status {process.returncode}"
        raise ControlError(f"the clip {path.name} could not be rendered ({why}); look at the folder, or set MUJOCO_GL")
    return True


def main() -> None:
    """Reads a job from standard input as JSON, and writes its clip."""
    job = json.load(sys.stdin)
    task = make_task(**job["task"])
    assert isinstance(task, Drawable), "the caller checks it"
    camera = Camera(task.model, "top", SIZE, SIZE, smooth=True)
    longest = max(len(states) for states, _ in job["lanes"])
    pictures = []
    for tick in range(0, longest, EVERY):
        row = []
        for states, environments in job["lanes"]:
            at = min(tick, len(states) - 1)
            task.show(np.array(states[at]), np.array(environments[at]))
            row.append(camera.picture(task.data))
        pictures.append(np.concatenate(row, axis=1))
    write_clip(job["path"], pictures, EVERY * job["period_s"])


if __name__ == "__main__":
    main()

"""Replays recorded states of a task through its camera into a clip: `python -m rollahead.sim.replay`.

Run by `clip` in a process of its own, whose GL backend is set before MuJoCo is imported.
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

SIZE = 320  # pixels
EVERY = 2  # ticks per picture


def clip(path: Path, task: Mapping[str, Any], lanes: Sequence[tuple[Any, Any]], period_s: float) -> bool:
    """Writes the clip of several episodes side by side; False if nothing renders here, or the task is not `Drawable`.

    lanes: of each episode the states (n, S) and the environments (n, E), tick by tick; period_s: seconds per tick.
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
    ran = subprocess.run(
        [sys.executable, "-m", "rollahead.sim.replay"],
        input=json.dumps(job),
        env={**os.environ, "MUJOCO_GL": gl},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        said = [line for line in ran.stderr.splitlines() if re.match(r"[\w.]+Error\b", line)]
        why = said[0] if said else f"exit status {ran.returncode}"
        raise ControlError(f"the clip {path.name} could not be rendered ({why}); look at the folder, or set MUJOCO_GL")
    return True


def main() -> None:
    """Reads the job from standard input and writes its clip."""
    job = json.load(sys.stdin)
    task = make_task(**job["task"])
    assert isinstance(task, Drawable), "the caller looks"
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

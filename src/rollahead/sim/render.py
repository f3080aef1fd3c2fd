"""Pictures of a simulated scene: EGL, OSMesa, or none.

MuJoCo fixes its GL backend when it is first imported, and a backend that is missing may end the process. So each is
tried in a process of its own, once, and whoever renders does so in a process that was started with the one that works.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

BACKENDS = ("egl", "osmesa")
PROBE = (
    "import mujoco; "
    "m = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size=\"1\"/></worldbody></mujoco>'); "
    "d = mujoco.MjData(m); mujoco.mj_forward(m, d); r = mujoco.Renderer(m, 16, 16); r.update_scene(d); r.render()"
)
REMEDY = "on Debian: apt-get install libosmesa6"


@cache
def backend() -> str | None:
    """The first backend that renders here; None if none does. What MUJOCO_GL says is tried first, and alone."""
    asked = os.environ.get("MUJOCO_GL")
    for name in (asked,) if asked else BACKENDS:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], env={**os.environ, "MUJOCO_GL": name}, capture_output=True, check=False
        )
        if probe.returncode == 0:
            return name
    return None


def explain() -> str:
    """One line: which backend renders, or that none does, and what to do."""
    found = backend()
    tried = os.environ.get("MUJOCO_GL") or " and ".join(BACKENDS)
    return f"rendering with {found}" if found else f"nothing renders here (tried {tried}); {REMEDY}"


class Camera:
    """Renders one scene. Phase: setup. Needs MUJOCO_GL set to `backend()` before MuJoCo was first imported."""

    def __init__(self, model: Any, camera: str, height: int, width: int) -> None:
        import mujoco

        self._renderer = mujoco.Renderer(model, height, width)
        self._camera = camera

    def picture(self, data: Any) -> NDArray[np.uint8]:
        """(height, width, 3), the scene as `data` has it."""
        self._renderer.update_scene(data, camera=self._camera)
        return self._renderer.render()


def write_clip(path: str, pictures: Sequence[NDArray[np.uint8]], period_s: float) -> None:
    """Writes `pictures` as an animated WebP, `period_s` apart."""
    from PIL import Image

    images = [Image.fromarray(picture) for picture in pictures]
    duration_ms = max(round(1000 * period_s), 1)
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration_ms, loop=0, quality=80, method=2)

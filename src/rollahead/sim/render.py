"""Rendering of a simulated scene with EGL or OSMesa, whichever works on this machine.

A missing GL backend may end the process. Each backend is therefore tried once, in its own process, and `prepare` sets
the one that works for MuJoCo, in this process and in those that are started from it.
"""

import atexit
import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.types import spec

BACKENDS = ("egl", "osmesa")
HEADLESS = tuple(f"mujoco.{name}" for name in BACKENDS)
PROBE = (
    "import mujoco; "
    "m = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size=\"1\"/></worldbody></mujoco>'); "
    "d = mujoco.MjData(m); mujoco.mj_forward(m, d); r = mujoco.Renderer(m, 16, 16); r.update_scene(d); r.render()"
)
REMEDY = "on Debian: apt-get install libosmesa6"
LARGEST = 640  # largest height and width of an image, in pixels


@cache
def backend() -> str | None:
    """The first backend that renders on this machine; None if none does. MUJOCO_GL, if set, is the only one tried."""
    asked = os.environ.get("MUJOCO_GL")
    for name in (asked,) if asked else BACKENDS:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], env={**os.environ, "MUJOCO_GL": name}, capture_output=True, check=False
        )
        if probe.returncode == 0:
            return name
    return None


def explain() -> str:
    """One line for the user: which backend renders, or that none does and what to install."""
    found = backend()
    tried = os.environ.get("MUJOCO_GL") or " and ".join(BACKENDS)
    return f"rendering with {found}" if found else f"nothing renders here (tried {tried}); {REMEDY}"


def prepare() -> None:
    """Makes MuJoCo render with `backend()`, in this process and in those that are started from it.

    If MuJoCo was imported with a backend that needs no display, that one is kept.

    Raises: ConfigError, if nothing renders on this machine.
    """
    import mujoco

    gl: Any = sys.modules[mujoco.Renderer.__module__].gl_context
    if getattr(gl, "GLContext", None) is not None and gl.GLContext.__module__ in HEADLESS:
        return
    found = backend()
    if found is None:
        raise ConfigError(f"the cameras of a task need a renderer, and {explain()}")
    os.environ["MUJOCO_GL"] = found  # for processes started later
    gl.GLContext = import_module(f"mujoco.{found}").GLContext  # MuJoCo looks at MUJOCO_GL only when it is imported


class Camera:
    """Renderer of one camera of a MuJoCo model.

    Args:
        model: The MuJoCo model.
        camera: Name of the camera.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        smooth: Whether to render four samples per pixel, which in software takes ten times as long.
    """

    def __init__(self, model: Any, camera: str, height: int, width: int, *, smooth: bool = False) -> None:
        """Phase: setup. Raises: ConfigError, if nothing renders on this machine."""
        import mujoco

        prepare()
        samples = model.vis.quality.offsamples
        model.vis.quality.offsamples = samples if smooth else 0
        self._renderer = mujoco.Renderer(model, height, width)
        model.vis.quality.offsamples = samples
        atexit.register(_close, weakref.ref(self._renderer))  # before MuJoCo ends the display
        self._camera = camera

    def picture(self, data: Any) -> NDArray[np.uint8]:
        """The image (height, width, 3) RGB of the scene in `data`, read-only."""
        self._renderer.update_scene(data, camera=self._camera)
        picture: NDArray[np.uint8] = self._renderer.render()
        picture.flags.writeable = False
        return picture


def _close(renderer: "weakref.ref[Any]") -> None:
    if (there := renderer()) is not None:
        there.close()


class Cameras:
    """The cameras of a simulated robot. Nothing is rendered, and no renderer is made, before the first call.

    `specs` are the cameras for a `RobotSpec`.

    Args:
        model: The MuJoCo model.
        names: Names of the model's cameras that the robot has.
        size: Height and width of the images, in pixels.
    """

    def __init__(self, model: Any, names: Sequence[str], size: Sequence[int]) -> None:
        """Raises: ConfigError, if a camera does not exist, `size` is no size, or nothing renders on this machine."""
        known = [model.camera(i).name for i in range(model.ncam)]
        for name in names:
            if name not in known:
                raise unknown_name("camera of the task", name, known)
        if len(size) != 2 or not all(isinstance(side, int) and 1 <= side <= LARGEST for side in size):
            raise ConfigError(f"task.image_size is {list(size)}; give [height, width], each from 1 to {LARGEST} pixels")
        if names:
            prepare()
        self.specs = tuple(spec.Camera(name, size[0], size[1]) for name in names)
        self._model = model
        self._made: dict[str, Camera] = {}

    def __call__(self, data: Any) -> dict[str, NDArray[np.uint8]]:
        """The image (height, width, 3) of each camera of the scene in `data`. Phase: hot, in simulated time."""
        if not self._made:
            self._made = {each.name: Camera(self._model, each.name, each.height, each.width) for each in self.specs}
        return {name: camera.picture(data) for name, camera in self._made.items()}


def write_clip(path: str, pictures: Sequence[NDArray[np.uint8]], period_s: float) -> None:
    """Writes `pictures` as an animated WebP file with a picture every `period_s` seconds."""
    from PIL import Image

    images = [Image.fromarray(picture) for picture in pictures]
    duration_ms = max(round(1000 * period_s), 1)
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration_ms, loop=0, quality=80, method=2)

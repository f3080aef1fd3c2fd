import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rollahead.sim import render
from rollahead.sim.render import BACKENDS, REMEDY, write_clip

SIZE = 240
MOLES = ((0.2, 0.1), (-0.25, -0.2), (0.0, 0.25))


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Which backend renders is asked once per process; for a test that asks in another environment, anew."""
    render.backend.cache_clear()
    yield
    render.backend.cache_clear()


def test_this_machine_renders_with_egl_or_osmesa_or_says_what_to_do() -> None:
    assert render.backend() in (*BACKENDS, None)
    assert render.explain() == f"rendering with {render.backend()}" if render.backend() else REMEDY in render.explain()


@pytest.mark.usefixtures("forgotten")
def test_a_mujoco_gl_that_renders_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert render.backend() in ("osmesa", None)  # and never egl


@pytest.mark.usefixtures("forgotten")
def test_a_nonsense_mujoco_gl_renders_nothing_and_the_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    assert render.backend() is None
    line = render.explain()
    assert "\n" not in line
    assert line.startswith("nothing renders here")
    assert "nonsense" in line
    assert "egl" not in line  # which was not tried


def test_asking_again_asks_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render.backend()
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    assert render.backend() == before


def test_a_picture_has_the_mole_where_it_is() -> None:
    found = render.backend()
    if found is None:
        pytest.skip(render.explain())
    code = f"""
import json, numpy as np
from rollahead.sim.mole import WhackAMole
from rollahead.sim.render import Camera
task = WhackAMole()
camera = Camera(task.model, "top", {SIZE}, {SIZE})
seen = []
for mole in {MOLES}:
    task.show(np.array([0.3, -0.3, 0.0, 0.0]), np.array(mole))
    picture = camera.picture(task.data).astype(float)
    assert picture.shape == ({SIZE}, {SIZE}, 3)
    red = (picture[..., 0] > 1.5 * picture[..., 1]) & (picture[..., 0] > 1.5 * picture[..., 2]) & (picture[..., 0] > 90)
    rows, columns = np.nonzero(red)
    seen.append([len(rows), float(columns.mean()), float(rows.mean())])
print(json.dumps(seen))
"""
    environment = {**os.environ, "MUJOCO_GL": found}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for mole, (count, column, row) in zip(MOLES, json.loads(ran.stdout), strict=True):
        expected = _pixel(*mole)
        assert count > 20
        assert math.dist((column, row), expected) < 6, (mole, (column, row), expected)


def _pixel(x: float, y: float) -> tuple[float, float]:
    """Column and row of a point on the table in the view of the camera `top`: at (0, -0.5, 1.05), 48 degrees high."""
    right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.9, 0.43]) / math.hypot(0.9, 0.43)
    way = np.array([x, y, 0.01]) - np.array([0.0, -0.5, 1.05])
    depth = -way @ np.cross(right, up)
    focal = SIZE / 2 / math.tan(math.radians(24))
    return SIZE / 2 + focal * (way @ right) / depth, SIZE / 2 - focal * (way @ up) / depth


@pytest.mark.parametrize("period_s", [0.04, 1e-6])
def test_a_clip_holds_every_picture_and_their_time(tmp_path: Path, period_s: float) -> None:
    pictures = [np.full((16, 24, 3), shade, np.uint8) for shade in (0, 120, 250)]
    write_clip(str(tmp_path / "clip.webp"), pictures, period_s)
    with Image.open(tmp_path / "clip.webp") as clip:
        assert (clip.n_frames, clip.size, clip.info["loop"]) == (3, (24, 16), 0)
        for frame, shade in enumerate((0, 120, 250)):
            clip.seek(frame)
            assert abs(float(np.asarray(clip.convert("RGB")).mean()) - shade) < 5
            assert clip.info["duration"] == max(round(1000 * period_s), 1)

"""The example of a robot for LeRobot: installed as a user would, and driven by rollahead and by LeRobot's own means."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
GOAL = pytest.approx([0.1, -0.2], abs=0.01)


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What tests/gantry_driver.py found."""
    site, calibration = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("calibration")
    install = [PROGRAMS / "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    where = ["--python", sys.executable, "--target", site, ROOT / "examples/lerobot-robot-gantry"]
    subprocess.run([*install, *where], check=True, env=os.environ | {"UV_LINK_MODE": "copy"})
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    program = [sys.executable, ROOT / "tests/gantry_driver.py", calibration]
    environment = os.environ | {"PYTHONPATH": path}
    ran = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_rollahead_drives_a_plugin_of_lerobot_by_its_names(driven: Any) -> None:
    by_rollahead = driven["rollahead"]
    assert by_rollahead["action"] == ["x.pos", "y.pos"]
    assert by_rollahead["state"] == ["x.pos", "y.pos", "x.vel", "y.vel", "mole_x.pos", "mole_y.pos"]
    assert by_rollahead["tick"] == list(range(len(by_rollahead["tick"])))
    assert len(by_rollahead["tick"]) >= 75
    assert max(by_rollahead["chunk"]) > 50  # plans came all along
    assert by_rollahead["end"][:2] == GOAL


def test_lerobot_drives_it_too(driven: Any) -> None:
    by_lerobot = driven["lerobot"]
    assert by_lerobot["features"] == sorted(by_lerobot["begin"])
    assert by_lerobot["sent"] == {"y.vel": 0.0, "x.vel": 0.2}
    begin, end = by_lerobot["begin"], by_lerobot["end"]
    assert end["x.pos"] - begin["x.pos"] == pytest.approx(0.09, abs=0.04)
    assert end["x.vel"] == pytest.approx(0.2, abs=0.1)
    assert end["y.pos"] == pytest.approx(begin["y.pos"], abs=0.02)

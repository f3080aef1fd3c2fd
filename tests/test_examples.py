"""The example of a task from another package: installed as a user would, and run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
SMALL = ("task=reach", "workers=1", "reactions=false")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def rollahead(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`rollahead <arguments>` where rollahead-reach is installed, in an empty folder."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    install = [PROGRAMS / "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    where = ["--python", sys.executable, "--target", site, ROOT / "examples/rollahead-reach"]
    subprocess.run([*install, *where], check=True, env=os.environ | {"UV_LINK_MODE": "copy"})

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(site), "COLUMNS": "120"}
        program = [PROGRAMS / "rollahead", *arguments]
        return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    run.folder = folder  # type: ignore[attr-defined]
    return run


def figures(run: Run, name: str) -> Any:
    path: Path = run.folder / "runs" / name / "summary.json"  # type: ignore[attr-defined]
    (cell,) = json.loads(path.read_text())["cells"]
    assert cell["task"]["name"] == "reach"
    return cell["figures"]


def test_vlash_reaches_the_goal_where_sync_does_not(rollahead: Run) -> None:
    options = (*SMALL, "strategy=sync,vlash", "latency.ticks=8", "episodes=40", "name=study")
    ran = rollahead("eval", "--multirun", *options)
    assert (ran.returncode, ran.stderr) == (0, "")
    sync, vlash = (figures(rollahead, f"study/{n}")["success"] for n in (0, 1))
    assert vlash >= 95
    assert sync <= 75


def test_an_option_that_it_does_not_have_is_refused_with_a_near_miss(rollahead: Run) -> None:
    ran = rollahead("eval", *SMALL, "task.windw_s=3")
    assert ran.returncode == 2
    assert "did you mean 'task.window_s'" in ran.stderr


def test_its_options_are_given_like_any_other_and_its_own_refusals_are_one_sentence(rollahead: Run) -> None:
    ran = rollahead("eval", *SMALL, "task.slip=-1")
    assert ran.returncode == 2
    assert ran.stderr == "rollahead eval: window_s is 1.7 and slip -1; give a positive time and no negative slip\n"


def test_a_near_miss_of_its_name_is_offered(rollahead: Run) -> None:
    message = rollahead("eval", "task=rech").stderr
    assert "did you mean 'reach'" in message
    assert "Known: belt, gym, interception, mole, pick, reach" in message


@pytest.mark.slow
def test_a_demo_of_a_task_that_cannot_be_drawn_has_its_report_and_no_clip(rollahead: Run) -> None:
    schedules = ("delays=[2]", "featured=2", "~schedules", "+schedules={sync: [8], vlash: [8]}")
    ran = rollahead(
        "demo", "task=reach", "planner=scripted", "workers=1", "episodes=2", "live=1", "name=demo", *schedules
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    left = {path.name for path in (rollahead.folder / "runs/demo").iterdir()}  # type: ignore[attr-defined]
    assert "report.html" in left
    assert "clip.webp" not in left

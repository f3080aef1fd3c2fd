"""A LeRobot plug-in with cameras, driven by `rollahead run` as someone would, in a program and in a terminal."""

import json
import subprocess
from pathlib import Path

import pytest
from benchmarks.first_hour import command, environment, said


def waving(*options: str) -> list[str]:
    """`rollahead run` of the plug-in's robot without a policy."""
    without = [word for word in command(Path("none"), 50.0) if not word.startswith("planner")]
    return [*without, "planner=sine", *options]


@pytest.mark.slow
def test_a_robot_that_the_runtime_stops_itself_ends_the_run_with_what_was_too_old_and_both_limits(
    tmp_path: Path,
) -> None:
    stuck = waving("robot.config={stuck_after: 40, stuck_s: 30}", "guard.stale_ticks=7", "guard.give_up_ticks=12")
    ran = subprocess.run(
        [*stuck, "seconds=20"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    sentence = ran.stderr.splitlines()[-1].removeprefix("rollahead run: ")
    assert ran.returncode == 2
    assert sentence.startswith("the robot was stopped, for the state was ")
    assert sentence.endswith(
        "ticks old, and the limit is 7 (guard.stale_ticks), after 12 ticks in a row without a usable state and images "
        "(guard.give_up_ticks); check the robot, or raise the limit"
    )
    assert json.loads((tmp_path / "runs/mine/summary.json").read_text())["error"] == sentence


@pytest.mark.slow
def test_on_a_terminal_what_takes_long_before_the_first_tick_is_shown_as_it_goes_on(tmp_path: Path) -> None:
    words: list[str] = []
    times = list(said(waving("robot.config={slow_s: 4}", "seconds=0.5"), tmp_path, words.append))
    shown = "".join(words)
    (connecting,) = [line for line in shown.splitlines() if line.startswith("connecting the robot")]
    assert connecting.count(".") >= 3  # two dots at least, and one in its seconds
    assert connecting.rstrip().endswith(" s")
    assert 4.0 <= float(connecting.split()[-2]) < 60.0
    assert len(times) > 5

"""LeRobot's own SO-101, on a simulated bus: the commands that the pages begin with, in programs of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmarks.so101 import ID, JOINTS, PORT, arms, half_range

from rollahead.runtime.safety.guard import Flag

PROGRAM = [sys.executable, "-c", "from rollahead.cli import main; main()"]
ARM = (
    "robot=lerobot",
    "robot.type=so101_follower",
    "robot.rate_hz=30",
    f"robot.config={{port: {PORT}, id: {ID}}}",
    "robot.limits={default: {rate_limit: 120, accel_limit: 1200}, gripper.pos: {rate_limit: 300}}",
)
WAVE = ("planner=sine", "planner.share=0.05", "name=mine")


def rollahead(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def refusal(ran: subprocess.CompletedProcess[str]) -> str:
    """The sentence on the last line; before it are stages that took long."""
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr.splitlines()[-1].removeprefix("rollahead run: ")


def test_every_joint_waves_within_the_range_of_its_calibration_and_the_guard_does_nothing_but_the_ramp(
    tmp_path: Path,
) -> None:
    ran = rollahead(tmp_path, arms(tmp_path), "run", *ARM, *WAVE, "seconds=3")
    assert ran.returncode == 0, ran.stderr
    ticks = pq.read_table(tmp_path / "runs/mine/ticks.parquet")
    assert set(np.unique(ticks["guard"].to_numpy()).tolist()) == {0, int(Flag.RAMP)}
    for joint in JOINTS:
        half = 50.0 if joint == "gripper" else half_range(joint)
        middle = 50.0 if joint == "gripper" else 0.0
        sent, was = (ticks[f"{what}.{joint}.pos"].to_numpy() - middle for what in ("action", "state"))
        assert 0.03 * half < np.abs(sent).max() < 0.051 * half  # 5 % of half of its range
        assert 0.02 * half < np.abs(was).max() < 0.051 * half


@pytest.mark.slow
def test_a_wrong_port_is_told_in_the_whole_sentence_of_lerobot(tmp_path: Path) -> None:
    ran = rollahead(tmp_path, arms(tmp_path, {"/dev/ttyACM1": ID}), "run", *ARM, *WAVE, "seconds=1")
    assert refusal(ran) == (
        f"the robot could not be connected (ConnectionError: Could not connect on port '{PORT}'. Make sure you are "
        "using the correct port. Try running `lerobot-find-port`); nothing was sent to it"
    )


@pytest.mark.slow
def test_an_arm_without_a_calibration_is_refused_with_where_it_would_be_and_how_to_make_it(tmp_path: Path) -> None:
    sentence = refusal(rollahead(tmp_path, arms(tmp_path, {PORT: None}), "run", *ARM, *WAVE, "seconds=1"))
    where = tmp_path / "calibration/robots/so_follower/black.json"
    assert sentence.startswith(f"there is no calibration of the so101_follower with id 'black' at {where}; ")
    assert "lerobot-calibrate --robot.type=so101_follower --robot.id=black" in sentence


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["sdk", "sdk_needs"])
def test_without_the_packages_of_its_motors_it_says_what_to_install(missing: str, tmp_path: Path) -> None:
    environment = arms(tmp_path)
    paths = [path for path in environment["PYTHONPATH"].split(":") if missing not in Path(path).parts]
    if ":".join(paths) == environment["PYTHONPATH"]:
        pytest.skip("pyserial and deepdiff, which sdk_needs stands in for, are installed here")
    ran = rollahead(tmp_path, environment | {"PYTHONPATH": ":".join(paths)}, "run", *ARM, *WAVE, "seconds=1")
    assert refusal(ran).endswith("; add what its motors need with pip install 'lerobot[feetech]'")

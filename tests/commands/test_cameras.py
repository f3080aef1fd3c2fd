"""A policy that sees images plays in simulation, in `rollahead eval` and in `rollahead run`."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from benchmarks.policy_parity import SIDE, save_policy

from rollahead.sim import render

from .conftest import Ran, refusal

Command = Callable[..., Ran]
TASK = (
    "task=mole",
    "task.cameras=[top]",
    "task.window_s=0.5",
    "strategy.s=8",
    "latency=fixed",
    "latency.ticks=4",
    "name=mine",
)
NAMES = "planner.rename={s_0: x, s_1: y, s_2: vx, a_0: vx, a_1: vy, camera_0: top}"
RENDERS = pytest.mark.skipif(render.backend() is None, reason=render.explain())


def inferences() -> int:
    """Number of answers of the policy in the run, which on a slow machine may be too late to be used."""
    return int(pq.read_table("runs/mine/inferences.parquet").num_rows)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_policy(tmp_path_factory.mktemp("act"), "act", cameras=1, environment=0)


@RENDERS
def test_a_policy_that_sees_images_is_evaluated_in_simulation(rollahead: Command, checkpoint: Path) -> None:
    policy = ("planner=policy", f"planner.checkpoint={checkpoint}", NAMES)
    size = f"task.image_size=[{SIDE}, {SIDE}]"
    ran = rollahead("eval", *TASK, size, *policy, "episodes=1", "workers=1", "reactions=false")
    assert ran.status == 0, ran
    assert inferences() >= 1


@RENDERS
def test_a_policy_that_sees_images_drives_the_simulated_robot_in_real_time(
    rollahead: Command, checkpoint: Path
) -> None:
    policy = ("planner=policy", f"planner.checkpoint={checkpoint}", NAMES)
    size = f"task.image_size=[{SIDE}, {SIDE}]"
    ran = rollahead("run", "robot=sim", *TASK, size, *policy, "episodes=1")
    assert ran.status == 0, ran
    assert inferences() >= 1


@RENDERS
def test_a_camera_of_another_size_than_the_policys_is_refused_with_both(rollahead: Command, checkpoint: Path) -> None:
    ran = rollahead("eval", *TASK, "planner=policy", f"planner.checkpoint={checkpoint}", NAMES, "episodes=1")
    assert f"camera 'top' of the robot is 96x96 pixels, and the policy's {SIDE}x{SIDE}" in refusal(ran, "eval")


def test_a_policy_that_sees_images_in_a_task_without_cameras_is_told_the_option(
    rollahead: Command, checkpoint: Path
) -> None:
    ran = rollahead("eval", "task=mole", "planner=policy", f"planner.checkpoint={checkpoint}", NAMES, "episodes=1")
    assert "sees images of camera_0" in refusal(ran, "eval") and "task=mole task.cameras=[top]" in refusal(ran, "eval")

"""Planners by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.policy_parity import SIDE, save_policy

from every import every
from rollahead.assembly.planners import make_image_encoder, make_planning, opened
from rollahead.assembly.rollers import Scene
from rollahead.errors import ConfigError
from rollahead.policies.correctors.image_encoder import arrays_of, make_net
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import CorrectorConfig, GuidanceConfig
from rollahead.runtime.control.corrector import Head, HeadCard
from rollahead.runtime.rolling.roll import FirstOrderLag, Rollers, still
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec
from rollahead.sim.task import make_task

SPEC = RobotSpec(
    (Dim("a", low=-1.0, high=1.0, drives="a"), Dim("b", kind=Kind.VELOCITY, low=-2.0, high=2.0, drives="b")),
    (Dim("a"), Dim("b")),
    50.0,
)
REAL = Scene(SPEC)
UNROLLED = Rollers(still)
WAVE = {"name": "sine", "share": 0.1, "period_s": 4.0}


def test_a_scripted_planner_is_a_tasks_expert_and_refused_without_one() -> None:
    task = make_task("mole")
    made = make_planning({"name": "scripted", "horizon": 8}, Scene(task.spec, task), UNROLLED)
    assert (made.horizon, made.n_obs) == (8, 1)
    with pytest.raises(ConfigError, match=r"planner=scripted is a task's expert, and there is no task; use robot=sim"):
        make_planning({"name": "scripted", "horizon": 8}, REAL, UNROLLED)


def test_an_unknown_name_is_refused_with_a_near_miss() -> None:
    with pytest.raises(ConfigError, match=r"there is no planner 'sin'; did you mean 'sine'"):
        make_planning({"name": "sin"}, REAL, UNROLLED)


@pytest.mark.parametrize("horizon", [0, 10_001])
def test_a_horizon_that_cannot_be_is_refused(horizon: int) -> None:
    with pytest.raises(ConfigError, match=f"planner.horizon is {horizon}; give from 1 to 10000 rows"):
        make_planning({**WAVE, "horizon": horizon}, REAL, UNROLLED)


def test_a_sampler_for_a_planner_that_has_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="sampler=ddim needs a policy that denoises; use planner=policy"):
        make_planning({**WAVE, "horizon": 8}, REAL, UNROLLED, sampler={"name": "ddim", "steps": 10})


@pytest.mark.parametrize(
    "strategy, what",
    [
        (StrategyConfig("rtc"), "strategy=rtc"),
        (StrategyConfig("bid"), "strategy=bid"),
        (StrategyConfig("vlash", guidance=GuidanceConfig(enabled=True)), "strategy.guidance.enabled=true"),
    ],
)
def test_a_strategy_that_steers_is_refused_for_a_planner_that_denoises_nothing(
    strategy: StrategyConfig, what: str
) -> None:
    with pytest.raises(ConfigError, match=f"{what} steers a policy that denoises; use planner=policy, or"):
        make_planning({**WAVE, "horizon": 8}, REAL, UNROLLED, strategy)


@every("rename", ["foo", ["x"], {"a": 1}, {0: "a"}, 0, ""])
def test_a_rename_that_is_no_mapping_of_names_is_refused(rename: object) -> None:
    with pytest.raises(ConfigError) as caught:
        make_planning({"name": "policy", "checkpoint": "mole_flow", "rename": rename}, REAL, UNROLLED)
    assert str(caught.value) == f"planner.rename is {rename!r}; give {{the policy's name: the robot's}}"


SEEING = RobotSpec(
    tuple(Dim(f"a_{i}", kind=Kind.VELOCITY) for i in range(4)),
    tuple(Dim(f"s_{i}") for i in range(3)),
    50.0,
    tuple(Dim(f"e_{i}") for i in range(2)),
)


def seeing(folder: Path, *cameras: str, **options: object) -> tuple[str, ...]:
    """The cameras of a robot that a policy with `camera_0` and `camera_1` plans with."""
    robot = replace(SEEING, cameras=tuple(Camera(name, SIDE, SIDE) for name in cameras))
    config = {"name": "policy", "checkpoint": str(folder), **options}
    return make_planning(config, Scene(robot), UNROLLED, StrategyConfig("sync")).cameras


def save_rename(folder: Path, **cameras: str) -> None:
    """Writes into the checkpoint in `folder` that its training renamed `cameras`, from the data set's name."""
    path = folder / "policy_preprocessor.json"
    written = json.loads(path.read_text())
    rename = {f"observation.images.{theirs}": f"observation.images.{own}" for theirs, own in cameras.items()}
    next(step for step in written["steps"] if "rename" in step["registry_name"])["config"]["rename_map"] = rename
    path.write_text(json.dumps(written))


def test_cameras_that_lerobots_training_swapped_are_swapped(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "act", "act", cameras=2)
    save_rename(folder, camera_0="camera_1", camera_1="camera_0")
    assert seeing(folder, "camera_0", "camera_1") == ("camera_1", "camera_0")


def test_cameras_that_lerobots_training_renamed_are_the_robots_by_the_names_of_the_data_set(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "act", "act", cameras=2)
    save_rename(folder, front="camera_0")
    assert seeing(folder, "front", "camera_1") == ("front", "camera_1")
    assert seeing(folder, "camera_0", "camera_1") == ("camera_0", "camera_1"), "a robot that calls it as the policy"
    assert seeing(folder, "camera_0", "camera_1", "front") == ("front", "camera_1")
    assert seeing(folder, "front", "top", "camera_1", rename={"camera_0": "top"}) == ("top", "camera_1")


def test_a_policy_that_sees_images_is_refused_for_a_robot_without_cameras(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "act", "act", cameras=2)
    with pytest.raises(ConfigError) as caught:
        seeing(folder)
    assert str(caught.value) == (
        "LeRobot's ACT sees images of camera_0, camera_1, and the robot has no camera; give it cameras of these names "
        "(those of LeRobot take robot.config={cameras: ...}), or take a policy without images"
    )


def test_a_device_that_is_not_there_is_refused_before_the_weights_are_read(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^device is gpu, and torch cannot use it on this machine \(.*\); leave it out"
    ):
        make_planning({"name": "policy", "checkpoint": "mole_flow", "device": "gpu"}, REAL, UNROLLED)


def test_only_a_policy_has_a_checkpoint_to_open() -> None:
    assert opened({**WAVE, "horizon": 8}, SPEC) is None
    read = opened({"name": "policy", "checkpoint": "mole_flow"}, SPEC)
    assert read is not None
    assert read.action_steps == 8
    with pytest.raises(ConfigError, match=r"planner\.trust_order is 'yes'; give true or false"):
        opened({"name": "policy", "checkpoint": "mole_flow", "trust_order": "yes"}, SPEC)


def test_a_chunk_shorter_than_what_the_roller_looks_back_is_refused_also_at_speed() -> None:
    index = np.zeros(1, np.intp)
    late = Rollers(FirstOrderLag(index, index, 0.1, 0.02, delay=5))
    make_planning({**WAVE, "horizon": 8}, REAL, late)
    with pytest.raises(ConfigError, match="a delay of 5 ticks, and what was sent is kept for H = 4"):
        make_planning({**WAVE, "horizon": 8}, REAL, late, StrategyConfig("vlash", q=2))


def test_an_eye_is_made_for_a_head_that_sees_images_and_for_no_other(tmp_path: Path) -> None:
    def strategy(cameras: tuple[str, ...], latent: int) -> StrategyConfig:
        card, seen = HeadCard((), (), (), 8, cameras=cameras, latent=latent), 3 + (latent + 1 if latent else 0)
        head = Head(card, [(np.zeros((seen, 0)), np.zeros(0))], np.zeros(seen), np.ones(seen), np.ones(0))
        head.save(tmp_path / "head.npz", arrays_of(make_net(1, latent)) if latent else None)
        return StrategyConfig("vlash", corrector=CorrectorConfig(str(tmp_path / "head.npz")))

    assert make_image_encoder(StrategyConfig("vlash")) is None
    assert make_image_encoder(strategy((), 0)) is None
    image_encoder = make_image_encoder(strategy(("top",), 3))
    assert image_encoder is not None
    assert image_encoder({"top": np.zeros((4, 4, 3), np.uint8)}).shape == (3,)


def test_a_policy_that_sees_images_is_refused_where_a_task_has_no_cameras(tmp_path: Path) -> None:
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from safetensors.torch import save_file

    seen = {
        "observation.state": PolicyFeature(FeatureType.STATE, (4,)),
        "observation.images.top": PolicyFeature(FeatureType.VISUAL, (3, 24, 32)),
    }
    made = {"action": PolicyFeature(FeatureType.ACTION, (2,))}
    ACTConfig(input_features=seen, output_features=made, device="cpu").save_pretrained(tmp_path)
    save_file({}, tmp_path / "model.safetensors")
    task = make_task("mole")
    with pytest.raises(
        ConfigError, match=r"images of top, and this task has no cameras; set task\.cameras, as in task=mole"
    ):
        make_planning(
            {"name": "policy", "checkpoint": str(tmp_path), "trust_order": True}, Scene(task.spec, task), UNROLLED
        )

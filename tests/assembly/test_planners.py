"""Planners by name."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from benchmarks.policy_parity import SIDE, save_policy

from rollahead.assembly.planners import (
    AUTO,
    Brief,
    Planning,
    blank,
    make_image_encoder,
    make_planning,
    opened,
    planning_from,
)
from rollahead.assembly.rollers import Scene
from rollahead.errors import ConfigError
from rollahead.policies.correctors.image_encoder import arrays_of, make_net
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.control.corrector import Head, HeadCard
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.rolling.roll import FirstOrderLag, Rollers, still
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
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
        (StrategyConfig("vlash", guidance=True), "strategy.guidance=true"),
    ],
)
def test_a_strategy_that_steers_is_refused_for_a_planner_that_denoises_nothing(
    strategy: StrategyConfig, what: str
) -> None:
    with pytest.raises(ConfigError, match=f"{what} steers a policy that denoises; use planner=policy, or"):
        make_planning({**WAVE, "horizon": 8}, REAL, UNROLLED, strategy)


@pytest.mark.parametrize("rename", ["foo", ["x"], {"a": 1}, {0: "a"}, 0, ""])
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
        return StrategyConfig("vlash", corrector=str(tmp_path / "head.npz"))

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
    with pytest.raises(ConfigError, match="the policy sees images of top, and this task has no cameras; drive a robot"):
        make_planning(
            {"name": "policy", "checkpoint": str(tmp_path), "trust_order": True}, Scene(task.spec, task), UNROLLED
        )


# ---- planners of others: entry points, and what a user gives in Python ----


class Still:
    """A planner that keeps the robot where it is."""

    horizon = 6

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        seen = newest().observation
        return Result(request, frozen(np.zeros((6, 2))), seen.tick, seen.state, 0.0)


def registered(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """A package that registers `make` of a module of `source` as the planner `mine`."""
    (info := folder / "mine-1.0.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rollahead.planners]\nmine = {folder.name}_planner:make\n")
    (folder / f"{folder.name}_planner.py").write_text(source)
    monkeypatch.syspath_prepend(folder)


def brief(**changed: Any) -> Brief:
    return replace(Brief(REAL, UNROLLED, AUTO, StrategyConfig("vlash")), **changed)


def test_a_planner_of_another_package_is_made_with_its_options_and_the_brief(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        import numpy as np
        def make(brief, horizon=4, height=0.5):
            return lambda seen: np.full((horizon, len(brief.scene.spec.action)), height)
    """
    registered(tmp_path, monkeypatch, dedent(source))
    assert make_planning({"name": "mine", "horizon": 7}, REAL, UNROLLED).horizon == 7
    with pytest.raises(ConfigError, match=r"there is no option of the planner 'hight'; did you mean 'height'"):
        make_planning({"name": "mine", "hight": 7}, REAL, UNROLLED)
    with pytest.raises(ConfigError, match=r"there is no planner 'min'; did you mean 'mine'"):
        make_planning({"name": "min"}, REAL, UNROLLED)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 3", "planner 'mine' is made as int; make it a Planning"),
        ("return lambda seen: [[0.0]]", r"planner 'mine' gives rows of shape \(1, 1\) .*; make it give \(H, 2\)"),
        ("return lambda seen: None", r"planner 'mine' gives no rows for a blank observation"),
        ("raise OSError('no server')", r"planner 'mine' raised OSError \(no server\) in .*_planner.py, line 2"),
        ("return lambda seen: 1 / 0", r"planner 'mine' raised ZeroDivisionError .* in .*_planner.py, line 2"),
    ],
)
def test_what_is_no_planner_is_refused_by_its_name(
    body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(tmp_path, monkeypatch, f"def make(brief):\n    {body}\n")
    with pytest.raises(ConfigError, match=said):
        make_planning({"name": "mine"}, REAL, UNROLLED)


def test_a_planner_with_a_horizon_and_a_planning_are_taken_as_they_are() -> None:
    planner = Still()
    assert planning_from(planner, brief()) == Planning(planner, 6)
    planning = Planning(planner, 4, n_obs=2)
    assert planning_from(planning, brief()) is planning


def test_a_planner_without_a_horizon_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Still, "horizon")
    with pytest.raises(ConfigError, match=r"made as Still, whose horizon is None; give it a horizon"):
        planning_from(Still(), brief())


def test_a_function_plans_from_the_state_as_it_was_rolled_and_may_have_no_answer() -> None:
    calls: list[float] = []

    def function(seen: Observation) -> FloatArray | None:
        calls.append(float(seen.state[0]))
        return None if seen.state[0] > 4 else np.tile(seen.state, (5, 1))

    planner = planning_from(function, brief(rollers=Rollers(lambda state, rows: state + len(rows)))).planner
    for tick, rolled in ((2, 3.0), (4, 5.0)):
        seen = Observation(tick, frozen([float(tick), 0.0]))
        rows = frozen(np.zeros((3, 2)))
        asked = Snapshot(tick, (seen,), rows[:0], rows, 0, 0)
        result = planner.infer(Request(asked, tick + 1, tick + 1, tick + 1, 1), lambda seen=asked: seen)
        assert calls[-1] == rolled
        assert (result is None) == (rolled > 4)
        assert result is None or (result.rows.shape, result.anchor[0]) == ((5, 2), rolled)


def test_a_blank_observation_is_as_the_spec_says_and_within_its_ranges() -> None:
    spec = replace(SPEC, state=(Dim("a", low=2.0, high=3.0), Dim("b")), cameras=(Camera("top", 4, 6),))
    seen = blank(spec)
    assert seen.state.tolist() == [2.0, 0.0]
    assert seen.images["top"].shape == (4, 6, 3)
    assert dict(seen.image_ticks) == {"top": 0}

"""Rollers by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from every import every
from faulty import Rail
from rollahead.assembly.rollers import GROUP, ROLLERS, Scene, check_offset_state, going_on, leaves_behind, make_rollers
from rollahead.errors import ConfigError
from rollahead.runtime.rolling.roll import for_spec, still
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec
from rollahead.sim.task import make_task

ACTION = (Dim("a", low=-1.0, high=1.0, drives="a"), Dim("b", kind=Kind.VELOCITY, low=-2.0, high=2.0, drives="b"))
STATE = (Dim("a"), Dim("b"))
TRACKED = (Dim("box_x"), Dim("box_vx", rate_of="box_x"), Dim("lid"))
REAL = Scene(RobotSpec(ACTION, STATE, 50.0, TRACKED))


def test_the_robots_own_roller_is_the_tasks_model_or_what_its_actions_call_for() -> None:
    task = make_task("mole")
    state, rows = frozen([0.1, 0.0, 0.2, 0.0]), frozen(np.full((5, 2), 0.4))
    own = make_rollers({"name": "robot"}, Scene(task.spec, task))
    np.testing.assert_array_equal(own.state(state, rows), task.roller()(state, rows))
    plain = make_rollers({"name": "robot"}, REAL)
    at, sent = frozen([0.1, 0.2]), frozen(np.full((5, 2), 0.5))
    np.testing.assert_array_equal(plain.state(at, sent), for_spec(REAL.spec)(at, sent))
    assert own.scene is None
    assert plain.scene is None


def test_a_task_without_a_model_of_its_robot_is_rolled_as_a_real_robot_is() -> None:
    class Unmodelled(Rail):
        roller = None  # type: ignore[assignment]

    scene = Scene(Rail.spec, Unmodelled())
    state, rows = frozen([0.1]), frozen(np.full((5, 1), 0.02))
    np.testing.assert_allclose(make_rollers({"name": "robot"}, scene).state(state, rows), [0.2])
    check_offset_state("told", {"name": "robot"}, scene)  # which is where it was told to be
    with pytest.raises(ConfigError, match="offset_state=told"):
        check_offset_state("told", {"name": "robot"}, Scene(Rail.spec, Rail()))


def test_what_was_told_is_the_last_target_in_a_task_too_whose_own_model_lags() -> None:
    task = make_task("mole", mode="absolute")
    scene = Scene(task.spec, task)
    state, rows = frozen([0.1, 0.2, 0.0, 0.0]), frozen(np.linspace([0.2, 0.3], [0.4, 0.5], 5))
    told, model = (make_rollers({"name": name}, scene).state(state, rows) for name in ("told", "robot"))
    np.testing.assert_array_equal(told[:2], rows[-1])
    assert (np.abs(model[:2] - rows[-1]) > 0.01).all()


def test_what_is_tracked_goes_on_as_fast_as_it_was_seen_and_the_rest_stays() -> None:
    rollers = make_rollers({"name": "scene"}, REAL)
    assert rollers.scene is not None
    rolled = rollers.scene(frozen([0.2, 0.5, 3.0]), frozen([0.0, 0.0]), frozen(np.zeros((10, 2))))
    np.testing.assert_allclose(rolled, [0.2 + 0.5 * 0.02 * 10, 0.5, 3.0])


def test_a_scene_without_rates_is_refused_by_the_names_that_it_has() -> None:
    with pytest.raises(ConfigError, match="of box_x nothing is a rate; name what it is the rate of"):
        going_on(RobotSpec(ACTION, STATE, 50.0, (Dim("box_x"),)))


def test_a_roller_that_rolls_nothing_gives_the_state_as_measured() -> None:
    assert make_rollers({"name": "none"}, REAL).state is still


CARRYING = Scene(
    RobotSpec((*ACTION, Dim("grip", drives="grip")), (*STATE, Dim("grip")), 50.0, (Dim("box_a"), Dim("box_b")))
)
HELD = {"object": ["box_a", "box_b"], "tool": ["a", "b"], "gripper": "grip", "closed": [0.0, 0.5], "within": 0.1}


def test_what_a_real_robot_holds_moves_with_it_by_the_names_of_any_dimensions() -> None:
    rollers = make_rollers({"name": "attached", **HELD}, CARRYING)
    assert rollers.scene is not None
    state, rows = frozen([0.0, 0.3, 0.2]), frozen([[0.4, 0.5, 0.0]] * 10)
    np.testing.assert_array_equal(rollers.state(state, rows), for_spec(CARRYING.spec)(state, rows))
    np.testing.assert_allclose(rollers.scene(frozen([0.02, 0.28]), state, rows), [0.42, 0.38])


def test_what_is_held_follows_the_lags_that_were_identified(tmp_path: Path) -> None:
    lags = tmp_path / "calibration.json"
    found = {"action": "a", "state": "a", "position": "a", "kind": "position", "tau_s": 0.1, "tau_s_ci": [0.1, 0.1]}
    found |= {"delay": 2, "offset": 0.0, "r2": 1.0, "rms": 0.0, "samples": 99}
    lags.write_text(json.dumps({"rate_hz": 50.0, "lags": [found]}))
    rollers = make_rollers({"name": "attached", **HELD, "path": str(lags)}, CARRYING)
    assert rollers.scene is not None
    rows, state = frozen(np.full((2 + 10, 3), 0.05)), frozen([0.0, 0.0, 0.2])
    after = rollers.scene(frozen([0.0, 0.0]), state, rows)
    np.testing.assert_allclose(after, rollers.state(state, rows)[:2])
    assert 0 < after[0] < 0.05


@pytest.mark.parametrize(
    ("kind", "name", "roller", "left"),
    [
        (Kind.VELOCITY, "right_Gripper.pos", "robot", True),
        (Kind.DELTA, "gripper", "identified", True),
        (Kind.DELTA, "gripper", "attached", False),
        (Kind.POSITION, "gripper", "robot", False),
        (Kind.VELOCITY, "wrist", "robot", False),
    ],
)
def test_what_may_be_held_is_left_behind_if_the_robot_has_a_gripper_is_sent_moves_and_nothing_rolls_the_scene(
    kind: Kind, name: str, roller: str, left: bool, tmp_path: Path
) -> None:
    lags = tmp_path / "calibration.json"
    lags.write_text(json.dumps({"rate_hz": 50.0, "lags": []}))
    options = {"identified": {"path": str(lags)}, "attached": {**HELD, "gripper": name}}
    arm, other = (Dim(axis, kind=kind, drives=axis) for axis in "ab"), Dim(name, kind=Kind.DISCRETE, drives=name)
    spec = RobotSpec((*arm, other), (*STATE, Dim(name)), 50.0, (Dim("box_a"), Dim("box_b")))
    assert leaves_behind(Scene(spec), {"name": roller, **options.get(roller, {})}) == left


def test_an_option_of_the_attached_roller_that_is_unknown_is_refused_with_a_near_miss() -> None:
    with pytest.raises(ConfigError, match="no option of the roller 'objct'; did you mean 'object'"):
        make_rollers({"name": "attached", **HELD, "objct": ["a"]}, CARRYING)


def test_an_unknown_roller_is_refused_with_a_near_miss() -> None:
    with pytest.raises(ConfigError, match="there is no roller 'robt'; did you mean 'robot'"):
        make_rollers({"name": "robt"}, REAL)
    assert set(ROLLERS) == {"robot", "scene", "told", "attached", "identified", "none"}


def test_a_roller_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "ours-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nours = a_roller_of_elsewhere:make\n")
    source = "def make(scene, gain=1.0):\n    return lambda state, rows: state + gain * len(rows)\n"
    (tmp_path / "a_roller_of_elsewhere.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    rollers = make_rollers({"name": "ours", "gain": 2.0}, REAL)
    assert rollers.state(frozen([1.0]), frozen(np.zeros((3, 2)))).tolist() == [7.0]
    assert rollers.scene is None


TASK = make_task("mole", mode="absolute")


@every(
    ("roller", "scene"),
    [
        *(({"name": name}, REAL) for name in ("told", "robot", "scene", "attached")),
        ({"name": "told"}, Scene(TASK.spec, TASK)),
        ({"name": "of_another_package"}, REAL),
    ],
)
def test_a_policy_of_told_states_may_have_a_roller_that_gives_them(roller: dict[str, str], scene: Scene) -> None:
    check_offset_state("told", roller, scene)


@pytest.mark.parametrize(
    ("roller", "scene", "words"),
    [
        ({"name": "identified"}, REAL, "roller=identified gives it where the robot will be"),
        ({"name": "attached", "path": "a.json"}, REAL, "roller=attached gives it where the robot will be"),
        ({"name": "none"}, REAL, "roller=none gives it where the robot is"),
        ({"name": "robot"}, Scene(TASK.spec, TASK), "roller=robot gives it where the robot will be"),
    ],
)
def test_a_policy_of_told_states_is_refused_another_roller(roller: dict[str, str], scene: Scene, words: str) -> None:
    with pytest.raises(ConfigError, match=f"{words}; use roller=told"):
        check_offset_state("told", roller, scene)
    check_offset_state("recorded", roller, scene)


def test_a_roller_that_is_made_as_no_function_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollahead.assembly.rollers.load", lambda *given: lambda scene: None)
    with pytest.raises(ConfigError, match=r"roller 'mine' is made as NoneType; give a function \(state, rows\)"):
        make_rollers({"name": "mine"}, REAL)


def test_a_roller_whose_maker_raises_is_named_with_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(scene: Scene) -> None:
        raise RuntimeError("no file")

    monkeypatch.setattr("rollahead.assembly.rollers.load", lambda *given: make)
    with pytest.raises(
        ConfigError, match=r"roller 'mine' raised RuntimeError \(no file\) in test_rollers.py, line \d+"
    ):
        make_rollers({"name": "mine"}, REAL)

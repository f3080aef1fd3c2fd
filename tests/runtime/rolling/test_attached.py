"""What a gripper holds moves with it along the roll, and nothing else does."""

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.rolling.attached import Held, attached
from rollahead.runtime.rolling.roll import FirstOrderLag, StateRoller, for_spec
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec(
    action=(
        Dim("vx", kind=Kind.VELOCITY, drives="x"),
        Dim("vy", kind=Kind.VELOCITY, drives="y"),
        Dim("gripper", drives="gripper"),
    ),
    state=(Dim("gripper"), Dim("x"), Dim("y")),
    rate_hz=10.0,
    environment=(Dim("goal_x"), Dim("obj_y"), Dim("obj_x")),
)
HELD = {"object": ["obj_x", "obj_y"], "tool": ["x", "y"], "gripper": "gripper", "closed": (0.0, 0.04), "within": 0.02}
OPEN, CLOSED = 0.08, 0.0


def rolled(state: list[float], scene: list[float], rows: list[list[float]], **options: object) -> list[float]:
    """The scene after `rows`; state: gripper, x, y; scene: goal_x, obj_y, obj_x."""
    roll = attached(SPEC, for_spec(SPEC), Held(**HELD | options))  # type: ignore[arg-type]
    given = frozen(scene)
    after: FloatArray = roll(given, frozen(state), np.array(rows).reshape(-1, 3))
    assert given.tolist() == scene
    return after.tolist()


def test_an_object_between_closed_jaws_moves_by_as_much_as_the_tool_and_nothing_else_does() -> None:
    after = rolled([CLOSED, 0.5, 0.2], [0.9, 0.21, 0.49], [[1.0, 0.0, CLOSED], [1.0, -2.0, CLOSED]])
    assert after == pytest.approx([0.9, 0.01, 0.69])


@every(
    ("gripper", "off", "carried"),
    [(0.0, 0.0, True), (0.04, 0.019, True), (0.041, 0.0, False), (0.0, 0.021, False), (-0.01, 0.0, False)],
)
def test_it_is_held_within_the_distance_and_the_readings_that_were_named(
    gripper: float, off: float, carried: bool
) -> None:
    after = rolled([gripper, 0.0, 0.0], [0.0, off, 0.0], [[1.0, 0.0, gripper]])
    assert after == pytest.approx([0.0, off, 0.1 if carried else 0.0])


def test_a_gripper_that_closes_on_the_way_takes_the_object_along_from_there() -> None:
    rows = [[1.0, 0.0, OPEN], [0.0, 0.0, CLOSED], [1.0, 0.0, CLOSED], [1.0, 0.0, CLOSED]]
    assert rolled([OPEN, 0.0, 0.0], [0.0, 0.0, 0.1], rows) == pytest.approx([0.0, 0.0, 0.3])


def test_a_gripper_that_opens_on_the_way_leaves_it_there() -> None:
    rows = [[1.0, 0.0, CLOSED], [1.0, 0.0, OPEN], [1.0, 0.0, OPEN], [1.0, 0.0, OPEN]]
    assert rolled([CLOSED, 0.0, 0.0], [0.0, 0.0, 0.0], rows) == pytest.approx([0.0, 0.0, 0.2])


def test_a_gripper_whose_reading_rises_as_it_closes_is_told_by_the_range() -> None:
    after = rolled([0.9, 0.0, 0.0], [0.0, 0.0, 0.0], [[1.0, 0.0, 0.9]], closed=(0.5, 1.0))
    assert after == pytest.approx([0.0, 0.0, 0.1])


def test_where_nothing_was_sent_the_scene_stays_as_it_was_seen() -> None:
    assert rolled([CLOSED, 0.0, 0.0], [0.3, 0.0, 0.0], []) == [0.3, 0.0, 0.0]


def test_it_wants_the_rows_of_before_that_the_robots_model_wants_and_follows_that_model() -> None:
    at = np.array([0, 1], np.intp)
    robot: StateRoller = FirstOrderLag(at, np.array([1, 2], np.intp), tau_s=0.2, period_s=0.1, delay=3)
    roll = attached(SPEC, robot, Held(**HELD))  # type: ignore[arg-type]
    rows = np.random.default_rng(0).uniform(-1, 1, (3 + 7, 3))
    state, scene = frozen([CLOSED, 0.1, 0.2]), frozen([0.0, 0.2, 0.1])
    assert roll.lookback == 3
    moved = robot(state, rows)[1:] - state[1:]
    np.testing.assert_allclose(roll(scene, state, rows), [0.0, 0.2 + moved[1], 0.1 + moved[0]], atol=1e-12)


# --- what cannot be ---


@every(
    ("options", "words"),
    [
        ({"object": ["obj_x"]}, "roller.object names 1 dimension and roller.tool 2; name as many of each"),
        ({"object": [], "tool": []}, "roller.object names 0 dimensions"),
        ({"object": ["obj_x", "obj_x"]}, "roller.object names obj_x twice; name each dimension of the position once"),
        ({"tool": ["y", "y"]}, "roller.tool names y twice; name each dimension of the position once"),
        ({"object": ["box_x", "obj_y"]}, "no environment dimension 'box_x'; did you mean 'obj_x'"),
        ({"tool": ["x", "z"]}, "no state dimension 'z'; Known: gripper, x, y"),
        ({"gripper": "griper"}, "no state dimension 'griper'; did you mean 'gripper'"),
        ({"closed": (0.1, 0.0)}, "roller.closed is from 0.1 to 0.0; give the least and then the largest"),
        ({"within": 0.0}, "roller.within is 0.0; give a positive distance"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_one_sentence(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        rolled([CLOSED, 0.0, 0.0], [0.0, 0.0, 0.0], [], **options)


def test_a_robot_that_sees_no_numbers_of_the_scene_is_refused_with_what_to_do() -> None:
    blind = RobotSpec(SPEC.action, SPEC.state, 10.0)
    with pytest.raises(
        ConfigError, match=r"moves obj_x, obj_y with the tool, .* sees no numbers of the scene; use roller=robot"
    ):
        attached(blind, for_spec(blind), Held(**HELD))  # type: ignore[arg-type]

"""A head on a robot: what it sees, by how much it may amend, and what is planned and remembered then."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollahead.errors import ConfigError
from rollahead.runtime.arrays import FloatArray, frozen
from rollahead.runtime.build import Drive, StrategyConfig, make_executor
from rollahead.runtime.chunk import Chunk
from rollahead.runtime.corrector import Head, HeadCard, HeadCorrector, features, read_head
from rollahead.runtime.delay import DelayEstimator
from rollahead.runtime.inference import Inference
from rollahead.runtime.latency import Fixed
from rollahead.runtime.lockstep import Lockstep
from rollahead.runtime.messages import Observation
from rollahead.runtime.planner import ScriptedPlanner
from rollahead.runtime.robots import Reading
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.spec import Dim, Kind, RobotSpec
from rollahead.runtime.speedup import SpeedUp
from rollahead.runtime.trace import Trace

H = 8
SPEC = RobotSpec(
    action=(
        Dim("v", "", Kind.VELOCITY, -2.0, 2.0),
        Dim("grip", "", Kind.DISCRETE, 0.0, 1.0, threshold=0.5),
        Dim("x", kind=Kind.DELTA),
    ),
    state=(Dim("p"), Dim("q")),
    environment=(Dim("ball"),),
    rate_hz=50.0,
)
CARD = HeadCard(action=("x", "v"), state=("q",), environment=("ball",), horizon=H)  # another order, and not all
SEEN = Reading(frozen([1.0, 2.0]), frozen([30.0]))
CHUNK = Chunk(frozen(np.zeros((H, 3))), 10, 12, 9, 9, 10, 0, 12, environment=frozen([-7.0]))
ROW = frozen([0.5, 1.0, 4.0])


def linear(weights: dict[int, tuple[float, float]], card: HeadCard = CARD) -> Head:
    """A head that says the sum of what it sees, weighted: by the place of the feature, for each of its two actions."""
    matrix = np.zeros((7, 2))
    for at, each in weights.items():
        matrix[at] = each
    return Head(card, [(matrix, np.zeros(2))], np.zeros(7), np.ones(7), np.ones(2))


def amended(head: Head, k: int = 12, seen: Reading = SEEN, most: float = 1.0) -> list[float]:
    return HeadCorrector(head, SPEC, H, most)(ROW, k, CHUNK, seen).tolist()


def test_a_head_sees_the_newest_state_and_scene_its_row_and_the_place_in_the_chunk_in_its_own_order() -> None:
    looked: list[FloatArray] = []
    head = linear({})
    head.residual = lambda seen: looked.append(seen) or np.zeros(2)  # type: ignore[method-assign,func-returns-value]
    assert amended(head, k=12) == ROW.tolist()
    angle = 2 * math.pi * 2 / H
    assert looked[0].tolist() == pytest.approx([2.0, 30.0, 4.0, 0.5, math.sin(angle), math.cos(angle), 2 / H])


def test_one_that_is_not_fresh_sees_the_scene_as_its_chunk_saw_it() -> None:
    weights = {1: (1.0, 0.0)}
    assert amended(linear(weights))[2] == 4.0 + 30.0
    assert amended(linear(weights, replace(CARD, fresh=False)))[2] == 4.0 - 7.0


@pytest.mark.parametrize("most, v", [(1.0, 2.0), (0.5, 1.5), (0.1, 0.7)])
def test_an_action_is_amended_by_no_more_than_a_share_of_half_its_range_and_stays_within_it(
    most: float, v: float
) -> None:
    assert amended(linear({0: (0.0, 100.0)}), most=most)[0] == pytest.approx(v)


def test_what_it_does_not_name_stays_as_it_is() -> None:
    assert amended(linear({0: (1.0, 1.0)}))[1] == ROW[1]


def test_layers_are_rectified_but_for_the_last_and_everything_is_scaled() -> None:
    first = (np.array([[1.0, -1.0]]), np.array([0.5, 0.5]))
    last = (np.array([[1.0], [1.0]]), np.array([-3.0]))
    head = Head(CARD, [first, last], np.array([10.0]), np.array([2.0]), np.array([100.0]))
    for x in (-20.0, 10.0, 14.0):
        scaled = (x - 10.0) / 2.0
        wanted = 100.0 * (max(scaled + 0.5, 0) + max(-scaled + 0.5, 0) - 3.0)
        assert head.residual(np.array([x])).tolist() == pytest.approx([wanted])


def test_places_are_told_apart_over_the_whole_chunk() -> None:
    none = np.zeros((H + 1, 0))
    seen = features(none, none, none, np.arange(H + 1), H)
    assert len({tuple(np.round(row, 9)) for row in seen}) == H + 1  # an angle alone is the same at both ends


# ---- on disk --------------------------------------------------------------------------------------------------------


def test_a_head_that_was_saved_is_the_same_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sizes = ((7, 5), (5, 2))
    layers = [(rng.standard_normal(size), rng.standard_normal(size[1])) for size in sizes]
    head = Head(replace(CARD, lag=2, fresh=False), layers, rng.standard_normal(7), np.full(7, 2.0), np.full(2, 3.0))
    head.save(tmp_path / "head.npz")
    again = read_head(tmp_path / "head.npz")
    seen = rng.standard_normal((20, 7))
    np.testing.assert_array_equal(again.residual(seen), head.residual(seen))
    assert (list(again.card.action), again.card.lag, again.card.fresh) == (["x", "v"], 2, False)


def broken(folder: Path, how: str) -> Path:
    path = folder / "head.npz"
    linear({}).save(path)
    if how == "gone":
        path.unlink()
    elif how == "text":
        path.write_text("no head")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        with np.load(path) as file:
            kept = {name: file[name] for name in file.files if name != how}
        np.savez(path, **kept)
    return path


@pytest.mark.parametrize("how", ["gone", "text", "cut", "card", "layer0_w", "layer0_b", "gain"])
def test_a_file_that_is_no_head_is_refused_by_its_path_with_what_to_do(how: str, tmp_path: Path) -> None:
    path = broken(tmp_path, how)
    with pytest.raises(ConfigError) as caught:
        read_head(path)
    assert str(path) in str(caught.value)
    assert "rollahead train policy=a2c2" in str(caught.value)
    assert "\n" not in str(caught.value)


REFUSED: dict[str, tuple[HeadCard, int, float, str]] = {
    "another horizon": (CARD, 9, 1.0, "trained on chunks of 8 rows, and these have 9"),
    "an action": (replace(CARD, action=("y", "v")), H, 1.0, "there is no action 'y'"),
    "a state": (replace(CARD, state=("r",)), H, 1.0, "there is no state 'r'"),
    "a scene": (replace(CARD, environment=("bal",)), H, 1.0, "there is no environment 'bal'; did you mean 'ball'"),
    "no amendment": (CARD, H, 0.0, "strategy.most is 0.0; give more than 0, and at most 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_head_of_another_robot_is_refused(name: str) -> None:
    card, horizon, most, words = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        HeadCorrector(linear({}, card), SPEC, horizon, most)
    assert words in str(caught.value)


# ---- in the executor ------------------------------------------------------------------------------------------------

AXIS = RobotSpec((Dim("x", "", Kind.POSITION, -100.0, 100.0, drives="x"),), (Dim("x"),), 50.0)


def driven(corrector: str | None) -> tuple[Trace, LoopbackRobot, list[list[float]]]:
    """Ten ticks of rows of 4, corrected by half the state; and what was planned ahead at each request."""
    planned: list[list[float]] = []

    def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
        return np.full((H, 1), 4.0)

    robot, trace = LoopbackRobot(AXIS), Trace(AXIS, 50)
    drive = Drive(StrategyConfig("vlash", s=2, d=1, corrector=corrector), H)
    executor = make_executor(drive, robot, DelayEstimator(fixed=1), trace)
    inference = Inference(ScriptedPlanner(plan), SpeedUp(AXIS, 1), horizon=H, action_dim=1)

    def noted(request: Any, newest: Any, timer: Any) -> Any:
        planned.append(request.asked.planned[: request.asked.covered, 0].tolist())
        return inference(request, newest, timer)

    Lockstep(executor, noted, Fixed(1), lambda: None).run(0, 10)  # type: ignore[arg-type]
    return trace, robot, planned


def test_each_row_is_amended_by_what_is_seen_in_its_tick_and_what_is_planned_is_not(tmp_path: Path) -> None:
    card = HeadCard(action=("x",), state=("x",), environment=(), horizon=H)
    matrix = np.zeros((5, 1))
    matrix[0] = 0.5
    Head(card, [(matrix, np.zeros(1))], np.zeros(5), np.ones(5), np.ones(1)).save(tmp_path / "head.npz")
    trace, robot, planned = driven(str(tmp_path / "head.npz"))
    sent = [float(row[0]) for row in robot.sent]
    first = next(i for i, value in enumerate(sent) if value)
    for before, now in zip(sent[first:], sent[first + 1 :], strict=False):
        assert now == pytest.approx(4.0 + 0.5 * before)  # the robot is where it was told to be
    np.testing.assert_array_equal(trace.ticks["action"][:, 0], sent)  # history has what was sent
    assert {value for rows in planned for value in rows} == {4.0}
    assert {float(row[0]) for row in driven(None)[1].sent} <= {0.0, 4.0}


def test_a_speed_up_is_refused_beside_it() -> None:
    drive = Drive(StrategyConfig("vlash", q=2, corrector="head.npz"), H)
    with pytest.raises(ConfigError, match="correction does not go with speed-up"):
        make_executor(drive, LoopbackRobot(AXIS), DelayEstimator(), Trace(AXIS, 5))

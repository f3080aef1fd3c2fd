from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError, ControlError, InferenceError, RobotError
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, ResultFlags, Snapshot, StageTimes
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec((Dim("x", drives="x"), Dim("dx", kind=Kind.DELTA)), (Dim("x"),), rate_hz=50.0)
ASKED = Snapshot(17, (Observation(17, frozen([0.0])),), frozen(np.empty((0, 2))), frozen(np.zeros((6, 2))), 0, 0)
REQUEST = Request(ASKED, 17, 17, None, 0)


def infer(rows: FloatArray | Callable[[], FloatArray], *, horizon: int = 6, q: int = 1) -> Result:
    def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
        return rows() if callable(rows) else rows

    return Inference(ScriptedPlanner(plan), SpeedUp(SPEC, q), horizon=horizon, action_dim=2)(REQUEST, lambda: ASKED)


def raising(error: Exception) -> Callable[[], FloatArray]:
    def plan() -> FloatArray:
        raise error

    return plan


def sentence(error: BaseException) -> str:
    message = str(error)
    assert message.count(". ") == message.count("\n") == 0
    return message


def test_good_rows_go_through_to_the_bit_and_cannot_be_written() -> None:
    rows = np.random.default_rng(0).standard_normal((6, 2))
    result = infer(rows)
    np.testing.assert_array_equal(result.rows, rows)
    assert not result.rows.flags.writeable
    assert result.request is REQUEST


@every(("q", "horizon"), list(product(range(1, 5), range(4, 9))))
def test_rows_are_sped_up_once(q: int, horizon: int) -> None:
    rows = np.arange(2.0 * horizon).reshape(horizon, 2)
    np.testing.assert_array_equal(infer(rows, horizon=horizon, q=q).rows, SpeedUp(SPEC, q)(rows))


@pytest.mark.parametrize("shape", [(5, 2), (7, 2), (6, 1), (6, 3), (2, 6), (6,), (12,), (1, 6, 2), (0, 2), ()], ids=str)
@pytest.mark.parametrize("q", [1, 2])
def test_rows_of_another_shape_are_refused_with_both_shapes_and_the_tick(shape: tuple[int, ...], q: int) -> None:
    with pytest.raises(InferenceError) as caught:
        infer(np.zeros(shape), q=q)
    message = sentence(caught.value)
    assert f"rows of shape {shape} at the request of tick 17" in message
    assert "needs (6, 2) (horizon, action); fix the planner" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_refused_wherever_it_is_with_its_row_and_the_tick(value: float) -> None:
    for h, a in product(range(6), range(2)):
        rows = np.zeros((6, 2))
        rows[h, a] = value
        rows[5, 1] = value
        with pytest.raises(InferenceError) as caught:
            infer(rows)
        message = sentence(caught.value)
        assert f"NaN or infinity, first in row {h} of 6, at the request of tick 17" in message
        assert "look at the planner's input" in message


class Featuring:
    """A planner whose results have `values` as policy features."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def infer(self, request: Request, *_: Any) -> Result:
        rows = frozen(np.zeros((6, 2)))
        return Result(request, rows, 17, frozen([0.0]), 0.0, policy_features=self._values)


def featured(values: Any, features: int) -> Result:
    inference = Inference(Featuring(values), SpeedUp(SPEC, 1), horizon=6, action_dim=2, features=features)
    return inference(REQUEST, lambda: ASKED)


def test_policy_features_are_kept_where_a_corrector_takes_them_and_left_out_where_none_does() -> None:
    assert featured([1.0, 2.0], 2).policy_features.tolist() == [1.0, 2.0]
    assert not featured([1.0, 2.0], 2).policy_features.flags.writeable
    assert featured([1.0, 2.0], 0).policy_features.tolist() == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], r"policy features with shape \(0,\) at the request of tick 17.*give the 2 numbers that the corrector"),
        ([1.0, 2.0, 3.0], r"policy features with shape \(3,\) at"),
        ([1.0, np.nan], "policy features with NaN or infinity at"),
        (None, "policy features"),
    ],
)
def test_policy_features_that_a_corrector_could_not_take_are_refused(values: Any, words: str) -> None:
    with pytest.raises(InferenceError, match=words):
        featured(values, 2)


@every("row", range(6))
def test_a_nan_that_speed_up_would_drop_is_refused_too(row: int) -> None:
    rows = np.zeros((6, 2))
    rows[row, 0] = np.nan
    with pytest.raises(InferenceError, match=f"row {row} of 6"):
        infer(rows, q=4)


@pytest.mark.parametrize("given", [False, np.zeros((6, 2)), [[0.0, 0.0]] * 6], ids=lambda given: type(given).__name__)
def test_a_planner_that_gives_no_result_is_refused_with_what_it_gave_and_the_tick(given: object) -> None:
    class Planner:
        def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Any = None) -> Result:
            return given  # type: ignore[return-value]

    with pytest.raises(InferenceError) as caught:
        Inference(Planner(), SpeedUp(SPEC, 1), horizon=6, action_dim=2)(REQUEST, lambda: ASKED)
    message = sentence(caught.value)
    assert f"gave {type(given).__name__} at the request of tick 17; it must give a Result" in message


@pytest.mark.parametrize("features", [0, 3])
def test_no_answer_is_a_result_without_rows_calls_and_cost(features: int) -> None:
    class Planner:
        def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Any = None) -> None:
            return None

    inference = Inference(Planner(), SpeedUp(SPEC, 2), horizon=6, action_dim=2, features=features)
    result = inference(REQUEST, lambda: ASKED)
    assert result.made == ResultFlags.NO_ANSWER
    assert result.request is REQUEST
    assert (result.rows.shape, result.calls, result.steps, result.cost) == ((0, 2), 0, 0, 0.0)
    assert len(result.policy_features) == features


class Staged:
    """A planner that reports `stages`."""

    def __init__(self, stages: Any) -> None:
        self._stages = stages

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Any = None) -> Result:
        return Result(request, frozen(np.zeros((6, 2))), 17, frozen([0.0]), 0.0, stages=self._stages)


def test_stage_times_of_the_planner_are_kept_and_the_whole_is_added() -> None:
    inference = Inference(Staged(StageTimes(encode_ns=5, denoise_ns=7)), SpeedUp(SPEC, 1), horizon=6, action_dim=2)
    stages = inference(REQUEST, lambda: ASKED).stages
    assert (stages.encode_ns, stages.bind_ns, stages.denoise_ns, stages.post_ns) == (5, 0, 7, 0)
    assert stages.infer_ns > 0
    assert stages.publish_ns > 0


@pytest.mark.parametrize(
    ("stages", "said"),
    [((1, 2), "stages of tuple"), (StageTimes(bind_ns=-3), "bind_ns -3"), (None, "stages of NoneType")],
)
def test_stage_times_of_another_kind_are_refused(stages: Any, said: str) -> None:
    with pytest.raises(InferenceError) as caught:
        Inference(Staged(stages), SpeedUp(SPEC, 1), horizon=6, action_dim=2)(REQUEST, lambda: ASKED)
    assert said in sentence(caught.value)


@pytest.mark.parametrize("error", [ValueError("no such token"), ZeroDivisionError("division by zero"), KeyError("top")])
def test_a_planner_that_raises_is_told_in_one_sentence_with_the_tick_and_the_cause(error: Exception) -> None:
    with pytest.raises(InferenceError) as caught:
        infer(raising(error))
    message = sentence(caught.value)
    assert message.startswith(f"the planner raised {type(error).__name__} ({error}) at the request of tick 17; ")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [InferenceError("spent"), ConfigError("no head"), RobotError("gone")])
def test_an_error_that_is_ours_already_is_not_wrapped_again(error: ControlError) -> None:
    with pytest.raises(type(error)) as caught:
        infer(raising(error))
    assert caught.value is error


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_being_told_to_stop_is_no_error_of_the_planner(stop: type[BaseException]) -> None:
    with pytest.raises(stop):
        infer(raising(stop()))  # type: ignore[arg-type]


class Given:
    """A planner whose results are as they should be but for what is given."""

    def __init__(self, **given: Any) -> None:
        self.given = given

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Any = None) -> Result:
        return replace(Result(request, frozen(np.zeros((6, 2))), 17, frozen([0.0]), 1.5, 2, 3, 1), **self.given)


def given(**given: Any) -> Result:
    return Inference(Given(**given), SpeedUp(SPEC, 1), horizon=6, action_dim=2)(REQUEST, lambda: ASKED)


NAN, INF = float("nan"), float("inf")
WRONG: list[tuple[dict[str, Any], str]] = [
    *(({"cost": cost}, f"cost {cost!r}") for cost in (NAN, INF, -INF, -999.0, "3", None)),
    *(({name: 1.0}, f"{name} 1.0") for name in ("state_tick", "calls", "steps", "made")),
    *(({name: -1}, f"{name} -1") for name in ("calls", "steps", "made")),
    *(({name: 2**63}, f"{name} {2**63}") for name in ("state_tick", "calls", "steps", "made")),
    ({"state_tick": NAN}, "state_tick nan"),
    ({"anchor": frozen([0.0, 0.0])}, "an anchor with shape (2,)"),
    ({"anchor": frozen([NAN])}, "an anchor with NaN or infinity"),
    ({"anchor": None}, "an anchor with "),
    ({"anchor": "home"}, "an anchor of str"),
    ({"rows": [["a", "b"]] * 6}, "rows of list"),
    ({"request": replace(REQUEST)}, "the answer to another request"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
def test_whatever_a_result_says_that_cannot_be_is_refused_in_words_that_blame_the_planner(
    wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(InferenceError) as caught:
        given(**wrong)
    message = sentence(caught.value)
    assert message.startswith(f"the planner gave {words}")
    assert "at the request of tick 17, and nothing of it was sent; it must " in message


def test_the_numbers_of_numpy_are_numbers_too() -> None:
    made = given(cost=np.float32(0.5), state_tick=np.int64(16), calls=np.int32(4))
    assert (made.cost, made.state_tick, made.calls) == (0.5, 16, 4)
    assert {type(made.cost), type(made.state_tick), type(made.calls)} == {float, int}


def test_a_planner_that_writes_to_its_arrays_again_changes_no_result() -> None:
    rows, anchor = np.ones((6, 2)), np.ones(1)
    views = rows[:], anchor[:]
    for view in views:
        view.flags.writeable = False
    made = given(rows=views[0], anchor=views[1])
    rows[:] = anchor[:] = 9.0
    assert made.rows.max() == made.anchor.max() == 1.0

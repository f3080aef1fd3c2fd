"""What `eval` and `train` refuse of a task before they play it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faulty import CALLED, SEEN_BEFORE, UNMADE, Endless, NoEvent, NoRoller, NumpyTold, Rail, Unseeded, WideRoller, maker
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, check_all, evaluate, evaluate_all, summarise
from rollahead.evaluation.journal import JournalFile
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.rolling.roll import Rollers, for_spec
from rollahead.runtime.types.arrays import FloatArray
from rollahead.sim.demonstrations import record
from rollahead.sim.task import make_task
from rollahead.sim.task_check import check_rollers, check_task, play, standing


def cell(**changes: Any) -> Cell:
    planner = {"name": "scripted", "horizon": 16}
    return Cell({"name": "rail"}, StrategyConfig("vlash", s=4), {"name": "fixed", "ticks": 2}, planner, **changes)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers a class as `rail`."""
    return lambda make: monkeypatch.setattr("rollahead.sim.task.load_task", lambda name: make)


def test_a_sound_task_is_evaluated_and_recorded(found: Any) -> None:
    found(Rail)
    assert summarise(evaluate(cell(episodes=2)))["success"] == 100.0
    assert len(list(record({"name": "rail"}, 2, 20, 0))) == 2


@pytest.mark.parametrize("fault", SEEN_BEFORE)
def test_a_faulty_task_is_one_sentence_before_it_is_evaluated(fault: str, found: Any) -> None:
    found(maker(fault))
    with pytest.raises(ConfigError) as caught:
        evaluate(cell(episodes=2))
    said = str(caught.value)
    assert said.startswith("task 'rail': ") and SEEN_BEFORE[fault][2] in said
    assert said.endswith("; rollahead doctor task=rail tries the rest of it") and "\n" not in said


@pytest.mark.parametrize("fault", SEEN_BEFORE)
def test_a_faulty_task_is_one_sentence_before_it_is_recorded(fault: str, found: Any) -> None:
    found(maker(fault))
    with pytest.raises(ConfigError) as caught:
        record({"name": "rail"}, 2, 20, 0)
    assert str(caught.value).startswith("task 'rail': ") and SEEN_BEFORE[fault][2] in str(caught.value)


@pytest.mark.parametrize("fault", CALLED)
def test_an_expert_or_roller_that_is_no_function_is_one_sentence_before_it_is_evaluated(fault: str, found: Any) -> None:
    found(maker(fault))
    with pytest.raises(ConfigError) as caught:
        evaluate(cell(episodes=2))
    assert CALLED[fault][2] in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", UNMADE)
def test_a_task_that_cannot_be_made_or_has_no_spec_is_one_sentence(fault: str, found: Any) -> None:
    make, words = UNMADE[fault]
    found(make)
    for ask in (lambda: evaluate(cell(episodes=2)), lambda: record({"name": "rail"}, 2, 20, 0)):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert str(caught.value).startswith(words) and "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [NoRoller, WideRoller])
def test_a_roller_that_is_not_used_is_not_called(make: Any, found: Any) -> None:
    found(make)
    assert len(evaluate(cell(episodes=1, roller={"name": "told"}))) == 1
    assert len(list(record({"name": "rail"}, 1, 20, 0))) == 1


def test_numbers_are_said_as_python_writes_them(found: Any) -> None:
    found(Unseeded)
    with pytest.raises(ConfigError, match=r"seed 0 gave x \S+ in tick 0 at first and \S+ the second time") as caught:
        evaluate(cell(episodes=2))
    assert "np." not in str(caught.value)


def test_without_an_event_no_reaction_is_measured_but_success_is(found: Any) -> None:
    found(NoEvent)
    with pytest.raises(ConfigError, match=r"no event is seen: .*, or evaluate with reactions=false"):
        evaluate(cell(episodes=2))
    assert summarise(evaluate(cell(episodes=2, reactions=False)))["reaction_s"] is None


def test_a_policy_is_not_refused_for_what_the_expert_does() -> None:
    with pytest.raises(ConfigError, match="of dx in tick 6"):
        check_task(maker("out of range")(), "rail", 0)
    check_task(maker("out of range")(), "rail", 0, expert=False)
    check_task(maker("wide rows")(), "rail", 0, expert=False)


def test_an_episode_is_played_for_max_ticks_at_most_and_a_robot_can_stand_still() -> None:
    assert (play(Endless(), 0).ticks, play(Endless(), 0).done) == (24, False)
    assert (play(Rail(), 0, standing).actions == 0).all() and not play(Rail(), 0, standing).success
    assert math.isclose(play(Rail(), 0).states[-1, 0], play(Rail(), 0).environments[-1, 0])


class TaughtWrong(Rail):
    def scatter(self, seed: int) -> None:
        self.reset(seed)

    def demonstrator(self) -> Any:
        return lambda seen, rng: [[0.0, 0.0]]


def test_a_demonstrator_of_another_size_is_one_sentence_before_it_is_recorded(found: Any) -> None:
    found(TaughtWrong)
    with pytest.raises(ConfigError, match=r"the demonstrator gives rows of shape \(1, 2\) .* give \(1, 1\)"):
        record({"name": "rail"}, 2, 20, 0)


def test_a_task_that_tells_numpys_numbers_is_evaluated_into_a_journal(found: Any, tmp_path: Path) -> None:
    found(NumpyTold)
    one = cell(episodes=2)
    with JournalFile(tmp_path / "journal", make_task("rail")) as journal:
        (episodes,) = evaluate_all([one], journal=journal)
    assert [type(episode.success) for episode in episodes] == [bool, bool]
    assert [type(episode.event_tick) for episode in episodes] == [int, int]


# ---- rollers ---------------------------------------------------------------------------------------------------------


class Noting:
    """A roller that needs two rows from before, and notes what it is given."""

    lookback = 2

    def __init__(self) -> None:
        self.given: list[tuple[FloatArray, FloatArray]] = []

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        self.given.append((state, rows))
        return state


def test_a_roller_is_given_a_state_of_the_episode_and_the_rows_around_it_read_only() -> None:
    task, roller = Rail(), Noting()
    played = check_task(task, "rail", 0)
    check_rollers(Rollers(roller), "noting", task, played)
    ((state, rows),) = roller.given
    assert state.tolist() == played.states[2].tolist()
    assert rows.tolist() == played.actions[:3].tolist()
    assert not state.flags.writeable and not rows.flags.writeable


def shape(*given: FloatArray) -> FloatArray:
    return np.zeros(2)


def silent(*given: FloatArray) -> FloatArray:
    return None  # type: ignore[return-value]


def raising(*given: FloatArray) -> FloatArray:
    raise RuntimeError("no model")


def in_place(*given: FloatArray) -> FloatArray:
    given[0][0] += 1.0
    return given[0]


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (shape, r"gives shape \(2,\) for (x|goal); give \(1,\), as seen after the rows"),
        (silent, "gives None, and no array of real numbers; give one"),
        (raising, r"raised RuntimeError \(no model\) in test_task_check.py, line \d+; fix it there"),
        (in_place, r"raised ValueError \(.*read-only\) in test_task_check.py, line \d+; fix it there"),
    ],
)
def test_a_faulty_roller_is_named_and_not_the_task(faulty: Any, words: str) -> None:
    task = Rail()
    played = check_task(task, "rail", 0)
    with pytest.raises(ConfigError, match=rf"^roller 'mine': the roller {words}"):
        check_rollers(Rollers(faulty), "mine", task, played)
    with pytest.raises(ConfigError, match=rf"^roller 'mine': the scene roller {words}"):
        check_rollers(Rollers(for_spec(task.spec), faulty), "mine", task, played)


def test_a_roller_of_a_librarys_is_named_and_no_line_of_the_library() -> None:
    task = Rail()
    with pytest.raises(ConfigError, match=r"^roller 'mine': the roller raised LinAlgError \(.*\); see solve"):
        check_rollers(Rollers(np.linalg.solve), "mine", task, check_task(task, "rail", 0))


def test_each_roller_of_several_cells_is_tried(found: Any) -> None:
    found(WideRoller)
    with pytest.raises(ConfigError, match=r"roller 'robot': the roller gives shape \(2,\)"):
        check_all([cell(episodes=1, roller={"name": "told"}), cell(episodes=1, roller={"name": "robot"})])

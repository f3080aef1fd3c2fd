"""What `eval` and `train` refuse of a task before they play it."""

import math
from typing import Any

import pytest

from faulty import CALLED, SEEN_BEFORE, UNMADE, Endless, NoEvent, NoRoller, Rail, Unseeded, WideRoller, maker
from rollahead.errors import ConfigError
from rollahead.runtime.build import StrategyConfig
from rollahead.sim.demonstrations import record
from rollahead.sim.evaluation import Cell, evaluate, summarise
from rollahead.sim.task_check import check_task, play, standing


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

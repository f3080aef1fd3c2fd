from typing import Any

import pytest

from every import every
from faulty import FAULTS, UNMADE, NoRoller, Rail, Writing
from rollahead.errors import ConfigError
from rollahead.evaluation import task_trials
from rollahead.evaluation.task_trials import TRIALS, Finding, try_task


def tried(monkeypatch: pytest.MonkeyPatch, make: Any, episodes: int = 3) -> dict[str, Finding]:
    monkeypatch.setattr("rollahead.sim.task.load_task", lambda name: make)
    return {finding.what: finding for finding in try_task({"name": "rail"}, episodes=episodes)}


def test_a_task_that_does_what_it_must_passes_all_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, Rail)
    assert list(found) == list(TRIALS)
    assert all(finding.ok for finding in found.values()), found
    assert found["expert"].says == "solves 3 of 3 episodes, asked in every tick"
    assert found["roller"].says == "8 ticks ahead off by 0.0 % of what the state moves"
    assert found["event"].says == "is seen at tick 6, and not without it"


@every("name", ["mole", "interception", "belt"])
@every("mode", ["velocity", "absolute"])
def test_our_own_tasks_pass_all_trials(name: str, mode: str) -> None:
    found = list(try_task({"name": name, "mode": mode}, episodes=3))
    assert len(found) == len(TRIALS) and all(finding.ok for finding in found), found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_its_trial_and_said_in_one_sentence(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, trial, words = FAULTS[fault]
    found = tried(monkeypatch, make)
    assert found[trial].ok is False
    assert words in found[trial].says and "\n" not in found[trial].says
    for finding in found.values():
        assert finding.ok is not True or list(found).index(finding.what) != list(found).index(trial)


def test_where_sizes_are_wrong_nothing_else_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, FAULTS["wide state"][0])
    assert [finding.ok for finding in found.values()] == [False] + [None] * (len(TRIALS) - 1)


@pytest.mark.parametrize("fault", UNMADE)
def test_a_task_that_cannot_be_made_is_refused_in_one_sentence(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, words = UNMADE[fault]
    with pytest.raises(ConfigError) as caught:
        tried(monkeypatch, make)
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)


class OnlyOnce(Rail):
    made = 0

    def __init__(self) -> None:
        OnlyOnce.made += 1
        if OnlyOnce.made > 1:
            raise OSError("the port is taken")
        super().__init__()


def test_a_task_that_cannot_be_made_a_second_time_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, OnlyOnce)
    assert "cannot be made a second time: task 'rail' raised OSError (the port is taken)" in found["reset"].says


def test_a_roller_is_blamed_in_its_own_trial_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, NoRoller)
    assert [what for what, finding in found.items() if not finding.ok] == ["roller"]


def test_an_action_that_is_written_to_is_found_before_the_guard_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, Writing)
    assert found["sizes"].ok is False and found["guard"].ok is None


def test_one_action_is_in_the_singular(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(monkeypatch, Rail)["expert's actions"].says == "keeps within the ranges of 1 action"


@pytest.mark.parametrize(("episodes", "seed"), [(0, 0), (3, -1)])
def test_no_episodes_are_refused_with_both_numbers(episodes: int, seed: int) -> None:
    with pytest.raises(ConfigError, match=f"episodes is {episodes} and seed {seed}; give at least 1, and 0 or more"):
        list(try_task({"name": "mole"}, episodes=episodes, seed=seed))


def test_an_unknown_task_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(ConfigError, match="no task 'moel'; did you mean 'mole'"):
        list(task_trials.try_task({"name": "moel"}))

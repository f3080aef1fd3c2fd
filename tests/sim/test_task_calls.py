"""What is said of methods of a task that cannot be called, or give no function."""

from typing import Any

import pytest

from every import every
from faulty import NoEventArgument, NoExpert, NoRoller, Rail
from rollahead.errors import ConfigError
from rollahead.sim.task_calls import check_takes, demonstrator_of, expert_of, robot_roller_of, scene_roller_of


class Odd(Rail):
    expert = None  # type: ignore[assignment]

    def roller(self, state: Any) -> Any:  # type: ignore[override]
        return state

    def demonstrator(self) -> Any:
        return [[0.0]]

    def scene_roller(self) -> Any:
        raise KeyError("goal")

    def scatter(self, seed: int) -> None: ...


def test_what_can_be_called_and_gives_functions_is_passed_on() -> None:
    check_takes(Rail(), "reset", ["seed"], ["event"])
    assert callable(expert_of(Rail(), 4)) and callable(robot_roller_of(Rail()))


REFUSED: dict[str, tuple[Any, str]] = {
    "no expert": (
        lambda: expert_of(NoExpert(), 4),
        "NoExpert.expert(4) gives NoneType; give a function (seen, rng) ->",
    ),
    "no roller": (lambda: robot_roller_of(NoRoller()), "NoRoller.roller() gives NoneType; give a function (state, row"),
    "no method": (lambda: expert_of(Odd(), 4), "Odd has no method expert(horizon); add it (docs/tasks.md)"),
    "wants more": (
        lambda: robot_roller_of(Odd()),
        "Odd.roller(state) cannot be called as roller(): missing a required argument: 'state'; let it take these",
    ),
    "takes less": (
        lambda: check_takes(NoEventArgument(), "reset", ["seed"], ["event"]),
        "NoEventArgument.reset(seed) cannot be called as reset(seed, event=...): got an unexpected keyword argument",
    ),
    "rows": (lambda: demonstrator_of(Odd()), "Odd.demonstrator() gives list; give a function (seen, rng) -> rows"),
    "raises": (lambda: scene_roller_of(Odd()), "Odd.scene_roller() raised KeyError ('goal') in test_task_calls.py, li"),
}


@every("name", REFUSED)
def test_each_is_refused_in_a_sentence_that_names_class_and_method(name: str) -> None:
    ask, words = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        ask()
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)

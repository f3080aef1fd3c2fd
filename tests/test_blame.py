"""Whom an exception is put down to."""

from collections.abc import Callable

import numpy as np
import pytest
import yaml

from faulty import Rail
from rollahead.blame import blamed
from rollahead.errors import ConfigError, RobotError
from rollahead.runtime.types.arrays import frozen
from rollahead.sim.mole import WhackAMole
from rollahead.sim.task_check import play


class Tasks:
    def raises(self) -> None:
        raise ValueError("two\nlines")

    def asks_numpy(self) -> None:
        np.linalg.inv(np.zeros((2, 3)))

    def asks_a_third_package(self) -> None:
        yaml.safe_load("[")

    def asks_us(self) -> None:
        frozen(["a"])  # type: ignore[list-item]


def said(run: Callable[[], object], owner: object) -> str:
    with pytest.raises(ConfigError) as caught:
        fails(run, owner)
    return str(caught.value)


def fails(run: Callable[[], object], owner: object) -> None:
    with blamed("it", owner):
        run()


def line(method: Callable[[], None]) -> int:
    return method.__code__.co_firstlineno + 1  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("name", ["raises", "asks_numpy", "asks_a_third_package", "asks_us"])
def test_the_line_is_one_of_the_task_whoever_raised(name: str) -> None:
    task = Tasks()
    method = getattr(task, name)
    assert said(method, task).endswith(f" in test_blame.py, line {line(method)}; fix it there")


def test_an_exception_of_several_lines_is_one_sentence() -> None:
    assert said(Tasks().raises, Tasks()).startswith("it raised ValueError (two lines) in ")


def test_an_error_of_ours_is_passed_on_as_it_is() -> None:
    error = RobotError("no answer")
    with pytest.raises(RobotError) as caught, blamed("it", Tasks()):
        raise error
    assert caught.value is error


def test_where_no_line_is_the_tasks_its_class_and_method_are_named_and_none_of_ours() -> None:
    task = WhackAMole()
    task._gantry = None  # type: ignore[assignment]
    with pytest.raises(ConfigError, match=r" in WhackAMole\.reset$"):
        play(task, 0)


def test_where_no_method_raised_the_class_is_named() -> None:
    class Ambiguous(Rail):
        done = np.zeros(2)  # type: ignore[assignment]

    with pytest.raises(ConfigError, match=r"its episode of seed 0 raised ValueError \(.*\); see Ambiguous$"):
        play(Ambiguous(), 0)

import io
import re

import pytest
from rich.console import Console

from rollahead.commands.progress import steps


def shown(*, terminal: bool, done: int = 0) -> str:
    """What a hundred steps print, with a look after them."""
    file = io.StringIO()
    with steps(Console(file=file, force_terminal=terminal, width=80), done, 400) as progress:
        for step in range(done + 1, done + 101):
            progress.at(step)
        progress.say("all is well")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_a_log_has_a_line_per_look_and_nothing_else() -> None:
    assert re.fullmatch(r"step 100 of 400: all is well(, 0:00:\d\d left)?\n", shown(terminal=False))


def test_a_terminal_has_the_bar_with_the_time_left_below_the_lines() -> None:
    text = shown(terminal=True)
    assert "step 100 of 400: all is well\n" in text
    assert re.search(r"training .* 25% (0:00:\d\d|-:--:--)", text)


@pytest.mark.parametrize("terminal", [False, True])
def test_what_was_done_before_is_counted(terminal: bool) -> None:
    assert "step 300 of 400: all is well" in shown(terminal=terminal, done=200)


class Clock:
    """A clock that is set by hand."""

    s = 1000.0

    def __call__(self) -> float:
        return self.s


def logged(last: int, step_s: float, looks: tuple[int, ...] = ()) -> list[str]:
    """Lines in a log of a training whose steps take so long."""
    file, clock = io.StringIO(), Clock()
    with steps(Console(file=file, width=80), 0, last, clock) as progress:
        for step in range(1, last + 1):
            clock.s += step_s
            progress.at(step, 0.25)
            if step in looks:
                progress.say("all is well")
    return file.getvalue().splitlines()


def test_a_log_has_a_line_after_half_a_minute_and_then_one_a_minute_with_the_loss_and_the_time_left() -> None:
    assert logged(200, 1.0) == [
        "step  30 of 200: loss 0.25, 0:02:50 left",
        "step  90 of 200: loss 0.25, 0:01:50 left",
        "step 150 of 200: loss 0.25, 0:00:50 left",
    ]


def test_a_look_is_a_line_and_the_next_one_comes_a_minute_later() -> None:
    assert logged(120, 1.0, looks=(20, 50, 120)) == [
        "step  20 of 120: all is well, 0:01:40 left",
        "step  50 of 120: all is well, 0:01:10 left",
        "step 110 of 120: loss 0.25, 0:00:10 left",
        "step 120 of 120: all is well",
    ]


def test_a_step_longer_than_a_minute_has_a_line_each_from_the_first_on() -> None:
    assert logged(3, 100.0) == ["step 1 of 3: loss 0.25, 0:03:20 left", "step 2 of 3: loss 0.25, 0:01:40 left"]


def test_a_terminal_has_the_time_left_after_one_step_and_no_lines_by_time() -> None:
    file, clock = io.StringIO(), Clock()
    with steps(Console(file=file, force_terminal=True, width=80), 5, 10, clock) as progress:
        clock.s += 90
        progress.at(6, 0.25)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert re.search(r"training .* 60% 0:06:00", text)
    assert "step 6" not in text

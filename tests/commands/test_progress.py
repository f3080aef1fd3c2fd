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

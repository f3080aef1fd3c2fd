"""What a command says while it loads: on a terminal, in a log, and not at all where it is quick."""

import io
import sys
import threading
from collections.abc import Callable

import pytest

from rollahead.commands import stages
from rollahead.commands.stages import begin, stage


class Terminal(io.StringIO):
    """stderr, which is, or is not, a terminal. said: set once something was written."""

    def __init__(self, is_one: bool) -> None:
        super().__init__()
        self._is_one = is_one
        self.wrote = threading.Semaphore(0)

    def isatty(self) -> bool:
        return self._is_one

    def write(self, text: str) -> int:
        written = super().write(text)
        self.wrote.release()
        return written


Show = Callable[[bool], Terminal]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Makes stderr; stages are shown at once, and a dot follows at once."""

    def make(is_one: bool) -> Terminal:
        monkeypatch.setattr(sys, "stderr", made := Terminal(is_one))
        for name in ("QUIET_S", "LEAST_S", "LEAST_IN_A_LOG_S", "DOT_S"):
            monkeypatch.setattr(stages, name, 0.001)
        begin()
        return made

    return make


def test_on_a_terminal_a_stage_is_one_line_with_dots_how_far_it_is_and_how_long_it_took(show: Show) -> None:
    shown = show(True)
    with stage("warming up") as at:
        assert shown.wrote.acquire(timeout=60)
        assert shown.wrote.acquire(timeout=60)
        at("2 of 5")
    words = shown.getvalue()
    assert words.startswith("warming up ..")
    assert " 2 of 5 ." in words
    assert words.endswith(" 0.0 s\n")
    assert words.count("\n") == 1


def test_off_a_terminal_a_stage_is_a_line_at_its_beginning_and_one_at_its_end(show: Show) -> None:
    shown = show(False)
    with stage("loading the policy") as at:
        assert shown.wrote.acquire(timeout=60)
        at("2 of 5")
    assert shown.getvalue() == "loading the policy ...\nloading the policy: 0.0 s\n"


def test_nothing_is_written_after_a_stage_is_over(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(True)
    writing, over = threading.Event(), threading.Event()
    first = shown.write

    def slow(text: str) -> int:
        if threading.current_thread().name == "rollahead stage":
            writing.set()
            over.wait(0.2)  # meanwhile the stage ends
        return first(text)

    monkeypatch.setattr(shown, "write", slow)
    with stage("warming up"):
        assert writing.wait(60)
    assert shown.getvalue().startswith("warming up .")
    assert shown.getvalue().endswith(" s\n")


def test_a_stage_that_is_quick_says_nothing(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(True)
    monkeypatch.setattr(stages, "QUIET_S", 60.0)
    with stage("loading the policy") as at:
        at("2 of 5")
    assert shown.getvalue() == ""


def test_what_is_raised_in_a_stage_comes_after_the_end_of_its_line(show: Show) -> None:
    shown = show(True)
    with pytest.raises(OSError, match="no cable"), stage("connecting the robot"):
        assert shown.wrote.acquire(timeout=60)
        raise OSError("no cable")
    assert shown.getvalue().endswith(" s\n")


@pytest.mark.parametrize("closed", [True, False])
def test_a_stderr_that_was_closed_ends_nothing(closed: bool, show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(True)
    if closed:
        shown.close()
        monkeypatch.setattr(shown, "isatty", lambda: True, raising=False)
    else:
        monkeypatch.setattr(sys, "stderr", None)
    with stage("connecting the robot"):
        threading.Event().wait(0.02)

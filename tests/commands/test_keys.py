"""Keys, on a terminal of the test's own."""

import os
import pty
import sys
import termios
from collections.abc import Iterator
from typing import Any

import pytest

from rollahead.commands.keys import HELP, ORDERS, QUIT, keys, obey


class Ordered:
    """Notes what it is told, in place of a runtime."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.paused = False

    def pause(self) -> None:
        self.told.append("pause")
        self.paused = True

    def resume(self) -> None:
        self.told.append("resume")
        self.paused = False

    def estop(self) -> None:
        self.told.append("estop")

    def reset(self) -> None:
        self.told.append("reset")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written to it is typed at standard input."""
    typed, shown = pty.openpty()
    with os.fdopen(shown) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typed
    os.close(typed)


def test_keys_come_one_by_one_without_enter_and_once(terminal: int) -> None:
    with keys() as pressed:
        assert pressed() == ""
        os.write(terminal, b"ep")
        assert pressed() == "ep"
        assert pressed() == ""


def test_the_terminal_is_as_before_after_it(terminal: int) -> None:
    before = termios.tcgetattr(sys.stdin.fileno())
    with pytest.raises(KeyError), keys():
        assert termios.tcgetattr(sys.stdin.fileno()) != before
        raise KeyError
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_where_standard_input_was_closed_no_key_is_ever_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it then
    with keys() as pressed:
        assert pressed() == ""


def test_without_a_terminal_no_key_is_ever_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with keys() as pressed:
            assert pressed() == ""


@pytest.mark.parametrize(
    "typed, told",
    [
        (" ", ["pause"]),
        ("  ", ["pause", "resume"]),
        ("er", ["estop", "reset"]),
        ("E", ["estop"]),
        ("xyz", []),
        ("e e", None),
    ],
)
def test_each_key_is_an_order_and_others_are_none(typed: str, told: list[str] | None) -> None:
    runtime: Any = Ordered()
    assert obey(runtime, typed) is False
    assert runtime.told == (["estop", "pause", "estop"] if told is None else told)


def test_the_last_key_ends_it() -> None:
    runtime: Any = Ordered()
    assert obey(runtime, QUIT) is True
    assert all(words in HELP for words, _ in ORDERS.values())

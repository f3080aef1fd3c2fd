"""Keys, on a terminal of the test's own."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from typing import Any

import pytest

from every import every
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


def test_ctrl_s_stops_neither_what_is_printed_nor_the_keys(terminal: int) -> None:
    with keys() as pressed:
        pressed()
        os.write(terminal, b"\x13e")
        os.write(sys.stdin.fileno(), b"x" * 100)  # it does not block
        assert pressed() == "\x13e"


def test_a_terminal_that_a_shell_has_set_its_own_way_gives_keys_again_without_enter(terminal: int) -> None:
    shells = termios.tcgetattr(sys.stdin.fileno())
    with keys() as pressed:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, shells)  # Ctrl-Z, and fg
        os.write(terminal, b"e")  # before it is looked
        assert pressed() == "e"
        os.write(terminal, b"r")
        assert pressed() == "r"
    assert termios.tcgetattr(sys.stdin.fileno()) == shells


def test_a_terminal_that_is_closed_gives_no_key_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    typed, shown = pty.openpty()
    with os.fdopen(shown) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with keys() as pressed:
            os.close(typed)
            assert pressed() == ""


SHELL = """
import fcntl, os, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.alarm(30)
program = subprocess.Popen([sys.executable, "-c", sys.argv[1]], process_group=0)  # as a shell does with &
signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # to take the terminal back
sys.stdin.readline()  # the test says fg
os.tcsetpgrp(0, program.pid)
print("fg", flush=True)
pid, status = os.waitpid(program.pid, os.WUNTRACED)
os.tcsetpgrp(0, os.getpgrp())
print("stopped" if os.WIFSTOPPED(status) else "ended", os.waitstatus_to_exitcode(status), flush=True)
program.returncode = 0
"""
IN_BACKGROUND = """
import select, sys
from rollahead.commands.keys import keys
typed = ""
with keys() as pressed:
    for _ in range(20):
        typed += pressed()
    print("looked", repr(typed), flush=True)
    while not typed:
        select.select([sys.stdin], [], [], 0.01)
        typed += pressed()
    print("typed", typed, flush=True)
"""


def test_in_the_background_it_is_not_stopped_by_its_terminal_and_in_front_again_keys_work() -> None:
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-c", SHELL, IN_BACKGROUND],
        stdin=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    os.close(theirs)
    assert shell.stdout is not None
    said = iter(shell.stdout.readline, "")
    assert next(said) == "looked ''\n"
    os.write(ours, b"\n")
    assert next(said) == "fg\n"
    os.write(ours, b"e")
    assert sorted(said) == ["ended 0\n", "typed e\n"]
    assert shell.wait(30) == 0
    shell.stdout.close()
    os.close(ours)


def test_where_standard_input_was_closed_no_key_is_ever_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it then
    with keys() as pressed:
        assert pressed() == ""


def test_without_a_terminal_no_key_is_ever_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with keys() as pressed:
            assert pressed() == ""


@every(
    "typed, told",
    [
        (" ", ["pause"]),
        ("  ", ["pause", "resume"]),
        ("er", ["estop", "reset"]),
        ("E", ["estop"]),
        ("xyz", []),
        ("\x1bOR\x1bOQ", []),  # F3, F2
        ("e\x1b[1;5R\x1b[A", ["estop"]),  # a cursor report, an arrow
        ("\x1br\x1b", []),  # Alt-R, Esc
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

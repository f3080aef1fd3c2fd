"""Handlers of signals, with real signals sent to this process."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from rollahead.runtime.system.interrupts import ENDING, Interrupts, deferred, interrupts, uninterrupted

ALL = pytest.mark.parametrize("number", ENDING)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def before() -> Iterator[list[Any]]:
    """The handlers, which are as before after each test."""
    handlers = [signal.getsignal(number) for number in ENDING]
    yield handlers
    after = [signal.getsignal(number) for number in ENDING]
    for number, handler in zip(ENDING, handlers, strict=True):
        signal.signal(number, handler)
    assert after == handlers


@ALL
def test_an_interrupt_inside_waits_until_the_end(number: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():
        send(number)
        done.append("all of it")
    assert done == ["all of it"]


def test_without_one_nothing_is_raised() -> None:
    with deferred(), interrupts():
        pass


@ALL
def test_the_signals_that_end_a_program_interrupt_it_and_only_inside(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt, match=number.name), interrupts():
        send(number)


@ALL
def test_a_second_signal_raises_nothing_more_and_what_is_told_is_told_of_both(number: signal.Signals) -> None:
    told: list[None] = []
    cleaned = []
    with pytest.raises(KeyboardInterrupt), Interrupts(lambda: told.append(None)):
        try:
            send(number)
        finally:
            for again in ENDING:
                send(again)
            cleaned.append("all of it")
    assert cleaned == ["all of it"]
    assert len(told) == 1 + len(ENDING)


def test_what_is_told_is_told_before_anything_is_raised() -> None:
    told: list[None] = []
    with Interrupts(lambda: told.append(None)):
        try:
            send(signal.SIGTERM)
        except KeyboardInterrupt:
            assert told == [None]


@ALL
def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with interrupts(), deferred():
            assert signal.getsignal(number) is signal.SIG_IGN
            send(number)
    finally:
        signal.signal(number, before)


class Guarded:
    """Counts how far it came."""

    def __init__(self, handlers: Interrupts) -> None:
        self.handlers = handlers
        self.done = 0

    @uninterrupted
    def outer(self) -> None:
        self.inner()
        self.done += 1
        self.handlers.raise_taken()

    def inner(self) -> None:
        self.done += 1


def at_the_first_instruction_of(name: str, do: Callable[[], None]) -> Callable[..., Any]:
    """A trace function that calls `do` as the function `name` is entered."""

    def trace(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_name == name:
            sys.settrace(None)
            do()

    return trace


@pytest.mark.parametrize("name", ["outer", "inner", "raise_taken"])
def test_a_signal_at_the_very_first_instruction_of_what_is_not_to_be_interrupted_waits(name: str) -> None:
    with Interrupts() as handlers:
        guarded = Guarded(handlers)
        sys.settrace(at_the_first_instruction_of(name, lambda: send(signal.SIGINT)))
        try:
            with pytest.raises(KeyboardInterrupt):
                guarded.outer()
        finally:
            sys.settrace(None)
    assert guarded.done == 2


def test_an_interrupt_while_handlers_are_put_back_leaves_none_that_swallows_signals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    came: list[int] = []
    theirs = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    put = signal.signal
    hung_up = signal.getsignal(signal.SIGHUP)
    handlers = Interrupts()
    handlers.install()

    def interrupted(number: int, handler: Any) -> Any:
        if number == signal.SIGHUP:
            raise KeyboardInterrupt  # of a handler that was put back just before
        return put(number, handler)

    with monkeypatch.context() as patched:
        patched.setattr(signal, "signal", interrupted)
        with pytest.raises(KeyboardInterrupt):
            handlers.put_back()
    try:
        send(signal.SIGTERM)
        assert came == [signal.SIGTERM]
    finally:
        handlers.put_back()
        signal.signal(signal.SIGTERM, theirs)
    assert signal.getsignal(signal.SIGHUP) == hung_up


def test_handlers_of_two_that_do_not_end_in_the_order_in_which_they_began_are_put_back() -> None:
    first, second = Interrupts(), Interrupts()
    first.install()
    second.install()
    first.put_back()
    try:
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGHUP)
    finally:
        second.put_back()
        for number in ENDING:
            if signal.getsignal(number) == first._handle:  # the first's, which does what the one before it did
                signal.signal(number, first._before[number])


def test_of_two_one_in_the_other_both_are_told_and_one_exception_is_raised() -> None:
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt), Interrupts(lambda: told.append("outer")):
        try:
            with Interrupts(lambda: told.append("inner")):
                send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            with deferred():
                send(signal.SIGHUP)
    assert told == ["inner", "outer", "outer", "outer"]


def test_in_another_thread_they_leave_signals_alone(before: list[Any]) -> None:
    inside = []

    def run() -> None:
        with interrupts(), deferred():
            inside.extend(signal.getsignal(number) for number in ENDING)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == before


def test_handlers_that_another_thread_puts_back_do_what_those_before_did() -> None:
    came: list[int] = []
    theirs = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    handlers = Interrupts()
    handlers.install()
    thread = threading.Thread(target=handlers.put_back)
    thread.start()
    thread.join()
    send(signal.SIGTERM)
    handlers.put_back()
    signal.signal(signal.SIGTERM, theirs)
    assert came == [signal.SIGTERM]

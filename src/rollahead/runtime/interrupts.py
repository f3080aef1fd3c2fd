"""Interrupts: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed, at any moment, end with the robot stopped.

    signal --> tell (the stop latch) --> KeyboardInterrupt, once; or, inside an `uninterrupted` function, remembered

Python runs a signal handler in the main thread, between any two of its instructions, also before the first one of a
function. An exception there may leave `__exit__` before it has done anything. So the handler looks at the stack: where
it holds a function that is marked `uninterrupted`, nothing is raised, and that function says at its end what came.

A signal that is ignored (`nohup`, a job in the background of a script) stays ignored.

Threads: Python runs handlers in the main thread; anywhere else nothing is installed.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

ENDING = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)  # the one that raises by default is put back last
UNTOUCHED = (signal.SIG_IGN, None)  # ignored; or installed by another language than Python, which cannot be put back
F = TypeVar("F", bound=Callable[..., Any])

_uninterrupted: dict[int, CodeType] = {}  # by id: two pieces of code may compare equal


def uninterrupted(function: F) -> F:
    """Marks a function in which, and in whatever it calls, no interrupt is raised. It has to raise at its end what
    `Interrupts.taken` gives."""
    _uninterrupted[id(function.__code__)] = function.__code__
    return function


class Interrupts:
    """The handlers of the `ENDING` signals, from `install` to `put_back` or inside a `with`. tell: called first of all
    at each signal, so it must be safe in a handler; holds: nothing is raised, as if all were `uninterrupted`."""

    def __init__(self, tell: Callable[[], object] = lambda: None, *, holds: bool = False) -> None:
        self._tell = tell
        self._holds = holds
        self._before: dict[int, Any] = {}
        self._came: KeyboardInterrupt | None = None
        self._raised = self._over = False
        self._pid = 0  # a process that is forked inherits the handlers, and they are none of its own

    def install(self) -> None:
        """Replaces the handlers. Phase: setup."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._pid = os.getpid()
        for number in ENDING:
            before = signal.getsignal(number)
            if before not in UNTOUCHED:
                self._before[number] = before
                signal.signal(number, self._handle)

    @uninterrupted
    def put_back(self) -> None:
        """Puts the handlers back; more than once does no harm. One that stays, because an exception comes in between,
        or another thread puts them back, does from now on what the one before it did."""
        self._over = True
        if threading.current_thread() is threading.main_thread():
            for number, before in self._before.items():
                if signal.getsignal(number) == self._handle:  # else somebody replaced it, who has it as theirs before
                    signal.signal(number, before)

    def __enter__(self) -> "Interrupts":
        try:
            self.install()
        except BaseException:
            self.put_back()
            raise
        return self

    @uninterrupted
    def __exit__(self, kind: object, *_: object) -> None:
        self.put_back()
        if kind is None:
            self.raise_taken()

    def taken(self) -> KeyboardInterrupt | None:
        """The interrupt that was remembered, once, and only in the main thread: whoever takes it raises it."""
        if threading.current_thread() is not threading.main_thread() or self._spent():
            return None
        if self._came is not None:
            self._spend()
        return self._came

    def raise_taken(self) -> None:
        """Raises: KeyboardInterrupt, if one was remembered."""
        came = self.taken()
        if came is not None:
            raise came

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._over or os.getpid() != self._pid:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
            return
        self._note(number)
        if not (self._holds or _protected(frame)):
            self.raise_taken()

    def _note(self, number: int) -> None:
        """Tells whoever has handlers, the innermost first."""
        self._tell()
        self._came = self._came or KeyboardInterrupt(signal.Signals(number).name)
        for outer in self._outer():
            outer._note(number)

    def _spent(self) -> bool:
        return self._raised or any(outer._spent() for outer in self._outer())

    def _spend(self) -> None:
        """One exception for all of them: what is raised inside comes by them on its way out."""
        self._raised = True
        for outer in self._outer():
            outer._spend()

    def _outer(self) -> "set[Interrupts]":
        owners = {getattr(before, "__self__", None) for before in self._before.values()}
        return {owner for owner in owners if isinstance(owner, Interrupts)}


def interrupts() -> Interrupts:
    """The first of the `ENDING` signals that comes inside ends the program by a KeyboardInterrupt in the main thread,
    which leaves it time to clean up; later ones do nothing while it does."""
    return Interrupts()


def deferred() -> Interrupts:
    """Interrupts that come inside are raised at the end."""
    return Interrupts(holds=True)


def _protected(frame: FrameType | None) -> bool:
    while frame is not None:
        if id(frame.f_code) in _uninterrupted:
            return True
        frame = frame.f_back
    return False

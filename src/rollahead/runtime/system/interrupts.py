"""Signal handlers that end a run safely: for Ctrl-C, SIGTERM, and SIGHUP (the terminal was closed).

    signal --> tell (the stop latch) --> KeyboardInterrupt, once; or, inside an `uninterrupted` function, remembered

Python runs a signal handler in the main thread, between any two of its instructions, even before the first one of a
function. An exception raised there could leave `__exit__` before it has done anything. So the handler inspects the
stack: while a function that is marked `uninterrupted` is on it, nothing is raised, and that function raises the
interrupt at its end.

A signal that is ignored (`nohup`, a job in the background of a script) stays ignored.

Threads: Python runs handlers in the main thread; anywhere else nothing is installed.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

ENDING = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)  # put back in this order: SIGINT's default raises
UNTOUCHED = (signal.SIG_IGN, None)  # ignored, or installed by C code (None), which Python could not put back
F = TypeVar("F", bound=Callable[..., Any])

_uninterrupted: dict[int, CodeType] = {}  # keyed by id, since two different code objects may compare equal


def uninterrupted(function: F) -> F:
    """Marks a function so that no interrupt is raised in it, nor in what it calls.

    At its end the function must raise what `Interrupts.taken` returns.
    """
    _uninterrupted[id(function.__code__)] = function.__code__
    return function


class Interrupts:
    """Handlers of the `ENDING` signals, from `install` to `put_back` or inside a `with`.

    Args:
        tell: Function that the handler calls first at each signal.
        holds: Whether nothing is raised before the end, as if all code inside were `uninterrupted`.
    """

    def __init__(self, tell: Callable[[], object] = lambda: None, *, holds: bool = False) -> None:
        self._tell = tell
        self._holds = holds
        self._before: dict[int, Any] = {}
        self._came: KeyboardInterrupt | None = None
        self._raised = self._over = False
        self._pid = 0  # the process that installed the handlers; a forked child inherits them, but must not use them

    def install(self) -> None:
        """Installs the handlers, if called in the main thread. Phase: setup."""
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
        """Puts the previous handlers back; may be called repeatedly.

        A handler that stays installed, because this was interrupted or called in another thread than the main one, from
        now on only calls the previous one.
        """
        self._over = True
        if threading.current_thread() is threading.main_thread():
            for number, before in self._before.items():
                if signal.getsignal(number) == self._handle:  # else someone installed another handler on top of it
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
        """Returns the remembered interrupt for the caller to raise, or None if there is none.

        It is returned once, and only in the main thread.
        """
        if threading.current_thread() is not threading.main_thread() or self._spent():
            return None
        if self._came is not None:
            self._spend()
        return self._came

    def raise_taken(self) -> None:
        """Raises KeyboardInterrupt if an interrupt was remembered."""
        came = self.taken()
        if came is not None:
            raise came

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal: remembers it and, where nothing is protected, raises KeyboardInterrupt."""
        if self._over or os.getpid() != self._pid:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
            return
        self._note(number)
        if not (self._holds or _protected(frame)):
            self.raise_taken()

    def _note(self, number: int) -> None:
        """Calls `tell` and remembers the interrupt, here and in all enclosing `Interrupts`, the innermost first."""
        self._tell()
        self._came = self._came or KeyboardInterrupt(signal.Signals(number).name)
        for outer in self._outer():
            outer._note(number)

    def _spent(self) -> bool:
        """Whether the interrupt was raised already, here or in an enclosing `Interrupts`."""
        return self._raised or any(outer._spent() for outer in self._outer())

    def _spend(self) -> None:
        """Notes that the interrupt is raised, here and in all enclosing `Interrupts`, which it passes on its way."""
        self._raised = True
        for outer in self._outer():
            outer._spend()

    def _outer(self) -> "set[Interrupts]":
        """The enclosing `Interrupts`, whose handlers were installed before these."""
        owners = {getattr(before, "__self__", None) for before in self._before.values()}
        enclosing = {owner for owner in owners if isinstance(owner, Interrupts)}
        return {outer for owner in enclosing for outer in (owner._outer() if owner._over else {owner})}


def interrupts() -> Interrupts:
    """Raises KeyboardInterrupt in the main thread at the first of the `ENDING` signals inside.

    Later signals are ignored, so that the program can clean up.
    """
    return Interrupts()


def deferred() -> Interrupts:
    """Delays interrupts: one that comes inside is raised at the end of the `with` block."""
    return Interrupts(holds=True)


def _protected(frame: FrameType | None) -> bool:
    """Whether an `uninterrupted` function is on the stack of `frame`."""
    while frame is not None:
        if id(frame.f_code) in _uninterrupted:
            return True
        frame = frame.f_back
    return False

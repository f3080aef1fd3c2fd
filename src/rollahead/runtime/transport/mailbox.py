"""A mailbox: the newest message, from one thread to another.

Threads: one writes, one reads. Neither waits, and there is no lock. Assumes: rebinding an attribute is atomic (it is in
CPython), and a message is never changed after it was put.
"""

from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Channel(Protocol[T]):
    """A mailbox in this process, or in memory that another process shares (`runtime.transport.wire`)."""

    def put(self, message: T) -> None:
        """Replaces the message. Writer only. Phase: hot."""
        ...

    def peek(self) -> T | None:
        """Newest message, the same object until there is a newer one; None before the first.

        Reader only. Phase: hot.
        """
        ...


class Mailbox(Generic[T]):
    """A channel between two threads that holds the newest message; an older one that was not read is gone."""

    def __init__(self) -> None:
        self._message: T | None = None

    def put(self, message: T) -> None:
        """Replaces the message. Writer only. Phase: hot."""
        self._message = message

    def peek(self) -> T | None:
        """Newest message, or None if there was none yet. Reader only. Phase: hot."""
        return self._message

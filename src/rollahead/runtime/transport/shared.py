"""Memory that two processes share: blocks, mailboxes for the newest message, and rings of records.

    slots      | 0 | 1 | 2 |      the message with number n lies in slot n % 3
    head       n                  number of the newest whole message

The writer fills the next slot and then moves the head on. The reader copies the slot that the head names, and takes the
copy if the head has moved by less than two meanwhile: then nobody wrote to that slot. Neither ever waits. A reader
whose copy was overwritten `TRIES` times in a row keeps its previous message.

This is why a copy that is taken is whole, also on a processor that reorders reads and writes (Arm). `|` is a fence:

    writer   | fill slot of n   | head = n   | fill slot of n + 1   | head = n + 1 ...
    reader   h = head   | copy slot of h   | head again: at most h + 1?

The slot of message h is next written for message h + 3. The fence before a head is stored lets a reader that sees
head = h see all of message h. The fence after it, at the start of the next put, lets a reader that has copied any part
of message h + 3 see a head of h + 2 at least, which was stored before; it reads the head after the copy, and drops the
copy. A writer that dies or is stopped in the middle of a put has not moved the head, and nobody reads its slot.

The ring is the same with `capacity` + 1 slots: the slot of record i is next written for record i + capacity + 1, once
the count is that. A reader that finds a count of at most i + capacity after its copy has record i whole.

Threads: one writer and one reader for each mailbox and each ring, in any two processes.
Hot path: `put`, `peek` and `append`. `fence` takes a lock that nobody else uses: it never waits.
Assumes: Linux (memfd); releasing a lock and taking the same one again orders all reads and writes before and after,
as a full barrier does (C11 acquire and release on one address).
"""

import math
import mmap
import os
import struct
import threading
from collections.abc import Sequence
from multiprocessing.reduction import DupFd
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

W = TypeVar("W")
R = TypeVar("R")
W_contra = TypeVar("W_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
SLOTS = 3
TRIES = 3  # copies that a reader tries; one fails only if the writer puts two messages while it is made
CODES = {"|i1": "b", "<i2": "h", "<i4": "i", "<i8": "q", "<f8": "d"}  # type codes of numpy and of struct


class Block:
    """Shared memory of `size` bytes, zeros at first, without a name.

    The memory is freed with the last process that has it. A block may be passed to a process as an argument when that
    is started.
    """

    _fd = -1  # none yet

    def __init__(self, size: int) -> None:
        self._open(os.memfd_create("rollahead"), size)
        os.ftruncate(self._fd, size)
        self._map = mmap.mmap(self._fd, size)

    def _open(self, fd: int, size: int) -> None:
        self._fd, self.size = fd, size

    def array(self, dtype: Any, shape: tuple[int, ...] = (), offset: int = 0) -> NDArray[Any]:
        """An array in the block, `offset` bytes from its start. Phase: setup."""
        return np.ndarray(shape, dtype, self._map, offset)

    def __getstate__(self) -> tuple[Any, int]:
        return DupFd(self._fd), self.size

    def __setstate__(self, state: tuple[Any, int]) -> None:
        fd, size = state
        self._open(fd.detach(), size)
        self._map = mmap.mmap(self._fd, size)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)  # a mapping outlives its descriptor


class Codec(Protocol[W_contra, R_co]):
    """Converts messages to and from a structured dtype of fixed size; what is read may be less than was written."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Structured dtype of one message."""
        ...

    def write(self, slot: NDArray[Any], message: W_contra) -> None:
        """Writes `message` into `slot`. Phase: hot."""
        ...

    def read(self, slot: NDArray[Any]) -> R_co:
        """Message in `slot`, which nobody else writes to: its arrays may be kept. Phase: hot."""
        ...


class Fields:
    """Codec for messages that are tuples already; `fields` is the structured dtype of the tuple, as numpy writes it."""

    def __init__(self, fields: Any) -> None:
        self.dtype = np.dtype(fields)

    def write(self, slot: NDArray[Any], message: tuple[Any, ...]) -> None:
        """Writes the tuple `message` into `slot`. Phase: hot."""
        slot[...] = message

    def read(self, slot: NDArray[Any]) -> NDArray[Any]:
        """Message in `slot` as a read-only structured array of shape (). Phase: hot."""
        slot.flags.writeable = False
        return slot


class SharedMailbox(Generic[W, R]):
    """A `Mailbox` between two processes.

    Args:
        codec: Writes a message of type W into the shared memory and reads it there as type R.
    """

    def __init__(self, codec: Codec[W, R]) -> None:
        self._codec = codec
        self._block = Block(8 + SLOTS * codec.dtype.itemsize)
        self._attach()

    def _attach(self) -> None:
        self._head = self._block.array(np.int64, (1,))
        self._slots = [
            self._block.array(self._codec.dtype, (), 8 + i * self._codec.dtype.itemsize) for i in range(SLOTS)
        ]
        self._seen = 0
        self._message: R | None = None
        self._fence = threading.Lock()

    def put(self, message: W) -> None:
        """Replaces the message. Writer only. Phase: hot."""
        number = int(self._head[0]) + 1
        fence(self._fence)  # the last head is stored before this message
        self._codec.write(self._slots[number % SLOTS], message)
        fence(self._fence)
        self._head[0] = number

    def peek(self) -> R | None:
        """Newest message, the same object until there is a newer one; None before the first. Reader only.

        If the writer is too fast for a whole copy, the last message read is returned. Phase: hot.
        """
        for _ in range(TRIES):
            number = int(self._head[0])
            if number == self._seen:
                break
            fence(self._fence)
            copy = self._slots[number % SLOTS].copy()
            fence(self._fence)
            if int(self._head[0]) - number < SLOTS - 1:
                self._message = self._codec.read(copy)
                self._seen = number
                break
        return self._message

    def reader(self) -> "SharedMailbox[W, R]":
        """A reader of the same memory for one more thread."""
        other: SharedMailbox[W, R] = object.__new__(SharedMailbox)
        other.__setstate__((self._codec, self._block))
        return other

    def __getstate__(self) -> tuple[Codec[W, R], Block]:
        return self._codec, self._block

    def __setstate__(self, state: tuple[Codec[W, R], Block]) -> None:
        self._codec, self._block = state
        self._attach()


class Ring:
    """A ring buffer of the newest `capacity` records of a `dtype`.

    One thread appends; others follow with a cursor, also from another process if it is `shared`. The ring has one slot
    more than `capacity`: the one that is being written.
    """

    def __init__(self, dtype: Any, capacity: int, *, shared: bool = False) -> None:
        self._dtype, self.capacity = np.dtype(dtype), capacity
        self._block = Block(8 + (capacity + 1) * self._dtype.itemsize) if shared else None
        self._attach()

    def _attach(self) -> None:
        n = self.capacity + 1
        if self._block is None:
            self._count, self._records = np.zeros(1, np.int64), np.zeros(n, self._dtype)
        else:
            self._count = self._block.array(np.int64, (1,))
            self._records = self._block.array(self._dtype, (n,), 8)
        self._open()

    def _open(self) -> None:
        self._struct = packed(self._dtype)
        self._bytes = memoryview(self._records.view(np.uint8))  # type: ignore[arg-type]
        self._fence = threading.Lock()

    def append(self, numbers: Sequence[float]) -> None:
        """Appends a record, given as its numbers in order, vectors flattened. Writer only. Phase: hot."""
        count = int(self._count[0])
        fence(self._fence)  # the last count is stored before this record
        self._struct.pack_into(self._bytes, count % (self.capacity + 1) * self._struct.size, *numbers)
        fence(self._fence)
        self._count[0] = count + 1

    @property
    def count(self) -> int:
        """Number of records appended so far, including those that were overwritten."""
        return int(self._count[0])

    def newest(self) -> NDArray[Any]:
        """Copy of the records that are there, oldest first."""
        return self.since(0)[0]

    def since(self, cursor: int) -> tuple[NDArray[Any], int, int]:
        """Records from number `cursor` on, the next cursor, and the number of lost records.

        The records are a copy, oldest first. A record is lost if it was overwritten before it was read.
        """
        stop = self.count
        fence(self._fence)
        first = max(cursor, stop - self.capacity)
        records = self._records[np.arange(first, stop) % len(self._records)]
        fence(self._fence)
        whole = min(max(self.count - self.capacity, first), stop)  # records before this may be half overwritten by now
        return records[whole - first :], stop, whole - cursor

    def __getstate__(self) -> dict[str, Any]:
        content = {} if self._block else {"_count": self._count, "_records": self._records}
        return {"_dtype": self._dtype, "capacity": self.capacity, "_block": self._block, **content}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._block is None:
            self._open()
        else:
            self._attach()


def packed(dtype: np.dtype[Any]) -> struct.Struct:
    """Struct that packs a record of `dtype`, numbers and vectors of them, in one call.

    With cold caches, an assignment in numpy takes ten times as long.
    """
    fields = [dtype[name] for name in dtype.names or ()]
    return struct.Struct("<" + "".join(f"{math.prod(field.shape)}{CODES[field.base.str]}" for field in fields))


def fence(lock: threading.Lock) -> None:
    """Memory barrier: writes made before the call are seen before writes made after it. Phase: hot.

    Args:
        lock: A lock that only the caller uses.
    """
    with lock:
        pass
    with lock:
        pass

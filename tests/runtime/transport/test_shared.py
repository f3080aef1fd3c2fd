"""Memory between processes: messages are whole or not seen, and the newest is what is read."""

import multiprocessing
import os
import threading
from typing import Any

import numpy as np
import pytest

from every import every
from other_process import count_torn
from rollahead.runtime.transport import shared
from rollahead.runtime.transport.shared import SLOTS, Block, Fields, Ring, SharedMailbox

WIDE = Fields([("number", "i8"), ("values", "f8", (5000,))])


def message(number: int) -> tuple[Any, ...]:
    """All of its values are its number: a torn one has two."""
    return number, np.full(5000, float(number))


def test_a_mailbox_is_empty_until_something_is_put() -> None:
    assert SharedMailbox(WIDE).peek() is None


def test_the_newest_message_is_read_and_the_same_object_until_there_is_a_newer_one() -> None:
    box = SharedMailbox(WIDE)
    reader = box.reader()
    for number in range(1, 3 * SLOTS):
        box.put(message(number))
        first = reader.peek()
        assert first["number"] == number
        assert (first["values"] == number).all()
        assert reader.peek() is first


def test_what_was_read_is_not_written_over_by_later_messages() -> None:
    box = SharedMailbox(WIDE)
    box.put(message(1))
    kept = box.peek()
    for number in range(2, 2 + 2 * SLOTS):
        box.put(message(number))
    assert (kept["values"] == 1).all()
    assert not kept.flags.writeable


@pytest.mark.parametrize("overtaken", range(4))
def test_a_message_that_is_written_over_while_it_is_copied_is_not_taken(overtaken: int) -> None:
    """The writer puts `overtaken` messages while the reader copies the first."""
    box = SharedMailbox(WIDE)
    reader = box.reader()
    box.put(message(1))
    slot = reader._slots[1]

    class Overtaken:
        """The slot: the writer comes in between while it is copied."""

        def copy(self) -> Any:
            reader._slots[1] = slot
            for number in range(2, 2 + overtaken):
                box.put(message(number))
            return slot.copy()

    reader._slots[1] = Overtaken()  # type: ignore[call-overload]
    seen = reader.peek()
    assert seen["number"] == (1 if overtaken < SLOTS - 1 else 1 + overtaken)
    assert (seen["values"] == seen["number"]).all()


def test_a_reader_that_is_overtaken_again_and_again_goes_on_with_the_message_that_it_has() -> None:
    """The writer puts three messages in the time of each copy."""
    box = SharedMailbox(WIDE)
    reader = box.reader()
    box.put(message(1))
    first, slots, copies = reader.peek(), list(reader._slots), [0]
    box.put(message(2))

    class Overtaken:
        """A slot that is written over whenever it is copied."""

        def __init__(self, slot: Any) -> None:
            self.slot = slot

        def copy(self) -> Any:
            copies[0] += 1
            assert copies[0] < 100, "it tries for ever"
            for _ in range(SLOTS):
                box.put(message(int(box._head[0]) + 1))
            return self.slot.copy()

    reader._slots = [Overtaken(slot) for slot in slots]  # type: ignore[misc]
    assert reader.peek() is first
    reader._slots = slots
    newest = reader.peek()  # once the writer is slower
    assert newest["number"] == box._head[0]
    assert (newest["values"] == newest["number"]).all()


class Told:
    """Memory that notes what is stored into it; what is read is a number."""

    def __init__(self, notes: list[str], what: str) -> None:
        self.notes, self.what, self.value = notes, what, 0

    def __getitem__(self, at: int) -> int:
        return self.value

    def __setitem__(self, at: int, value: int) -> None:
        self.notes.append(self.what)
        self.value = value


def test_a_fence_stands_between_each_message_and_its_head_and_between_a_head_and_the_next_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Arm a reader could else take a copy into which the next message but two was written."""
    notes: list[str] = []
    box = SharedMailbox(WIDE)
    monkeypatch.setattr(shared, "fence", lambda lock: notes.append("fence"))
    monkeypatch.setattr(WIDE, "write", lambda slot, message: notes.append("message"))
    box._head = Told(notes, "head")  # type: ignore[assignment]
    for number in range(3):
        box.put(message(number))
    assert notes == ["fence", "message", "fence", "head"] * 3


def test_a_fence_stands_between_each_record_and_its_count_and_between_a_count_and_the_next_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes: list[str] = []
    ring = Ring([("n", "i8")], 2)

    class Packed:
        size = ring._struct.size

        def pack_into(self, *arguments: Any) -> None:
            notes.append("record")

    monkeypatch.setattr(shared, "fence", lambda lock: notes.append("fence"))
    ring._struct = Packed()  # type: ignore[assignment]
    ring._count = Told(notes, "count")  # type: ignore[assignment]
    for n in range(3):
        ring.append((n,))
    assert notes == ["fence", "record", "fence", "count"] * 3


def test_two_processes_never_see_a_torn_message() -> None:
    box = SharedMailbox(WIDE)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=count_torn, args=(box, theirs))
    child.start()
    theirs.close()
    ours.recv()  # it reads by now
    number = 0
    while not ours.poll(0.0001 * (number % 3)):  # in bursts of three, which may overtake the reader
        number += 1
        box.put(message(number))
    assert ours.recv() == (0, 0)
    child.join()


def test_a_block_leaves_no_file_behind() -> None:
    before = len(os.listdir("/proc/self/fd"))
    shared = Block(100)
    shared.array(np.int64, (3,))[:] = 7
    array = shared.array(np.int64, (3,))
    assert array.tolist() == [7, 7, 7]
    del shared
    assert array.tolist() == [7, 7, 7]  # the memory lives as long as somebody looks at it
    del array
    assert len(os.listdir("/proc/self/fd")) == before


# ---- ring ---------------------------------------------------------------------------------------------------------


@every("shared", [False, True])
@every("capacity", range(1, 5))
def test_a_follower_sees_every_record_once_or_is_told_how_many_it_missed(capacity: int, shared: bool) -> None:
    rng = np.random.default_rng(capacity)
    for _ in range(20):
        ring = Ring([("n", "i8")], capacity, shared=shared)
        cursor, seen, missed, n = 0, list[int](), 0, 0
        for burst in rng.integers(0, 2 * capacity + 1, 8):
            for _ in range(burst):
                ring.append((n,))
                n += 1
            rows, cursor, lost = ring.since(cursor)
            assert rows["n"].tolist() == list(range(n - len(rows), n))
            assert len(rows) + lost == burst
            assert lost == max(burst - capacity, 0)
            seen += rows["n"].tolist()
            missed += lost
        assert len(seen) + missed == ring.count == n
        assert len(set(seen)) == len(seen)


def test_a_ring_keeps_the_newest_in_order() -> None:
    for capacity in range(1, 6):
        ring = Ring([("n", "i8")], capacity)
        for n in range(3 * capacity + 2):
            ring.append((n,))
            assert ring.newest()["n"].tolist() == list(range(n + 1))[-capacity:]


def test_a_record_that_is_written_over_while_it_is_read_is_counted_as_lost() -> None:
    """A writer that goes on all the while: what a follower gets is whole, in order, and nothing is missing unsaid."""
    ring = Ring([("n", "i8"), ("again", "i8", (200,))], 4)
    ending = threading.Event()

    def write() -> None:
        n = 0
        while not ending.is_set():
            ring.append([n] * 201)
            n += 1

    writer = threading.Thread(target=write)
    writer.start()
    cursor = expected = 0
    for _ in range(3000):
        rows, cursor, lost = ring.since(cursor)
        assert (rows["again"] == rows["n"][:, None]).all()
        expected += lost
        assert rows["n"].tolist() == list(range(expected, expected + len(rows)))
        expected += len(rows)
        assert cursor == expected
    ending.set()
    writer.join()

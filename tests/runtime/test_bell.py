import multiprocessing
import threading

from other_process import answer_bell
from rollahead.runtime.bell import Bell


def test_a_ring_that_nobody_waited_for_is_heard_by_the_next_who_waits_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(0.0)
    assert not bell.wait(0.0)


def test_a_bell_wakes_a_thread_that_waits() -> None:
    bell, heard = Bell(), []
    waiting = threading.Thread(target=lambda: heard.append(bell.wait(30.0)))
    waiting.start()
    bell.ring()
    waiting.join(30.0)
    assert heard == [True]


def test_a_bell_is_heard_in_another_process() -> None:
    bell, back = Bell(), Bell()
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=answer_bell, args=(bell, back, theirs))
    child.start()
    theirs.close()
    assert ours.recv() == "waiting"
    bell.ring()
    assert back.wait(30.0)
    assert ours.recv() is True
    child.join()

import multiprocessing
import os
import resource
import threading
from collections.abc import Iterator

import pytest

from other_process import answer_bell
from rollahead.runtime.transport.bell import Bell


def test_a_ring_that_nobody_waited_for_is_heard_by_the_next_who_waits_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(0.0)
    assert not bell.wait(0.0)


@pytest.fixture
def many_files() -> Iterator[None]:
    """More open files than `select` takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    opened = [os.open(os.devnull, os.O_RDONLY)]
    while opened[-1] < 1100:
        opened.append(os.dup(opened[0]))
    yield
    for each in opened:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_bell_is_heard_in_a_program_with_more_than_1024_open_files() -> None:
    bell = Bell()
    assert bell._fd > 1024
    assert not bell.wait(0.0)
    bell.ring()
    assert bell.wait(30.0)


def test_of_two_who_wait_one_hears_a_ring_and_the_other_goes_on_waiting() -> None:
    bell = Bell()
    heard: list[bool] = []
    for _ in range(200):
        both = [threading.Thread(target=lambda: heard.append(bell.wait(0.001))) for _ in range(2)]
        for thread in both:
            thread.start()
        bell.ring()
        for thread in both:
            thread.join(30.0)
    assert len(heard) == 400


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

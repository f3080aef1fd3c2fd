import multiprocessing
import os
import resource
import threading
from collections.abc import Iterator

import pytest

from other_process import answer_wake
from rollahead.runtime.transport.wake_event import WakeEvent


def test_a_ring_that_nobody_waited_for_is_heard_by_the_next_who_waits_once() -> None:
    wake = WakeEvent()
    wake.ring()
    wake.ring()
    assert wake.wait(0.0)
    assert not wake.wait(0.0)


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
    wake = WakeEvent()
    assert wake._fd > 1024
    assert not wake.wait(0.0)
    wake.ring()
    assert wake.wait(30.0)


def test_of_two_who_wait_one_hears_a_ring_and_the_other_goes_on_waiting() -> None:
    wake = WakeEvent()
    heard: list[bool] = []
    for _ in range(200):
        both = [threading.Thread(target=lambda: heard.append(wake.wait(0.001))) for _ in range(2)]
        for thread in both:
            thread.start()
        wake.ring()
        for thread in both:
            thread.join(30.0)
    assert len(heard) == 400


def test_a_bell_wakes_a_thread_that_waits() -> None:
    wake, heard = WakeEvent(), []
    waiting = threading.Thread(target=lambda: heard.append(wake.wait(30.0)))
    waiting.start()
    wake.ring()
    waiting.join(30.0)
    assert heard == [True]


def test_a_bell_is_heard_in_another_process() -> None:
    wake, back = WakeEvent(), WakeEvent()
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=answer_wake, args=(wake, back, theirs))
    child.start()
    theirs.close()
    assert ours.recv() == "waiting"
    wake.ring()
    assert back.wait(30.0)
    assert ours.recv() is True
    child.join()

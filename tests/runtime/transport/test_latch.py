import multiprocessing

from other_process import set_latch
from rollahead.runtime.transport.latch import Latch


def test_a_latch_is_off_at_first_and_once_it_is_on_it_stays_on() -> None:
    latch = Latch()
    assert not latch.is_set
    for _ in range(3):
        latch.set()
        assert latch.is_set


def test_a_latch_may_be_set_by_another_process() -> None:
    latch = Latch()
    process = multiprocessing.get_context("spawn").Process(target=set_latch, args=(latch,))
    process.start()
    process.join(30)
    assert latch.is_set


def test_a_signal_turns_it_on_and_only_a_signal_that_finds_it_on_hurries() -> None:
    latch = Latch()
    latch.signal()
    assert (latch.is_set, latch.hurries) == (True, False)
    latch.set()
    assert not latch.hurries
    latch.signal()
    latch.set()
    assert (latch.is_set, latch.hurries) == (True, True)

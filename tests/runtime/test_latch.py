import multiprocessing

from other_process import set_latch
from rollahead.runtime.latch import Latch


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

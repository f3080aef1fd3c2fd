from collections.abc import Iterator
from itertools import pairwise, product

import pytest

from every import every
from rollahead.runtime.control.trigger import AsSoonAsPossible, Every, Overlap, Trigger
from rollahead.runtime.types.messages import NEVER


def cases() -> Iterator[tuple[int, int, int | None]]:
    """All (k, covered_until, last) of a small domain."""
    for k, covered, last in product(range(7), [NEVER, *range(12)], [None, *range(7)]):
        if last is None or last <= k:
            yield k, covered, last


@pytest.mark.parametrize("trigger", [Every(3), AsSoonAsPossible()], ids=repr)
def test_the_first_tick_of_an_epoch_always_asks(trigger: Trigger) -> None:
    assert all(trigger.due(k, covered, None) for k, covered, last in cases() if last is None)


@pytest.mark.parametrize("trigger", [Every(4), AsSoonAsPossible(), Overlap(0), Overlap(2)], ids=repr)
def test_where_no_chunk_is_left_and_none_was_asked_for_this_tick_a_request_is_due(trigger: Trigger) -> None:
    assert all(trigger.due(k, covered, last) for k, covered, last in cases() if covered <= k and last != k)


@every("s", range(1, 8))
def test_every_asks_s_ticks_after_the_last_request_and_not_before(s: int) -> None:
    for k, covered, last in cases():
        if last is not None and covered > k:
            assert Every(s).due(k, covered, last) == (k >= last + s)


def test_as_soon_as_possible_asks_at_most_once_a_tick() -> None:
    for k, covered, last in cases():
        if last is not None:
            assert AsSoonAsPossible().due(k, covered, last) == (last != k)


@every("overlap", range(5))
def test_overlap_asks_when_at_most_so_many_planned_ticks_are_left(overlap: int) -> None:
    for k, covered, last in cases():
        left = len(range(k, max(covered, k)))
        assert Overlap(overlap).due(k, covered, last) == (left <= overlap)


@every("s", range(1, 5))
@every("delay", range(7))
def test_answered_after_d_ticks_every_s_asks_each_max_of_s_and_d(s: int, delay: int) -> None:
    asked: list[int] = []
    for k in range(60):
        is_open = bool(asked) and k < asked[-1] + delay
        if not is_open and Every(s).due(k, k + 100, asked[-1] if asked else None):
            asked.append(k)
    assert {b - a for a, b in pairwise(asked)} == {max(s, delay)}

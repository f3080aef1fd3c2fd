from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.chunk import MOST_DECAY, Blend, Chunk, Mean, Timeline, newest
from rollahead.runtime.types.messages import NEVER


def chunk(origin: int, start: int, horizon: int, *, name: int = 0, accepted: int = 0) -> Chunk:
    """A chunk whose row for tick k reads (name, k)."""
    rows = frozen([[name, origin + i] for i in range(horizon)] or np.empty((0, 2)))
    return Chunk(rows, origin, start, obs_tick=0, state_tick=0, request=name, epoch=0, accepted=accepted)


def constant(values: Sequence[float], origin: int = 0) -> Chunk:
    return Chunk(frozen([values] * 4), origin, origin, 0, 0, 0, 0, 0)


def test_row_i_is_for_tick_origin_plus_i_and_never_before_start() -> None:
    for horizon, origin in product(range(1, 7), range(-2, 3)):
        for start in range(origin, origin + horizon + 2):
            made = chunk(origin, start, horizon)
            usable = [origin + i for i in range(horizon) if origin + i >= start]
            assert [k for k in range(-5, 15) if made.start <= k < made.stop] == usable
            for a, b in combinations_with_replacement([*usable, made.stop], 2):
                assert made.between(a, b)[:, 1].tolist() == list(range(a, b))
            assert made.stop == origin + horizon


def test_a_timeline_without_chunks_has_no_action_and_stops_before_all_ticks() -> None:
    assert Timeline().stop == NEVER < -(10**18)
    assert Timeline().covering(0) == ()
    assert Timeline().action(0) is None


def some_chunks() -> list[Chunk]:
    spans = [(origin, start, 3) for origin in range(-1, 4) for start in range(origin, origin + 3)]
    return [chunk(*span, name=i) for i, span in enumerate(spans)]


def test_each_tick_takes_the_newest_chunk_with_a_usable_row_in_every_order_of_acceptance() -> None:
    for accepted in product(some_chunks(), repeat=2):
        timeline = Timeline(accepted)
        for k in range(-2, 8):
            covering = [made for made in accepted if made.start <= k < made.stop]
            action = timeline.action(k)
            assert list(timeline.covering(k)) == covering
            if covering:
                np.testing.assert_array_equal(action, [covering[-1].request, k])
            else:
                assert action is None


def test_a_timeline_stops_where_its_last_chunk_does() -> None:
    for chunks in product(some_chunks()[::2], repeat=3):
        covered = [k for k in range(-2, 9) if Timeline(chunks).covering(k)]
        assert Timeline(chunks).stop == max(made.origin + 3 for made in chunks) >= max(covered) + 1


def blends() -> list[Blend]:
    return [newest, Mean(0.5, np.array([False, False]))]


def test_stretches_tile_the_ticks_and_each_is_covered_alike_all_along() -> None:
    for chunks in [(), *product(some_chunks()[::2], repeat=1), *product(some_chunks()[::2], repeat=3)]:
        timeline = Timeline(chunks)
        for start, stop in combinations(range(-3, 8), 2):
            pieces = list(timeline.stretches(start, stop))
            assert [k for begin, end, _ in pieces for k in range(begin, end)] == list(range(start, stop))
            assert all(begin < end for begin, end, _ in pieces)
            for begin, end, covering in pieces:
                assert all(timeline.covering(k) == covering for k in range(begin, end))


@pytest.mark.parametrize("blend", blends(), ids=["newest", "mean"])
def test_a_stretch_folds_to_the_actions_of_its_ticks(blend: Blend) -> None:
    for chunks in product(some_chunks()[::3], repeat=2):
        timeline = Timeline(chunks, blend)
        for begin, end, covering in timeline.stretches(-2, 7):
            rows = list(blend(covering, begin, end)) if covering else [None] * (end - begin)
            assert [told(row) for row in rows] == [told(timeline.action(k)) for k in range(begin, end)]


def told(action: FloatArray | None) -> list[float] | None:
    return None if action is None else action.tolist()


@pytest.mark.parametrize("blend", blends(), ids=["newest", "mean"])
def test_what_adding_drops_changes_no_action_from_acceptance_on(blend: Blend) -> None:
    for old, added, k in product(product(some_chunks()[::3], repeat=2), some_chunks()[1::3], range(-1, 5)):
        accepted = chunk(added.origin, max(added.start, k), 3, name=99, accepted=k)
        timeline, undropped = Timeline(old, blend).add(accepted), Timeline((*old, accepted), blend)
        for later in range(k, 7):
            assert told(timeline.action(later)) == told(undropped.action(later))


@pytest.mark.parametrize("blend", blends(), ids=["newest", "mean"])
def test_adding_keeps_the_order_drops_what_is_over_and_changes_no_other_timeline(blend: Blend) -> None:
    old = Timeline(tuple(some_chunks()), blend)
    before = old.chunks
    for k in range(-2, 9):
        added = chunk(k, k, 2, name=99, accepted=k)
        *kept, last = old.add(added).chunks
        assert last is added
        assert kept == [made for made in before if made in kept]
        assert all(made.stop > k for made in kept)
        assert old.chunks is before


@every("horizon", range(1, 6))
def test_a_timeline_of_chunks_that_come_every_tick_does_not_grow(horizon: int) -> None:
    for blend, most in zip(blends(), (1, horizon), strict=True):
        timeline = Timeline(blend=blend)
        for k in range(4 * horizon):
            timeline = timeline.add(chunk(k, k, horizon, accepted=k))
            assert len(timeline.chunks) <= most


@every("decay", [0.0, 0.01, 0.5, 3.0])
@every("n", range(1, 6))
def test_the_j_th_oldest_chunk_weighs_exp_of_minus_decay_j(decay: float, n: int) -> None:
    mean = Mean(decay, np.array([False] * n))
    weighed = mean([constant(row) for row in np.eye(n)], 0, 3)  # the j-th dimension shows the j-th weight
    expected = np.array([np.exp(-decay * j) for j in range(n)])
    np.testing.assert_allclose(weighed, [expected / expected.sum()] * 3, rtol=1e-12)


@every("decay", [-100.0, -3.0, -0.01, 0.01, 3.0, 100.0])
@every("n", [2, 5, 60])
def test_a_negative_decay_favours_the_newest_and_a_positive_one_the_oldest(decay: float, n: int) -> None:
    weighed = Mean(decay, np.array([False] * n))([constant(row) for row in np.eye(n)], 0, 1)[0]
    from_the_favoured_on = weighed if decay > 0 else weighed[::-1]
    assert (np.diff(from_the_favoured_on) <= 0).all()
    assert from_the_favoured_on[0] > from_the_favoured_on[-1] >= 0


@every("decay", np.linspace(-MOST_DECAY, MOST_DECAY, 17))
def test_no_decay_that_is_taken_makes_a_weight_that_is_no_number(decay: float) -> None:
    for n in (1, 2, 10, 1000):
        weighed = Mean(decay, np.array([False]))([constant([1.0])] * n, 0, 4)
        np.testing.assert_allclose(weighed, np.ones((4, 1)), rtol=1e-12)


@every("decay", [-np.inf, -100.5, 100.5, np.inf, np.nan])
def test_a_decay_past_100_or_that_is_no_number_is_refused(decay: float) -> None:
    with pytest.raises(ConfigError, match=rf"^decay is {decay}; give one from -100 \(newest only\) to 100$"):
        Mean(decay, np.array([False]))


def test_each_chunk_is_averaged_at_its_own_row_for_the_tick() -> None:
    mean = Mean(0.0, np.array([False, False]))
    for origins in product(range(-2, 1), repeat=3):
        chunks = [chunk(origin, origin, 4, name=i) for i, origin in enumerate(origins)]
        np.testing.assert_allclose(mean(chunks, 0, 2), [[1.0, 0.0], [1.0, 1.0]], rtol=1e-12, atol=1e-15)


def test_a_mean_of_one_chunk_is_that_chunk_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    for decay in (0.0, 0.01, 1.0):
        row = rng.standard_normal(5)
        np.testing.assert_array_equal(Mean(decay, np.array([False] * 5))([constant(row)], 2, 4), [row] * 2)


@every("exempt", list(product([False, True], repeat=3)))
def test_exempt_dimensions_take_the_newest_row_to_the_bit(exempt: tuple[bool, ...]) -> None:
    rows = np.array([[0.1, 0.2, 0.3], [0.7, 0.9, 1.0], [1.0, 0.0, -1.0]])
    made = Mean(0.3, np.array(exempt))([constant(row) for row in rows], 0, 2)
    for j, is_exempt in enumerate(exempt):
        assert (made[:, j] == rows[-1, j]).tolist() == [is_exempt] * 2


def test_a_timeline_folds_over_just_the_chunks_that_cover_a_tick() -> None:
    blend = Mean(0.5, np.array([False, False]))
    for accepted in product(some_chunks()[::3], repeat=3):
        timeline = Timeline(accepted, blend)
        for k in range(-2, 7):
            names = [made.request for made in accepted if made.start <= k < made.stop]
            if names:
                weights = np.exp(-0.5 * np.arange(len(names)))
                assert abs(timeline.action(k)[0] - weights @ names / weights.sum()) < 1e-12
            else:
                assert timeline.action(k) is None

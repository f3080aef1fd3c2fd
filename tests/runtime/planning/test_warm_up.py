from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rollahead.runtime.planning.warm_up import following
from rollahead.runtime.types.arrays import frozen, immutable, unchanging
from rollahead.runtime.types.messages import Observation, Request, Snapshot

H, A = 4, 2
ROWS = frozen(np.arange(H * A).reshape(H, A))


def image() -> Any:
    return unchanging(np.random.default_rng(0).integers(0, 256, (12, 5, 3), np.uint8))


def asked(n_obs: int = 1, planned: int = H, **ticks: int | None) -> Request:
    """A first request, at whose tick nothing is planned yet, with the same image in all of its observations."""
    same = {"top": image()}
    seen = tuple(
        Observation(0, frozen([0.5]), images=same, image_ticks={"top": -1}, image_stamps={"top": 7})
        for _ in range(n_obs)
    )
    snapshot = Snapshot(0, seen, frozen(np.zeros((0, A))), frozen(np.zeros((planned, A))), 0, 0)
    return Request(snapshot, **{"origin": 2, "start": 2, "roll_to": 2, **ticks}, delay=2)


def images_of(requests: list[Request]) -> list[Any]:
    return [seen.images["top"] for request in requests for seen in request.observations]


@pytest.mark.parametrize("n_obs", [1, 2, 3])
def test_no_image_of_a_warm_up_is_in_two_observations_after_the_first_request(n_obs: int) -> None:
    images = images_of([following(asked(n_obs), n, ROWS) for n in range(1, 4)])
    assert len(images) == 3 * n_obs
    for i, one in enumerate(images):
        assert one is not image() and immutable(one)
        assert not any(np.array_equal(one, other) for other in images[:i])
        assert sorted(one.ravel()) == sorted(image().ravel())  # as much to see as there was


def test_the_images_of_all_warm_ups_have_stamps_of_their_own() -> None:
    requests = [asked(2), *(following(asked(2), n, ROWS) for _ in range(2) for n in range(1, 4))]
    stamps = [seen.image_stamps["top"] for request in requests[1:] for seen in request.observations]
    assert len({7, *stamps}) == 1 + len(stamps)


def test_each_is_asked_a_tick_later_with_all_of_its_ticks() -> None:
    request = following(asked(), 3, ROWS)
    assert (request.tick, request.origin, request.start, request.roll_to, request.delay) == (3, 5, 5, 5, 2)
    (seen,) = request.observations
    assert (seen.tick, seen.image_ticks, seen.state_tick) == (3, {"top": 2}, 3)
    assert request.seed == (0, 0, 3)


def test_what_only_the_arrival_tells_stays_open() -> None:
    request = following(asked(origin=None, start=None, roll_to=None), 2, ROWS)
    assert (request.origin, request.start, request.roll_to) == (None, None, None)


@pytest.mark.parametrize(("planned", "rows"), [(2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 3, 3]), (6, [1, 2, 3, 3, 3, 3])])
def test_the_rows_of_the_answer_before_are_planned_from_the_next_one_on(planned: int, rows: list[int]) -> None:
    snapshot = following(asked(planned=planned), 1, ROWS).asked
    assert np.array_equal(snapshot.planned, ROWS[rows])
    assert snapshot.covered == min(planned, H - 1)
    assert immutable(snapshot.planned)


def test_a_chunk_of_one_row_leaves_nothing_planned() -> None:
    snapshot = following(asked(planned=1), 1, ROWS[:1]).asked
    assert (snapshot.covered, len(snapshot.planned)) == (0, 1)


def test_a_robot_without_cameras_has_none_here_either() -> None:
    first = asked()
    bare = replace(first.asked, observations=(Observation(0, frozen([0.5])),))
    assert following(replace(first, asked=bare), 1, ROWS).observations[0].images == {}

"""A robot whose every tick moves it by a step of its own: the state at a tick is the sum of the steps before it.

Whatever was measured when, rolling to tick T is right if and only if it gives `position(T)`.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from rollahead.runtime.arrays import FloatArray, frozen
from rollahead.runtime.binding import bind
from rollahead.runtime.messages import Observation, Request, Snapshot
from rollahead.runtime.roll import Delta, still

ROLL = Delta(np.array([0]), np.array([0]), np.array([False]))
ASKED = 20
HORIZON = 8


def step(k: int) -> float:
    """What the action of tick k moves the robot by."""
    return float(k * k % 7) + 0.25


def position(k: int) -> float:
    """Where the robot is at the head of tick k."""
    return sum(map(step, range(k)))


def observation(k: int, age: int) -> Observation:
    return Observation(
        tick=k,
        state=frozen([position(k - age)]),
        environment=frozen([100.0 + k]),
        images={"top": np.full((1, 1, 3), k, np.uint8)},
        image_ticks={"top": k - 1},
        state_age=age,
    )


def snapshot(k: int, *, age: int = 0, n_obs: int = 1, epoch: int = 0) -> Snapshot:
    sent = frozen([[step(j)] for j in range(k - HORIZON, k)])
    planned = frozen([[step(j)] for j in range(k, k + HORIZON)])
    return Snapshot(k, tuple(observation(k - back, age) for back in reversed(range(n_obs))), sent, planned, epoch, 0)


def request(delay: int, **options: int) -> Request:
    origin = ASKED + delay
    return Request(snapshot(ASKED, **options), origin, origin, origin, delay)


CASES = [(d, age, n_obs) for d, age, n_obs in product(range(6), range(4), range(1, 4))]


@pytest.mark.parametrize(("delay", "age", "n_obs"), CASES)
def test_bound_at_any_tick_each_state_is_that_of_its_own_tick(delay: int, age: int, n_obs: int) -> None:
    asked = request(delay, age=age, n_obs=n_obs)
    for later in range(delay + 3):  # also past the end of the roll
        bound = bind(asked, snapshot(ASKED + later, age=age, n_obs=n_obs), ROLL)
        ticks = [ASKED + delay - back for back in reversed(range(n_obs))]
        assert [seen.tick for seen in bound] == ticks
        assert [float(seen.state[0]) for seen in bound] == pytest.approx([position(k) for k in ticks])


@pytest.mark.parametrize(("delay", "age", "n_obs"), CASES)
def test_the_newest_measurement_is_taken_and_the_age_says_how_far_it_was_rolled(
    delay: int, age: int, n_obs: int
) -> None:
    for later in range(delay + 1):
        newest = bind(request(delay, age=age, n_obs=n_obs), snapshot(ASKED + later, age=age, n_obs=n_obs), ROLL)[-1]
        assert newest.state_tick == ASKED + later - age
        assert newest.state_age == delay - later + age


def wrong(k: int, **options: int) -> Snapshot:
    """A snapshot whose states and rows are nowhere near."""
    right = snapshot(k, **options)
    lost = tuple(replace(seen, state=frozen([1e6])) for seen in right.observations)
    return replace(right, observations=lost, sent=frozen(right.sent * 1e6), planned=frozen(right.planned * 1e6))


@pytest.mark.parametrize(("delay", "age", "n_obs"), CASES)
def test_a_snapshot_past_the_end_of_the_roll_is_not_used(delay: int, age: int, n_obs: int) -> None:
    asked = request(delay, age=age, n_obs=n_obs)
    for past in (1, 2, 5):
        bound = bind(asked, wrong(ASKED + delay + past, age=age, n_obs=n_obs), ROLL)[-1]
        assert float(bound.state[0]) == pytest.approx(position(ASKED + delay))
        assert bound.state_tick == ASKED - age


@pytest.mark.parametrize("epoch", [-1, 1, 2])
@pytest.mark.parametrize("later", range(5))
def test_a_snapshot_of_another_epoch_is_not_used(epoch: int, later: int) -> None:
    bound = bind(request(4), wrong(ASKED + later, epoch=epoch), ROLL)[-1]
    assert float(bound.state[0]) == pytest.approx(position(ASKED + 4))
    assert bound.state_tick == ASKED


def test_a_lagging_state_is_rolled_over_what_was_sent_since_it_was_measured() -> None:
    for delay, age in product(range(4), range(1, 5)):
        source = snapshot(ASKED, age=age)
        unsent = replace(source, sent=frozen(source.sent * 0.0))
        asked = replace(request(delay, age=age), asked=unsent)
        missed = sum(map(step, range(ASKED - age, ASKED)))
        assert float(bind(asked, unsent, ROLL)[-1].state[0]) == pytest.approx(position(ASKED + delay) - missed)


def test_a_roll_past_what_is_planned_goes_on_with_the_last_planned_row() -> None:
    bound = bind(request(HORIZON + 3), snapshot(ASKED), ROLL)[-1]
    last = step(ASKED + HORIZON - 1)
    assert float(bound.state[0]) == pytest.approx(position(ASKED + HORIZON) + 3 * last)


@pytest.mark.parametrize("n_obs", [1, 2, 3])
def test_without_a_tick_to_roll_to_the_observations_are_given_as_they_are(n_obs: int) -> None:
    asked = replace(request(3, n_obs=n_obs, age=2), roll_to=None)
    assert bind(asked, wrong(ASKED + 1, n_obs=n_obs), ROLL) is asked.observations


@pytest.mark.parametrize("later", range(4))
def test_images_stay_as_they_were_seen_and_count_for_the_age(later: int) -> None:
    asked = request(3, n_obs=2)
    for old, bound in zip(asked.observations, bind(asked, snapshot(ASKED + later, n_obs=2), ROLL), strict=True):
        assert bound.images is old.images
        assert bound.image_ticks is old.image_ticks
        assert bound.oldest_tick == old.oldest_tick


def test_a_bound_state_cannot_be_written_and_the_measured_one_stays_as_it_was() -> None:
    asked = request(3)
    bound = bind(asked, snapshot(ASKED + 1), ROLL)[-1]
    assert not bound.state.flags.writeable
    assert float(asked.observations[-1].state[0]) == position(ASKED)
    assert bind(asked, snapshot(ASKED + 1), still)[-1].state[0] == position(ASKED + 1)


def drift(environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
    """A scene that moves by one a tick, as `observation` has it."""
    return environment + len(rows)


def test_without_a_scene_roller_the_scene_stays_as_it_was_seen() -> None:
    for later in range(4):
        assert bind(request(3), snapshot(ASKED + later), ROLL)[-1].environment.tolist() == [100.0 + ASKED]


def told(environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
    """A scene that tells what it was rolled with."""
    return np.concatenate([environment, state, rows[:, 0]])


@pytest.mark.parametrize(("delay", "age", "n_obs"), CASES)
def test_a_scene_is_rolled_from_where_it_and_the_robot_were_at_its_own_tick(delay: int, age: int, n_obs: int) -> None:
    asked = request(delay, age=age, n_obs=n_obs)
    for later in range(delay + 3):  # whenever it is bound
        bound = bind(asked, snapshot(ASKED + later, age=age, n_obs=n_obs), ROLL, told)
        for old, new in zip(asked.observations, bound, strict=True):
            expected = [*old.environment, position(old.tick), *map(step, range(old.tick, new.tick))]
            assert new.environment.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("delay", "age", "n_obs"), CASES)
def test_a_scene_that_stays_as_it_is_is_as_none(delay: int, age: int, n_obs: int) -> None:
    asked = request(delay, age=age, n_obs=n_obs)
    for later in range(delay + 3):
        newest = snapshot(ASKED + later, age=age, n_obs=n_obs)
        stays = bind(asked, newest, ROLL, lambda environment, state, rows: environment)
        for old, new in zip(bind(asked, newest, ROLL), stays, strict=True):
            assert new.environment.tolist() == old.environment.tolist()
            assert new.state.tolist() == old.state.tolist()


@pytest.mark.parametrize("age", range(3))
def test_a_scene_is_rolled_from_the_tick_at_which_it_was_seen_however_old_the_state_is(age: int) -> None:
    for later in range(5):
        bound = bind(request(4, age=age), snapshot(ASKED + later, age=age), ROLL, drift)[-1]
        assert bound.environment.tolist() == [100.0 + ASKED + 4]
        assert not bound.environment.flags.writeable

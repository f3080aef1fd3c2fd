import math
from itertools import product

import numpy as np
import pytest

from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim
from rollahead.sim.belt import (
    CHANGES_PER_S,
    DWELL,
    END_M,
    RADIUS_M,
    SIDE_M,
    SLOW,
    SPEEDS,
    START_M,
    Belt,
    carried,
)
from rollahead.sim.event import LEAD, NEVER, PHASE
from rollahead.sim.gantry import RATE_HZ

MODES = ("velocity", "absolute")
STILL = np.zeros(2)
WINDOW = round(1.6 * RATE_HZ)


def belt(**options: object) -> Belt:
    return Belt(**{"noise": 0.0} | options)


def act(task: Belt) -> None:
    """A tick of the expert."""
    seen = Observation(0, task.state(), task.environment())
    task.advance(task.expert(1)(seen, np.random.default_rng(0))[0])


def played(task: Belt, seed: int, *, event: bool = True, still: bool = False) -> FloatArray:
    """(n, 7): state and environment at the head of each tick, and after the last one."""
    task.reset(seed, event=event)
    seen = [[*task.state(), *task.environment()]]
    while not task.done:
        task.advance(STILL) if still else act(task)
        seen.append([*task.state(), *task.environment()])
    return np.array(seen)


def at_event(task: Belt, seed: int) -> None:
    task.reset(seed)
    for _ in range(task.event_tick):
        task.advance(STILL)


def carry(task: Belt, off: FloatArray, speed: FloatArray) -> None:
    """A tick at whose end the tool is off the object by `off` and moves by `speed` as seen from it; velocity mode."""
    x, y, vx = carried(tuple(task.environment().tolist()))
    velocity = np.array([vx, 0.0]) + speed
    task.data.qpos[:] = np.array([x, y]) + off - velocity / RATE_HZ
    task.data.qvel[:] = velocity
    task.advance(velocity)


# --- episodes ---


@pytest.mark.parametrize("event", [True, False])
def test_the_same_seed_is_the_same_episode_to_the_bit_whatever_was_played_before(event: bool) -> None:
    used = Belt()
    played(used, 3)
    used.scatter(4)
    np.testing.assert_array_equal(played(used, 7, event=event), played(Belt(), 7, event=event))


def test_the_object_is_the_same_to_the_bit_whatever_the_tool_does() -> None:
    task = Belt()
    followed, ignored = played(task, 3), played(task, 3, still=True)
    ticks = min(len(followed), len(ignored))
    np.testing.assert_array_equal(followed[:ticks, 4:], ignored[:ticks, 4:])


def test_without_the_stimulus_the_belt_stands_and_all_else_is_the_same_to_the_bit() -> None:
    task = Belt()
    with_, without = played(task, 5), played(task, 5, event=False)
    first = task.event_tick
    np.testing.assert_array_equal(with_[:first], without[:first])
    np.testing.assert_array_equal(with_[first, :4], without[first, :4])
    assert (without[:, 4:] == without[0, 4:]).all()
    assert not task.success
    assert len(without) - 1 == first + WINDOW


def test_the_tool_rests_on_what_stands_until_the_next_object_comes_in() -> None:
    task = belt()
    for seed in range(40):
        seen = played(task, seed, still=True)
        first = task.event_tick
        assert LEAD <= first < LEAD + PHASE
        assert (seen[:first] == [*seen[0, :2], 0.0, 0.0, *seen[0, :2], 0.0]).all()
        assert seen[first, 4] == START_M
        assert abs(seen[first, 5]) <= SIDE_M
        assert SPEEDS[0] <= seen[first, 6] <= SPEEDS[1]
        assert (seen[first:, 5] == seen[first, 5]).all()
        assert task.max_ticks >= len(seen) - 1


def test_the_belt_changes_its_speed_three_times_in_ten_seconds() -> None:
    task = belt()
    changes, ticks = 0, 0
    for seed in range(150):
        coming = played(task, seed, still=True)[task.event_tick :]
        changes += int((np.diff(coming[:-1, 6]) != 0).sum())
        ticks += len(coming) - 2
        assert SPEEDS[0] <= coming[:-1, 6].min()
        assert coming[:-1, 6].max() <= SPEEDS[1]
        np.testing.assert_allclose(np.diff(coming[:-1, 4]), coming[:-2, 6] / RATE_HZ, atol=1e-12)
    assert changes / (ticks / RATE_HZ) == pytest.approx(CHANGES_PER_S, rel=0.3)


def test_an_episode_ends_with_the_window_or_when_the_object_leaves() -> None:
    ends = set()
    for window_s in (0.5, 8.0):
        task = belt(window_s=window_s)
        for seed in range(10):
            seen = played(task, seed, still=True)
            left = seen[-1, 4] >= END_M
            assert left or len(seen) - 1 == task.event_tick + round(window_s * RATE_HZ)
            assert not task.success
            ends.add(left)
    assert ends == {True, False}


# --- what a catch is ---

NEAR, FAR = (0.0, RADIUS_M * (1 - 1e-6)), (RADIUS_M * (1 + 1e-6), 0.1)
LOW, HIGH = (0.0, SLOW * (1 - 1e-6)), (SLOW * (1 + 1e-6), 0.6)


def test_a_catch_is_within_2_cm_and_slower_than_a_fifth_of_a_metre_per_second_as_seen_from_the_object() -> None:
    assert (RADIUS_M, SLOW, DWELL) == (0.02, 0.2, 5)
    task = belt()
    for distance, speed, angle, course in product(NEAR + FAR, LOW + HIGH, (0.0, 2.1, 4.0), (0.5, 3.3)):
        at_event(task, 1)
        off = distance * np.array([math.cos(angle), math.sin(angle)])
        for _ in range(DWELL):
            carry(task, off, speed * np.array([math.cos(course), math.sin(course)]))
        assert task.success == task.done == (distance in NEAR and speed in LOW), (distance, speed)


def test_success_takes_five_catches_in_a_row_and_not_five_in_all() -> None:
    task = belt()
    for gap in range(DWELL):
        at_event(task, 2)
        for tick in range(2 * DWELL - 1):
            carry(task, np.array([0.0, 0.1 if tick == gap else 0.0]), STILL)
            assert task.success == task.done == (tick == gap + DWELL)
            if task.done:
                break


def test_resting_on_what_stands_is_no_success() -> None:
    task = belt()
    task.reset(0)
    for _ in range(task.event_tick):
        task.advance(STILL)
        assert not task.done


# --- the expert and the rollers ---


@pytest.mark.parametrize("mode", MODES)
def test_an_instant_expert_catches_nearly_everything(mode: str) -> None:
    task = Belt(mode)
    caught = 0
    for seed in range(40):
        played(task, seed)
        caught += task.success
    assert caught >= 38


@pytest.mark.parametrize("mode", MODES)
def test_the_expert_plans_from_its_argument_and_a_longer_chunk_begins_as_a_shorter_one(mode: str) -> None:
    task = belt(mode=mode)
    task.reset(0)
    before = task.state(), task.environment()
    seen = Observation(0, np.array([0.05, -0.1, 0.1, 0.4]), np.array([0.2, 0.2, 0.3]))
    short, long = (task.expert(horizon)(seen, np.random.default_rng(0)) for horizon in (5, 32))
    np.testing.assert_array_equal(short, long[:5])
    assert [array.tolist() for array in before] == [task.state().tolist(), task.environment().tolist()]


@pytest.mark.parametrize("mode", MODES)
def test_a_whole_chunk_of_the_expert_brings_the_tool_onto_the_object_and_along(mode: str) -> None:
    task = belt(mode=mode)
    rng = np.random.default_rng(0)
    for _ in range(8):
        state = np.concatenate([rng.uniform(-0.3, 0.3, 2), rng.uniform(-0.5, 0.5, 2)])
        scene = np.array([-0.3, 0.2, 0.4])
        rows = task.expert(70)(Observation(0, state, scene), rng)
        end = task.roller()(state, rows)
        x, y, vx = task.scene_roller()(scene, state, rows)
        np.testing.assert_allclose(end, [x, y, vx, 0.0], atol=0.01)


def test_the_scene_roller_carries_the_object_to_the_end_of_the_belt_and_no_farther() -> None:
    roll = belt().scene_roller()
    scene, state = np.array([0.3, -0.1, 0.4]), np.zeros(4)
    assert roll(scene, state, np.empty((0, 2))).tolist() == scene.tolist()
    assert roll(scene, state, np.zeros((10, 2))).tolist() == pytest.approx([0.38, -0.1, 0.4])
    for ticks in (25, 200):
        assert roll(scene, state, np.zeros((ticks, 2))).tolist() == [END_M, -0.1, 0.0]


# --- demonstrations ---


def test_a_demonstration_goes_on_without_end_and_without_surprises() -> None:
    task = Belt(noise=0.5)  # which is not of demonstrations
    rng = np.random.default_rng(0)
    for seed in range(15):
        task.scatter(seed)
        assert task.event_tick == NEVER
        start, plan = task.environment(), task.demonstrator()
        for n in range(1, 300):
            task.advance(plan(Observation(0, task.state(), task.environment()), rng)[0])
            rolled = task.scene_roller()(start, task.state(), np.zeros((n, 2)))
            np.testing.assert_allclose(task.environment(), rolled, rtol=0, atol=1e-12)
            assert not task.done
            assert not task.success
        assert np.hypot(*(task.state()[:2] - task.environment()[:2])) < 0.01


def test_a_demonstration_begins_anywhere_and_in_one_case_of_four_as_an_episode_does() -> None:
    task = Belt()
    begun = []
    for seed in range(600):
        task.scatter(seed)
        begun.append([*task.state(), *task.environment()])
    seen = np.array(begun)
    comes_in = (seen[:, 2:4] == 0.0).all(axis=1) & (seen[:, 4] == START_M)
    assert 0.2 < comes_in.mean() < 0.3
    assert 0.13 < (seen[:, 6] == 0.0).mean() < 0.25
    assert seen[:, 4].min() == START_M
    assert 0.4 < seen[:, 4].max() < END_M
    assert (np.abs(seen[:, 5]) <= SIDE_M).all()


# --- options and drawing ---


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"window_s": 0.0}, ("window_s is 0.0", "0.02 s")),
        *(({"window_s": time_s}, (f"window_s is {time_s}", "3600 s")) for time_s in (3601.0, math.inf, math.nan)),
        ({"noise": -0.1}, ("noise is -0.1", "at least 0")),
        ({"mode": "velocty"}, ("'velocty'", "did you mean 'velocity'")),
    ],
    ids=repr,
)
def test_an_option_that_cannot_be_is_refused_with_its_value(options: dict, parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        Belt(**options)
    for part in parts:
        assert part in str(caught.value)


def test_the_spec_names_what_the_arrays_hold() -> None:
    task = belt()
    assert task.spec.environment == (Dim("obj_x", "m"), Dim("obj_y", "m"), Dim("obj_vx", "m/s", rate_of="obj_x"))
    assert (len(task.state()), len(task.environment())) == (4, 3)


def test_showing_puts_tool_and_object_where_a_trace_has_them() -> None:
    task = belt()
    task.show(np.array([0.01, 0.2, 0.3, 0.0]), np.array([0.3, -0.1, 0.2]))
    assert task.data.body("obj").xpos[:2].tolist() == pytest.approx([0.3, -0.1])
    assert task.data.body("tool").xpos[:2].tolist() == pytest.approx([0.01, 0.2])

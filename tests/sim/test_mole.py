import math
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind
from rollahead.sim.event import NEVER
from rollahead.sim.gantry import RATE_HZ, SPEED, Model
from rollahead.sim.mole import (
    APART,
    DWELL,
    FIELD_M,
    GRACE,
    JUMP_M,
    LEAD,
    PAIR_FIELD_M,
    PAIR_JUMP_M,
    PHASE,
    RADIUS_M,
    SLOW,
    VOID_M,
    WhackAMole,
    drive_to,
    servo_to,
)

MODES = ("velocity", "absolute")
STILL = np.zeros(2)
WINDOW = round(0.9 * RATE_HZ)


def mole(**options: object) -> WhackAMole:
    return WhackAMole(**{"noise": 0.0} | options)


def at_event(task: WhackAMole, seed: int, *, event: bool = True) -> WhackAMole:
    """The head of the event tick, the tool still at rest where the mole was; velocity mode."""
    task.reset(seed, event=event)
    for _ in range(task.event_tick):
        task.advance(STILL)
    return task


def carried(task: WhackAMole, place: FloatArray, velocity: FloatArray) -> None:
    """A tick at whose end the tool is at `place` with `velocity`; velocity mode."""
    task.data.qpos[:] = place - velocity / RATE_HZ
    task.data.qvel[:] = velocity
    task.advance(velocity)


def act(task: WhackAMole, row: FloatArray | None = None) -> None:
    """A tick of the expert, or of `row`."""
    seen = Observation(0, task.state(), task.environment())
    task.advance(task.expert(1)(seen, np.random.default_rng(0))[0] if row is None else row)


def episode(task: WhackAMole, seed: int, *, event: bool = True) -> list[list[float]]:
    task.reset(seed, event=event)
    seen = []
    while not task.done:
        seen.append([*task.state(), *task.environment()])
        act(task)
    return seen


# --- episodes ---


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("event", [True, False])
def test_the_same_seed_is_the_same_episode_to_the_bit_whatever_was_played_before(mode: str, event: bool) -> None:
    used = WhackAMole(mode)
    episode(used, 3)
    assert episode(used, 7, event=event) == episode(WhackAMole(mode), 7, event=event)


@pytest.mark.parametrize(
    ("seed", "tick", "first", "second", "velocity"),
    [
        (0, 59, (0.08217701239287256, -0.13812797174167782), (-0.2754158856382832, -0.2900834186828825), 0.0062),
        (199, 98, (0.10436317493561104, 0.06416698958440598), (-0.2546469545452865, -0.21964655047248227), -0.00025),
    ],
)
def test_the_episodes_of_published_figures_stay_what_they_were(
    seed: int, tick: int, first: tuple[float, ...], second: tuple[float, ...], velocity: float
) -> None:
    task = WhackAMole()
    task.reset(seed)
    assert task.event_tick == tick
    assert tuple(task.environment()) == first
    task.advance(STILL)
    assert task.state()[3] == pytest.approx(velocity, rel=0.01)
    while task.environment()[0] == first[0]:
        task.advance(STILL)
    assert tuple(task.environment()) == second


def test_seeds_differ() -> None:
    task = WhackAMole()
    assert episode(task, 1) != episode(task, 2)


def test_the_scene_and_the_disturbance_do_not_depend_on_what_the_robot_does() -> None:
    scenes, pushes = [], []
    for action in (STILL, np.array([0.02, -0.01])):
        task = WhackAMole(noise=0.05)
        task.reset(11)
        scene, pushed = [], []
        while not task.done:
            before = task.state()
            scene.append(task.environment().tolist())
            task.advance(action)
            pushed.append(task.state() - Model("velocity")(before, action[None]))
        scenes.append(scene)
        pushes.append(np.array(pushed))
    assert scenes[0] == scenes[1]
    np.testing.assert_allclose(pushes[0], pushes[1], atol=1e-12)  # the servo is linear at these sizes
    assert np.abs(pushes[0]).max() > 1e-4


@pytest.mark.parametrize("mode", MODES)
def test_without_the_stimulus_the_episode_is_the_same_until_the_mole_would_jump(mode: str) -> None:
    task = WhackAMole(mode)
    with_, without = episode(task, 5), episode(task, 5, event=False)
    assert with_[: task.event_tick] == without[: task.event_tick]
    assert with_[task.event_tick][4:] != without[task.event_tick][4:]
    assert len({tuple(row[4:]) for row in without}) == 1


def test_the_mole_jumps_15_to_50_cm_within_its_field_and_never_again() -> None:
    task = mole()
    lengths = []
    for seed in range(60):
        task.reset(seed)
        start = task.environment()
        assert task.state().tolist() == [*start, 0.0, 0.0]  # the tool rests on it
        scene = []
        while not task.done:
            scene.append(tuple(task.environment().tolist()))
            task.advance(STILL)
        before, after = scene[task.event_tick - 1], scene[task.event_tick]
        assert set(scene[: task.event_tick]) == {before} == {tuple(start.tolist())}
        assert set(scene[task.event_tick :]) == {after}
        assert max(map(abs, (*before, *after))) <= FIELD_M
        lengths.append(math.dist(before, after))
    assert JUMP_M == (0.15, 0.5)
    assert JUMP_M[0] < min(lengths) < 0.2
    assert 0.4 < max(lengths) < JUMP_M[1]


def test_the_jump_comes_at_every_phase_of_its_range_and_at_no_other() -> None:
    task = mole()
    ticks = []
    for seed in range(1000):
        task.reset(seed)
        ticks.append(task.event_tick)
    assert set(ticks) == set(range(LEAD, LEAD + PHASE))
    assert max(np.bincount(ticks)) < 4 * 1000 / PHASE  # and about evenly


@pytest.mark.parametrize("window_s", [0.1, 0.9, 4.0])
def test_no_episode_is_longer_than_said(window_s: float) -> None:
    task = mole(window_s=window_s)
    assert task.max_ticks == LEAD + PHASE + round(window_s * RATE_HZ)
    for seed in range(4):
        ticks = at_event(task, seed, event=False).event_tick
        while not task.done:
            task.advance(STILL)
            ticks += 1
        assert ticks == task.event_tick + round(window_s * RATE_HZ) <= task.max_ticks


def test_what_is_seen_cannot_be_changed_by_who_sees_it() -> None:
    task = mole()
    task.reset(0)
    for array in (task.state(), task.environment()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


# --- what a hit is ---

NEAR = (0.0, RADIUS_M / 2, RADIUS_M * (1 - 1e-6))
FAR = (RADIUS_M * (1 + 1e-6), 3 * RADIUS_M)
LOW = (0.0, SLOW / 2, SLOW * (1 - 1e-6))
HIGH = (SLOW * (1 + 1e-6), 2 * SLOW)


def test_a_hit_is_within_2_cm_and_slower_than_a_quarter_of_a_metre_per_second() -> None:
    assert (RADIUS_M, SLOW, DWELL) == (0.02, 0.25, 3)
    task = mole()
    for distance, speed, angle, course in product(NEAR + FAR, LOW + HIGH, (0.0, 2.1, 4.0), (0.5, 3.3)):
        at_event(task, 1)
        place = task.environment() + distance * np.array([math.cos(angle), math.sin(angle)])
        for _ in range(DWELL):
            carried(task, place, speed * np.array([math.cos(course), math.sin(course)]))
        assert task.success == task.done == (distance in NEAR and speed in LOW), (distance, speed)


def test_success_takes_three_hits_in_a_row_and_not_three_in_all() -> None:
    task = mole()
    for pattern in product([True, False], repeat=6):
        at_event(task, 2)
        run = 0
        for hit in pattern:
            carried(task, task.environment() + (0.0 if hit else 0.1), STILL)
            run = run + 1 if hit else 0
            assert task.success == task.done == (run == DWELL)
            if task.done:
                break


def test_standing_where_the_mole_will_be_before_it_jumps_counts_for_nothing() -> None:
    task = at_event(mole(), 4)
    target = task.environment()
    task.reset(4)
    for _ in range(task.event_tick):
        carried(task, target, STILL)
        assert not task.done
    for hits in range(1, DWELL + 1):
        carried(task, target, STILL)
        assert task.success == (hits == DWELL)


def test_resting_on_the_mole_before_it_jumps_is_no_success() -> None:
    task = mole()
    task.reset(0)
    for _ in range(task.event_tick):
        task.advance(STILL)
        assert not task.done
        assert not task.success


@every("after", range(WINDOW - DWELL - 2, WINDOW))
def test_the_last_hit_must_fall_inside_the_window(after: int) -> None:
    task = at_event(mole(), 6)
    for _ in range(after):
        carried(task, task.environment() + 0.1, STILL)
    hits = 0
    while not task.done:
        carried(task, task.environment(), STILL)
        hits += 1
    assert task.success == (after + DWELL <= WINDOW)
    assert hits == min(DWELL, WINDOW - after)


def test_without_the_stimulus_an_episode_lasts_to_the_end_of_the_window_and_succeeds_at_nothing() -> None:
    task = mole()
    for seed in range(10):
        at_event(task, seed, event=False)  # the tool rests on the mole all the time
        for tick in range(WINDOW):
            assert not task.done, tick
            task.advance(STILL)
        assert task.done
        assert not task.success


# --- the expert and the roller ---


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_an_instant_expert_hits_every_mole_inside_the_window(mode: str, noise: float) -> None:
    task = WhackAMole(mode, noise=noise)
    for seed in range(20):
        assert len(episode(task, seed)) <= task.event_tick + WINDOW
        assert task.success, seed


@pytest.mark.parametrize("mode", MODES)
def test_the_expert_hits_from_any_state_given_time(mode: str) -> None:
    task = mole(mode=mode, window_s=2.5)
    rng = np.random.default_rng(1)
    for seed in range(10):
        task.reset(seed)
        for _ in range(task.event_tick):
            act(task)
        task.data.qpos[:], task.data.qvel[:] = rng.uniform(-0.5, 0.5, 2), rng.uniform(-SPEED, SPEED, 2)
        while not task.done:
            act(task)
        assert task.success, seed


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pace", [0.5, 1.0])
def test_a_whole_chunk_of_the_expert_brings_the_tool_to_rest_on_the_mole(mode: str, pace: float) -> None:
    task = mole(mode=mode, pace=pace, window_s=4.0)
    rng = np.random.default_rng(0)
    for seed in range(8):
        task.reset(seed)
        task.data.qpos[:], task.data.qvel[:] = rng.uniform(-0.4, 0.4, 2), rng.uniform(-1, 1, 2)
        seen = Observation(0, task.state(), np.array([0.1, -0.2]))
        rows = task.expert(200)(seen, rng)
        assert rows.shape == (200, 2)
        end = task.roller()(task.state(), rows)
        np.testing.assert_allclose(end, [0.1, -0.2, 0.0, 0.0], atol=2e-3)


@pytest.mark.parametrize("mode", MODES)
def test_a_longer_chunk_begins_as_a_shorter_one(mode: str) -> None:
    plan = [drive_to(Model(mode), np.array([0.2, 0.0, -0.5, 0.3]), (0.0, -0.3), horizon)[1] for horizon in (5, 32)]
    np.testing.assert_array_equal(plan[0], plan[1][:5])


def test_the_expert_plans_from_its_argument_and_changes_no_world() -> None:
    task = mole()
    task.reset(0)
    before = task.state()
    task.expert(32)(Observation(0, np.array([0.3, 0.3, 1.0, -1.0]), np.zeros(2)), np.random.default_rng(0))
    np.testing.assert_array_equal(task.state(), before)


def test_the_expert_never_asks_for_more_than_its_speed_and_half_of_it_at_half_pace() -> None:
    for x, v in product(np.linspace(-0.6, 0.6, 25), np.linspace(-2, 2, 9)):
        full, half = servo_to(x, v, 0.1), servo_to(x, v, 0.1, pace=0.5)
        assert abs(full) <= SPEED
        assert half == full / 2


@every("mode", MODES)
@every("n", [0, 1, 7, 40])
def test_the_roller_is_what_the_simulated_robot_does(mode: str, n: int) -> None:
    task = mole(mode=mode)
    task.reset(9)
    task.data.qvel[:] = (0.7, -0.2)
    rows = np.random.default_rng(n).uniform(-0.5, 0.5, (n, 2))
    rolled = task.roller()(task.state(), rows)
    for row in rows:
        act(task, row)
    np.testing.assert_allclose(rolled, task.state(), rtol=0, atol=1e-12)


def test_noise_disturbs_both_modes_as_much() -> None:
    pushed = {}
    for mode in MODES:
        task = WhackAMole(mode, noise=0.02)
        task.reset(3)
        start = task.state()
        task.advance(STILL if mode == "velocity" else start[:2])
        pushed[mode] = task.state()[2:]
    np.testing.assert_allclose(pushed["velocity"], pushed["absolute"], rtol=0.05)
    assert np.abs(pushed["velocity"]).min() > 0


# --- two moles ---


def two(**options: object) -> WhackAMole:
    return mole(targets=2, **options)


def test_two_moles_jump_equally_far_to_different_sides_within_their_field() -> None:
    task = two()
    lengths = []
    for seed in range(60):
        task.reset(seed)
        start = task.state()[:2]
        before = task.environment().reshape(2, 2)
        assert before[0].tolist() == start.tolist()
        scene = []
        while not task.done:
            scene.append(task.environment().tolist())
            task.advance(STILL)
        assert scene[: task.event_tick] == [before.ravel().tolist()] * task.event_tick
        after = np.array(scene[task.event_tick]).reshape(2, 2)
        assert scene[task.event_tick :] == [after.ravel().tolist()] * (len(scene) - task.event_tick)
        (one, other), distances = after - start, np.hypot(*(after - start).T)
        assert distances[0] == pytest.approx(distances[1])
        assert math.acos(one @ other / distances.prod()) > APART[0] - 1e-9
        assert np.abs([before, after]).max() < PAIR_FIELD_M
        lengths.append(distances[0])
    assert PAIR_JUMP_M[0] <= min(lengths) < 0.25
    assert 0.3 < max(lengths) <= PAIR_JUMP_M[1]


@pytest.mark.parametrize("target", [0, 1])
def test_hitting_either_counts(target: int) -> None:
    task = two()
    at_event(task, 2)
    for hits in range(1, DWELL + 1):
        carried(task, task.environment().reshape(2, 2)[target], STILL)
        assert task.success == task.done == (hits == DWELL)


def test_of_two_moles_the_expert_hits_the_nearer_counting_how_far_it_would_coast() -> None:
    task = two(window_s=4.0)
    scene = np.array([0.2, 0.0, -0.2, 0.0])
    for vx, x, nearer in ((0.0, 0.05, 0), (0.0, -0.05, 1), (0.9, -0.03, 0), (-0.9, 0.03, 1)):
        seen = Observation(0, np.array([x, 0.0, vx, 0.0]), scene)
        end = task.roller()(seen.state, task.expert(150)(seen, np.random.default_rng(0)))
        np.testing.assert_allclose(end[:2], scene.reshape(2, 2)[nearer], atol=2e-3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strike", [False, True])
def test_an_instant_expert_hits_one_of_two(mode: str, strike: bool) -> None:
    task = WhackAMole(mode, targets=2, strike=strike)
    for seed in range(20):
        episode(task, seed)
        assert task.success, seed


# --- a strike ---


def strike(**options: object) -> WhackAMole:
    return mole(strike=True, **options)


def struck(task: WhackAMole, away: float, up: float = 1.0, speed: float = 0.0) -> None:
    """A tick at whose end the tool is `away` from the mole, in which a strike is sent or not."""
    place, velocity = task.environment() + np.array([away, 0.0]), np.array([0.0, speed])
    task.data.qpos[:] = place - velocity / RATE_HZ
    task.data.qvel[:] = velocity
    task.advance(np.array([*velocity, up]))


def before_strike(task: WhackAMole, seed: int = 1) -> None:
    """The head of the event tick."""
    task.reset(seed)
    for _ in range(task.event_tick):
        task.advance(np.zeros(3))


def test_one_strike_on_the_mole_is_enough_and_without_one_nothing_is() -> None:
    task = strike()
    for away, speed, up in product((0.0, RADIUS_M * 0.99, RADIUS_M * 1.01), (0.0, SLOW * 1.01), (0.0, 0.4, 0.5, 1.0)):
        before_strike(task)
        struck(task, away, up, speed)
        assert task.success == task.done == (away < RADIUS_M and speed < SLOW and up >= 0.5), (away, speed, up)


@every(
    ("away", "late", "spoilt"),
    [(VOID_M * 1.01, 1, True), (VOID_M * 0.99, 1, False), (0.3, 0, False), (0.3, -GRACE, False), (0.3, 20, True)],
)
def test_a_strike_into_the_void_spoils_the_episode_once_the_grace_is_over(away: float, late: int, spoilt: bool) -> None:
    task = strike()
    before_strike(task)
    for _ in range(GRACE + late - 1):
        struck(task, 0.3, 0.0)
    struck(task, away)
    assert not task.done  # it goes on to its end
    struck(task, 0.0)
    assert task.done
    assert task.success != spoilt


def test_strikes_before_the_jump_matter_to_nobody() -> None:
    task = strike()
    task.reset(1)
    for _ in range(task.event_tick):
        struck(task, 0.3)
        assert not task.done
    struck(task, 0.0)
    assert task.success


def test_a_spoilt_episode_without_a_hit_lasts_to_the_end_of_the_window() -> None:
    task = strike()
    before_strike(task)
    ticks = 0
    while not task.done:
        struck(task, 0.3)
        ticks += 1
    assert ticks == WINDOW
    assert not task.success


@pytest.mark.parametrize("mode", MODES)
def test_an_instant_expert_strikes_every_mole_and_nothing_else(mode: str) -> None:
    task = WhackAMole(mode, strike=True)
    for seed in range(20):
        episode(task, seed)
        assert task.success, seed


def test_the_expert_strikes_where_it_will_be_on_the_mole_and_slow() -> None:
    task = strike()
    seen = Observation(0, np.array([0.0, 0.0, 0.0, 0.0]), np.array([0.2, 0.1]))
    rows = task.expert(60)(seen, np.random.default_rng(0))
    first = int(np.argmax(rows[:, 2]))
    assert rows[:, 2].tolist() == [0.0] * first + [1.0] * (60 - first)
    there = task.roller()(seen.state, rows[:first])
    assert math.dist(there[:2], seen.environment) < RADIUS_M
    assert math.hypot(*there[2:]) < SLOW
    np.testing.assert_array_equal(rows[:, :2], mole().expert(60)(seen, np.random.default_rng(0)))


def test_the_strike_is_a_third_action_that_is_on_or_off_and_rolls_nothing() -> None:
    dim = strike().spec.action[2]
    assert (dim.name, dim.kind, dim.low, dim.high, dim.threshold) == ("strike", Kind.DISCRETE, 0.0, 1.0, 0.5)
    assert 0 < dim.hysteresis < 0.5
    state, rows = np.array([0.1, 0.0, 0.2, 0.0]), np.array([[0.3, 0.1, 1.0]] * 4)
    np.testing.assert_array_equal(strike().roller()(state, rows), mole().roller()(state, rows[:, :2]))


# --- demonstrations ---

EVERY = ({}, {"targets": 2}, {"strike": True}, {"targets": 2, "mode": "absolute"})
every_kind = pytest.mark.parametrize("options", EVERY, ids=repr)


@every_kind
def test_a_demonstration_goes_on_without_end_and_nothing_jumps(options: dict) -> None:
    task = WhackAMole(**{"noise": 0.5} | options)  # the noise is not of demonstrations
    for seed in range(8):
        task.scatter(seed)
        assert task.event_tick == NEVER
        moles, plan = task.environment(), task.demonstrator()
        for _ in range(250):
            task.advance(plan(Observation(0, task.state(), task.environment()), np.random.default_rng(0))[0])
            assert not task.done
            assert not task.success
        assert task.environment().tolist() == moles.tolist()
        assert min(math.dist(task.state()[:2], place) for place in moles.reshape(-1, 2)) < 1e-3


@every_kind
def test_the_same_seed_is_the_same_demonstration_and_leaves_no_trace_in_what_follows(options: dict) -> None:
    used, fresh = WhackAMole(**options), WhackAMole(**options)
    for task in (used, fresh):
        task.scatter(3)
    assert used.state().tolist() == fresh.state().tolist()
    assert used.environment().tolist() == fresh.environment().tolist()
    assert episode(used, 5) == episode(WhackAMole(**options), 5)


def test_a_demonstration_keeps_to_the_mole_that_was_picked_be_it_nearer_or_not() -> None:
    task = two()
    picked, nearer = [], []
    for seed in range(200):
        task.scatter(seed)
        moles, start = task.environment().reshape(2, 2), task.state()
        first = task.expert(1)(Observation(0, start, moles.ravel()), np.random.default_rng(0))[0]
        plan = task.demonstrator()
        ours = plan(Observation(0, start, moles.ravel()), np.random.default_rng(0))[0]
        nearer.append(bool((ours == first).all()))
        for _ in range(80):
            act(task, plan(Observation(0, task.state(), task.environment()), np.random.default_rng(0))[0])
        end = [math.dist(task.state()[:2], place) for place in moles]
        assert min(end) < 0.01
        picked.append(int(np.argmin(end)))
    assert 70 < sum(picked) < 130
    assert 70 < sum(nearer) < 130


def test_a_demonstration_begins_anywhere_and_in_one_case_of_four_as_an_episode_does() -> None:
    task = mole()
    begun = []
    for seed in range(600):
        task.scatter(seed)
        begun.append([*task.state(), *task.environment()])
    seen = np.array(begun)
    rests = (seen[:, 2:4] == 0.0).all(axis=1)
    assert 0.35 < rests.mean() < 0.55  # and of the others, one in four
    assert np.abs(seen[:, 4:]).max() <= FIELD_M
    assert np.abs(seen[:, :2]).max() > 0.34


def test_showing_puts_the_tool_and_the_moles_where_a_trace_has_them() -> None:
    task = two()
    task.show(np.array([0.25, -0.1, 0.5, 0.0]), np.array([-0.2, 0.15, 0.3, 0.0]))
    places = {name: task.data.body(name).xpos[:2].tolist() for name in ("mole", "mole2", "tool")}
    assert places == {"mole": [-0.2, 0.15], "mole2": [0.3, 0.0], "tool": pytest.approx([0.25, -0.1])}


# --- options ---


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"window_s": 0.0}, ("window_s is 0.0", "0.02 s")),
        ({"window_s": -1.5}, ("window_s is -1.5", "0.02 s")),
        *(
            ({"window_s": time_s}, (f"window_s is {time_s}", "3600 s"))
            for time_s in (3601.0, 1e300, math.inf, math.nan)
        ),
        ({"noise": math.inf}, ("noise is inf", "finite")),
        ({"noise": -0.1}, ("noise -0.1", "no negative")),
        ({"pace": 0.0}, ("pace is 0.0", "more than 0")),
        ({"pace": 1.2}, ("pace is 1.2", "or less")),
        ({"mode": "velocty"}, ("'velocty'", "did you mean 'velocity'")),
        ({"window_s": 0.004}, ("0.004",)),  # less than a tick
        ({"window_s": math.nan}, ("window_s is nan",)),
        ({"targets": 0}, ("targets is 0", "1 or 2")),
        ({"targets": 3}, ("targets is 3", "1 or 2")),
    ],
    ids=repr,
)
def test_an_option_that_cannot_be_is_refused_with_its_value(options: dict, parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        WhackAMole(**options)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_the_spec_names_what_the_arrays_hold(mode: str) -> None:
    task = mole(mode=mode)
    task.reset(0)
    assert [dim.name for dim in task.spec.state] == ["x", "y", "vx", "vy"]
    assert task.spec.environment == (Dim("mole_x", "m"), Dim("mole_y", "m"))
    assert (len(task.state()), len(task.environment())) == (4, 2)
    assert task.spec.rate_hz == RATE_HZ

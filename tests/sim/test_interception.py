import math
from itertools import pairwise

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim
from rollahead.sim.ball import BOUNCE_S, FAR_M, REACH_M, SIDE_M, START_M, TRAP_M, as_state
from rollahead.sim.event import LEAD, NEVER, PHASE
from rollahead.sim.gantry import PHYSICS_S, RATE_HZ
from rollahead.sim.interception import HOME, KICK_M, LOST_M, NEAR_M, SIDEWAYS, SPEEDS, Interception, aim

MODES = ("velocity", "absolute")
STILL = np.zeros(2)


def interception(**options: object) -> Interception:
    return Interception(**{"noise": 0.0} | options)


def act(task: Interception) -> None:
    """A tick of the expert."""
    seen = Observation(0, task.state(), task.environment())
    task.advance(task.expert(1)(seen, np.random.default_rng(0))[0])


def episode(task: Interception, seed: int, *, event: bool = True) -> FloatArray:
    """(n, 8): state and environment at the head of each tick, and after the last one; under the expert."""
    task.reset(seed, event=event)
    seen = [[*task.state(), *task.environment()]]
    while not task.done:
        act(task)
        seen.append([*task.state(), *task.environment()])
    return np.array(seen)


def put(task: Interception, paddle: tuple[float, ...], ball: tuple[float, ...]) -> None:
    """Paddle and ball as they are to be."""
    task.data.qpos[:] = (*paddle[:2], *ball[:2])
    task.data.qvel[:] = (*paddle[2:], *ball[2:])


# --- episodes ---


@pytest.mark.parametrize("event", [True, False])
def test_the_same_seed_is_the_same_episode_to_the_bit_whatever_was_played_before(event: bool) -> None:
    used = Interception(rally=2)
    episode(used, 3)
    used.scatter(1)
    fresh = episode(Interception(rally=2), 7, event=event)
    np.testing.assert_array_equal(episode(used, 7, event=event), fresh)


def test_the_ball_is_the_same_to_the_bit_whatever_the_paddle_does_until_they_touch() -> None:
    flights = []
    for action in (STILL, np.array([0.0, 0.05])):
        task = Interception()
        task.reset(11)
        flight = []
        while not task.done and task.environment()[0] > 0.05:
            flight.append(task.environment().tolist())
            task.advance(action)
        flights.append(flight)
    assert flights[0] == flights[1]
    assert len(flights[0]) > task.event_tick + 40


def test_without_the_stimulus_the_ball_waits_and_all_else_is_the_same_to_the_bit() -> None:
    task = Interception()
    with_, without = episode(task, 5), episode(task, 5, event=False)
    first = task.event_tick
    np.testing.assert_array_equal(with_[:first], without[:first])
    np.testing.assert_array_equal(with_[first, :4], without[first, :4])
    assert with_[first, 6] < 0
    assert (without[:, 4:] == without[0, 4:]).all()
    assert not task.success
    assert len(without) - 1 == first + task.max_ticks - LEAD - PHASE


def test_it_is_thrown_at_the_stimulus_from_the_far_end_at_about_a_flight_per_second_and_a_fifth() -> None:
    task = interception()
    speeds = []
    for seed in range(40):
        seen = episode(task, seed)
        first = task.event_tick
        assert LEAD <= first < LEAD + PHASE
        assert (seen[:first, 6:] == 0.0).all()
        assert seen[first, 4] == START_M
        assert abs(seen[first, 5]) <= 0.3
        assert abs(seen[first, 7]) <= SIDEWAYS
        speeds.append(-1.2 * seen[first, 6])
    assert SPEEDS[0] <= min(speeds) < 0.9
    assert 1.1 < max(speeds) <= SPEEDS[1]


def test_it_is_kicked_once_in_its_flight_and_keeps_its_speed_towards_the_paddle() -> None:
    task = interception()
    for seed in range(20):
        flight = episode(task, seed)[task.event_tick : -1, 4:]
        coming = flight[flight[:, 0] > 0.05]
        assert np.ptp(coming[:, 2]) < 1e-9
        clear = np.abs(coming[:, 1]) < SIDE_M
        sideways = np.abs(coming[clear, 3])
        kicks = np.flatnonzero(np.abs(np.diff(sideways)) > 1e-6)
        assert len(kicks) == 1, seed
        low = KICK_M[0] - 2 * SPEEDS[1] / (1.2 * RATE_HZ)  # it may have touched a wall then
        assert low <= coming[clear][kicks[0] + 1, 0] <= KICK_M[1]


@pytest.mark.parametrize("flight_s", [0.8, 2.0])
def test_a_longer_flight_is_a_slower_ball_and_a_longer_episode(flight_s: float) -> None:
    task = interception(flight_s=flight_s)
    seen = episode(task, 0)
    assert SPEEDS[0] <= -flight_s * seen[task.event_tick, 6] <= SPEEDS[1]
    assert len(seen) - 1 <= task.max_ticks == LEAD + PHASE + round(1.35 * flight_s * RATE_HZ)


# --- what meeting it is ---


def thrown(task: Interception, seed: int = 0) -> None:
    """An episode whose ball has been thrown and kicked, the paddle at home."""
    task.reset(seed)
    while task.environment()[0] > KICK_M[0] - 0.05:
        task.advance(STILL)


@every("off", [-0.05, -0.036, -0.028, -0.01, 0.0, 0.02, 0.028, 0.036, 0.05])
def test_a_ball_is_met_within_3_cm_of_the_middle_of_the_paddle_and_passes_beyond(off: float) -> None:
    task = interception()
    for start in np.linspace(0.2, 0.22, 5):
        thrown(task)
        put(task, (0.0, 0.1, 0.0, 0.0), (float(start), 0.1 + off, -0.8, 0.0))
        while not task.done:
            task.advance(STILL)
        assert task.success == (abs(off) < REACH_M)
        assert task.success == (task.environment()[2] > 0)
        assert task.success or task.environment()[0] == pytest.approx(LOST_M, abs=0.02)


def test_it_is_done_in_the_tick_in_which_it_flies_back_and_never_before() -> None:
    task = interception()
    for seed in range(20):
        seen = episode(task, seed)
        assert task.success, seed
        assert seen[-1, 6] > 0
        assert (seen[task.event_tick : -1, 6] <= 0).all()


def test_the_paddle_itself_is_hardly_pushed_by_the_ball() -> None:
    task = interception()
    thrown(task)
    put(task, (0.0, 0.0, 0.0, 0.0), (0.1, 0.0, -0.95, 0.0))
    pushed = 0.0
    while not task.done:
        task.advance(STILL)
        pushed = max(pushed, float(np.abs(task.state()).max()))
    assert 0.0 < pushed < 0.01


def test_nothing_goes_deeper_into_a_wall_than_it_flies_in_a_physics_step() -> None:
    task = interception(rally=3)
    for seed in range(5):
        balls = episode(task, seed)[:, 4:]
        assert balls[:, 0].max() < FAR_M + 1.2 * PHYSICS_S
        assert np.abs(balls[:, 1]).max() < SIDE_M + 2.0 * PHYSICS_S


# --- rallies ---


def test_a_rally_takes_so_many_returns_each_of_a_new_flight_with_a_new_kick() -> None:
    task = Interception(rally=3)
    for seed in range(5):
        seen = episode(task, seed)
        assert task.success
        turned = [i for i, (a, b) in enumerate(pairwise(seen[:, 6].tolist())) if a <= 0 < b]
        assert len(turned) == 3
        assert turned[-1] == len(seen) - 2
        thrown_at = [i for i, (a, b) in enumerate(pairwise(seen[:, 6].tolist())) if a >= 0 > b]
        assert len(thrown_at) == 3
        speeds = {round(-1.2 * seen[end - 2, 6], 6) for end in turned}
        assert len(speeds) == 3
        assert all(SPEEDS[0] - 1e-5 <= speed <= SPEEDS[1] + 1e-5 for speed in speeds)


def test_one_miss_ends_a_rally() -> None:
    task = Interception(rally=3)
    task.reset(0)
    while not task.done:
        returned = task.environment()[0] > 0.5 and task.environment()[2] > 0
        act(task)
        if returned:
            break
    while not task.done:  # the paddle runs away
        task.advance(np.array([0.0, 1.0 if task.state()[1] < 1.0 else 0.0]))
    assert not task.success
    assert task.environment()[0] < 0.0


# --- the expert and the rollers ---


@pytest.mark.parametrize("mode", MODES)
def test_an_instant_expert_meets_nearly_every_ball(mode: str) -> None:
    task = Interception(mode)
    met = 0
    for seed in range(40):
        episode(task, seed)
        met += task.success
    assert met >= 38


def test_the_expert_waits_in_the_middle_unless_a_ball_comes() -> None:
    assert aim((START_M, 0.2, 0.0, 0.0), 0.1) == HOME  # it waits
    assert aim((0.5, 0.2, 0.8, 0.1), 0.1) == HOME  # it flies away
    assert aim((0.4, 0.1, -0.8, 0.2), 0.1) == (0.0, pytest.approx(0.2))
    assert aim((0.8, 0.25, -0.8, 0.4), 0.1) == (0.0, pytest.approx(2 * SIDE_M - 0.65 + 0.4 * BOUNCE_S))


def test_the_expert_stays_where_it_is_while_a_ball_that_was_met_or_missed_is_near() -> None:
    assert aim((NEAR_M - 0.01, 0.2, 0.8, 0.1), 0.1) == (0.0, 0.1)
    assert aim((-0.05, 0.2, -0.8, 0.1), 0.1) == (0.0, 0.1)
    assert aim((TRAP_M, 0.2, 0.0, 0.0), 0.1) == (0.0, 0.1)


@pytest.mark.parametrize("mode", MODES)
def test_the_expert_plans_from_its_argument_and_a_longer_chunk_begins_as_a_shorter_one(mode: str) -> None:
    task = interception(mode=mode)
    task.reset(0)
    before = task.state(), task.environment()
    seen = Observation(0, np.array([0.05, -0.1, 0.1, 0.4]), np.array([0.6, 0.2, -0.8, 0.7]))
    short, long = (task.expert(horizon)(seen, np.random.default_rng(0)) for horizon in (5, 32))
    np.testing.assert_array_equal(short, long[:5])
    task.scatter(9)
    np.testing.assert_array_equal(task.expert(5)(seen, np.random.default_rng(7)), short)
    task.reset(0)
    np.testing.assert_array_equal(before, (task.state(), task.environment()))


@pytest.mark.parametrize("seed", range(4))
def test_the_scene_roller_is_what_mujoco_does_with_walls(seed: int) -> None:
    task = interception()
    rng = np.random.default_rng(seed)
    task.scatter(0)
    for _ in range(10):
        put(
            task, (-0.6, 0.0, 0.0, 0.0), (rng.uniform(0, 0.9), *rng.uniform(-0.34, 0.34, 1), *rng.uniform(-1.2, 1.2, 2))
        )
        start, at = task.environment(), task.state()
        for n in range(1, 60):
            task.advance(STILL)
            rolled = task.scene_roller()(start, at, np.zeros((n, 2)))
            np.testing.assert_allclose(rolled, task.environment(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("mode", MODES)
def test_and_with_a_paddle_that_meets_the_ball_with_its_face(mode: str) -> None:
    task = interception(mode=mode)
    rng = np.random.default_rng(1)
    task.scatter(0)
    for _ in range(30):
        paddle = (*rng.uniform(-0.02, 0.02, 2), *rng.uniform(-0.15, 0.15, 2))
        put(task, paddle, (rng.uniform(0.1, 0.2), paddle[1] + rng.uniform(-0.008, 0.008), -0.8, 0.0))
        start, at = task.environment(), task.state()
        hold = STILL if mode == "velocity" else np.array(paddle[:2])
        for _ in range(20):
            task.advance(hold)
        rolled = task.scene_roller()(start, at, np.tile(hold, (20, 1)))
        assert rolled[2] > 0
        np.testing.assert_allclose(rolled, task.environment(), rtol=0, atol=0.01)


# --- demonstrations ---


def demonstrated(task: Interception, seed: int, ticks: int, noise: float = 0.0) -> FloatArray:
    """(ticks, 8 + 2): state, environment and action at the head of each tick."""
    task.scatter(seed)
    plan, rng = task.demonstrator(), np.random.default_rng(seed)
    seen = []
    for _ in range(ticks):
        action = plan(Observation(0, task.state(), task.environment()), rng)[0]
        sent = action + noise * rng.standard_normal(2)
        seen.append([*task.state(), *task.environment(), *sent])
        task.advance(sent)
        assert not task.done
        assert not task.success
    return np.array(seen)


def test_a_demonstration_goes_on_without_end_and_without_surprises() -> None:
    task = Interception(noise=0.5)  # which is not of demonstrations
    strange = 0
    for seed in range(20):
        seen = demonstrated(task, seed, 150)
        assert task.event_tick == NEVER
        for now, then in pairwise(seen):
            rolled = task.scene_roller()(now[4:8], now[:4], now[None, 8:])
            strange += np.abs(rolled - then[4:8]).max() > 0.02
            if now[4] > 0.05:  # away from the paddle it is exact
                np.testing.assert_allclose(rolled, then[4:8], rtol=0, atol=1e-7)
    assert strange <= 20 * 150 / 500  # the paddle's edges


def test_in_a_demonstration_a_ball_that_was_returned_waits_at_the_far_end() -> None:
    task = Interception()
    task.scatter(next(seed for seed in range(99) if _comes(task, seed)))
    for _ in range(200):
        act(task)
    x, _, vx, vy = task.environment().tolist()
    assert (x, vx, vy) == (START_M, 0.0, 0.0)


def _comes(task: Interception, seed: int) -> bool:
    task.scatter(seed)
    ball = as_state(task.environment())
    return ball[0] > 0.5 and ball[2] < 0


def test_a_demonstration_begins_anywhere_and_in_one_case_of_four_as_an_episode_does() -> None:
    task = Interception()
    begun = []
    for seed in range(600):
        task.scatter(seed)
        begun.append([*task.state(), *task.environment()])
    seen = np.array(begun)
    rests = (seen[:, :4] == 0.0).all(axis=1)
    assert 0.2 < rests.mean() < 0.3
    assert (seen[rests, 4] == START_M).all()
    x, vx = seen[:, 4], seen[:, 6]
    for share, kind in (
        (0.3, (vx < 0) & (x > 0.1)),
        (0.1, vx > 0),
        (0.1, vx == 0.0),
        (0.04, (vx < 0) & (x < -0.03)),
        (0.1, (x == START_M) & (vx < 0)),
    ):
        assert kind.mean() > share
    assert (np.abs(seen[:, 5]) <= 0.34).all()
    assert (x > TRAP_M).all()


def test_the_same_seed_is_the_same_demonstration_to_the_bit() -> None:
    used = Interception()
    episode(used, 1)
    np.testing.assert_array_equal(demonstrated(used, 4, 60, 0.1), demonstrated(Interception(), 4, 60, 0.1))
    assert (demonstrated(used, 4, 60) != demonstrated(used, 5, 60)).any()


# --- options and drawing ---


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"flight_s": 0.1}, ("flight_s is 0.1", "0.4 s")),
        ({"flight_s": math.nan}, ("flight_s is nan",)),
        *(({"flight_s": time_s}, (f"flight_s is {time_s:g}", "3600 s")) for time_s in (3000.0, 1e300, math.inf)),
        ({"rally": 10**8}, ("rally 100000000", "3600 s")),
        ({"rally": 0}, ("rally 0", "1 return")),
        ({"noise": -0.1}, ("noise is -0.1", "at least 0")),
        ({"mode": "absolut"}, ("'absolut'", "did you mean 'absolute'")),
    ],
    ids=repr,
)
def test_an_option_that_cannot_be_is_refused_with_its_value(options: dict, parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        Interception(**options)
    for part in parts:
        assert part in str(caught.value)


def test_the_spec_names_what_the_arrays_hold() -> None:
    task = interception()
    assert task.spec.environment == (
        Dim("ball_x", "m"),
        Dim("ball_y", "m"),
        Dim("ball_vx", "m/s", rate_of="ball_x"),
        Dim("ball_vy", "m/s", rate_of="ball_y"),
    )
    assert [dim.name for dim in task.spec.action] == ["vx", "vy"]


def test_showing_puts_paddle_and_ball_where_a_trace_has_them() -> None:
    task = interception()
    task.show(np.array([0.01, 0.2, 0.3, 0.0]), np.array([0.5, -0.1, -0.8, 0.2]))
    assert task.data.body("ball").xpos[:2].tolist() == pytest.approx([0.5, -0.1])
    assert task.data.body("tool").xpos[:2].tolist() == pytest.approx([0.01, 0.2])
    assert task.data.body("beam").xpos[0] == pytest.approx(0.01)

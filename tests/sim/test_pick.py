import math
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim
from rollahead.sim.event import LEAD, NEVER, PHASE
from rollahead.sim.gantry import RATE_HZ
from rollahead.sim.pick import (
    AWAY_M,
    DWELL,
    FIELD_M,
    GRIP_M,
    GRIP_SPEED,
    JUMPS,
    OPEN_M,
    RADIUS_M,
    WIDTH_M,
    Pick,
    holds,
)

STILL = np.array([0.0, 0.0, OPEN_M])
SHUT = np.array([0.0, 0.0, 0.0])
WINDOW = round(2.6 * RATE_HZ)
JAWS = 5  # ticks from open to closed on an object
ATTACHED = {
    "name": "attached",
    "object": ["obj_x", "obj_y"],
    "tool": ["x", "y"],
    "gripper": "gripper",
    "closed": [-0.01, 0.042],
    "within": 0.02,
}


def pick(**options: object) -> Pick:
    return Pick(**{"noise": 0.0} | options)  # type: ignore[arg-type]


def act(task: Pick) -> None:
    """A tick of the expert."""
    seen = Observation(0, task.state(), task.environment())
    task.advance(task.expert(1)(seen, np.random.default_rng(0))[0])


def played(task: Pick, seed: int, *, event: bool = True, still: bool = False) -> FloatArray:
    """(n, 9): state and environment at the head of each tick, and after the last one."""
    task.reset(seed, event=event)
    seen = [[*task.state(), *task.environment()]]
    while not task.done:
        task.advance(STILL) if still else act(task)
        seen.append([*task.state(), *task.environment()])
    return np.array(seen)


def at_jump(task: Pick, seed: int) -> None:
    """The episode when the goal has jumped, the gripper open and far."""
    task.reset(seed)
    while task.environment()[2:].tolist() != list(task._job.jumped):
        task.advance(STILL)


def put_tool(task: Pick, place: FloatArray, velocity: tuple[float, float] = (0.0, 0.0)) -> None:
    task.data.qpos[:2], task.data.qvel[:2] = place, velocity


def grasped(task: Pick, off: tuple[float, float] = (0.0, 0.0)) -> None:
    """The object held by a gripper at rest whose middle is `off` it."""
    put_tool(task, task.environment()[:2] + off)
    for _ in range(9):
        task.advance(SHUT)


def gap(task: Pick) -> FloatArray:
    return task.environment()[:2] - task.state()[:2]


# --- episodes ---


def test_the_gripper_rests_on_the_last_object_until_the_next_comes_in_and_later_its_goal_jumps() -> None:
    task = pick()
    for seed in range(40):
        seen = played(task, seed, still=True)
        first, jump = task.event_tick, task.event_tick + task._job.jump_tick
        assert LEAD <= first < LEAD + PHASE
        np.testing.assert_allclose(seen[:first], [[*seen[0, :2], 0.0, 0.0, OPEN_M, *seen[0, :2], *seen[0, :2]]] * first)
        assert JUMPS[0] <= jump - first < JUMPS[1]
        before, obj, goal, jumped = seen[0, 5:7], seen[first, 5:7], seen[first, 7:], seen[jump, 7:]
        assert (seen[first:jump, 7:] == goal).all()
        assert (seen[jump:, 7:] == jumped).all()
        for one, other in ((before, obj), (obj, goal), (goal, jumped)):
            assert AWAY_M[0] < math.dist(one, other) < AWAY_M[1]
            assert np.abs(other).max() <= FIELD_M
        assert len(seen) - 1 == first + WINDOW
        assert not task.success


def test_in_most_episodes_the_goal_jumps_while_the_object_is_carried() -> None:
    task = pick()
    carried = 0
    for seed in range(40):
        seen = played(task, seed)
        at = seen[task.event_tick + task._job.jump_tick]
        carried += holds(tuple(at[:5]), tuple(at[5:7]))
    assert carried >= 24


# --- what the jaws do ---

NEAR, FAR = (0.0, GRIP_M * (1 - 1e-3)), (GRIP_M * (1 + 1e-3), 0.03)
SLOW, FAST = (0.0, GRIP_SPEED * 0.98), (GRIP_SPEED * 1.02, 0.6)


def test_jaws_grip_what_is_within_a_centimetre_and_a_half_and_slower_than_three_tenths_of_a_metre_per_second() -> None:
    assert (GRIP_M, GRIP_SPEED) == (0.015, 0.3)
    task = pick()
    for distance, speed, angle in product(NEAR + FAR, SLOW + FAST, (0.0, 2.1, 4.0)):
        task.reset(1)
        way = np.array([math.cos(angle), math.sin(angle)])
        for _ in range(JAWS - 1):
            task.advance(SHUT)
        assert task.state()[4] > WIDTH_M
        moving = np.array([-way[1], way[0]]) * speed
        put_tool(task, task.environment()[:2] + distance * way - moving / RATE_HZ, tuple(moving))
        task.advance(np.array([*moving, 0.0]))
        assert task.state()[4] <= WIDTH_M
        assert bool(task.data.eq_active.any()) == (distance in NEAR and speed in SLOW), (distance, speed)


def test_what_is_gripped_goes_where_the_tool_goes_until_the_jaws_are_opened() -> None:
    task = pick()
    task.reset(3)
    grasped(task, off=(0.008, -0.004))
    held, start = gap(task), task.state()[:2]
    for _ in range(20):
        task.advance(np.array([0.5, -0.7, 0.0]))
        np.testing.assert_allclose(gap(task), held, atol=1.5e-3)
    assert np.hypot(*(task.state()[:2] - start)) > 0.2
    for _ in range(40):
        task.advance(np.array([0.5, -0.7, OPEN_M]))
    assert np.hypot(*gap(task)) > 0.2
    assert np.hypot(*task.data.qvel[2:4]) < 1e-6


def test_jaws_that_are_closed_already_grip_nothing() -> None:
    task = pick()
    task.reset(4)
    put_tool(task, np.array([0.45, 0.45]))
    for _ in range(12):
        task.advance(SHUT)
    put_tool(task, task.environment()[:2])
    task.advance(SHUT)
    for _ in range(20):
        task.advance(np.array([0.5, 0.0, 0.0]))
    assert np.hypot(*gap(task)) > 0.1


# --- what a delivery is ---


@every(
    ("away", "opening", "speed", "delivered"),
    [
        (0.0, OPEN_M, 0.0, True),
        (RADIUS_M * 0.99, OPEN_M, 0.0, True),
        (RADIUS_M * 1.01, OPEN_M, 0.0, False),
        (0.0, 0.0, 0.0, False),
        (0.0, OPEN_M, 0.2, False),
    ],
)
def test_delivered_is_let_go_within_two_centimetres_of_the_goal_and_at_rest(
    away: float, opening: float, speed: float, delivered: bool
) -> None:
    task = pick()
    at_jump(task, 1)
    for tick in range(DWELL):
        assert not task.success
        task._opening = opening
        task.data.qpos[2:4] = task.environment()[2:] + np.array([away, 0.0])
        task.data.qvel[2:4] = [0.0, speed + 0.08 * bool(speed)]  # of which friction takes 0.06 m/s in a tick
        task.data.qpos[3] -= task.data.qvel[3] / RATE_HZ
        put_tool(task, np.array([0.45, 0.45]))
        task.advance(np.array([0.0, 0.0, opening]))
        assert task.success == task.done == (delivered and tick == DWELL - 1)


def test_what_lies_at_the_goal_before_it_has_jumped_is_no_success() -> None:
    task = pick()
    task.reset(2)
    while not task.event_tick + task._job.jump_tick <= task._tick:
        task.data.qpos[2:4] = task.environment()[2:]
        task.advance(STILL)
        assert not task.done


# --- the expert and the rollers ---


def test_an_instant_expert_delivers_nearly_everything() -> None:
    task = Pick()
    delivered = 0
    for seed in range(40):
        played(task, seed)
        delivered += task.success
    assert delivered >= 39


def test_an_expert_that_has_lost_the_object_goes_back_for_it() -> None:
    task = pick()
    at_jump(task, 5)
    grasped(task)
    task._put((0.2, -0.2) if task.environment()[2] < 0 else (-0.2, 0.2))
    for _ in range(100):
        act(task)
        if task.success:
            break
    assert task.success


def test_a_chunk_of_the_expert_delivers_without_looking_again() -> None:
    task = pick()
    at_jump(task, 6)
    rows = task.expert(110)(Observation(0, task.state(), task.environment()), np.random.default_rng(0))
    for row in rows:
        if not task.done:
            task.advance(row)
    assert task.success


def test_what_is_held_is_rolled_to_where_it_will_be_and_what_is_not_stays() -> None:
    task = pick()
    rollers = make_rollers(ATTACHED, Scene(task.spec, task))
    assert rollers.scene is not None
    for seed in range(10):
        at_jump(task, seed)
        while not task.done:
            seen, state = task.environment(), task.state()
            rows = task.expert(8)(Observation(0, state, seen), np.random.default_rng(0))
            for row in rows:
                task.advance(row)
            rolled = rollers.scene(seen, state, rows)
            np.testing.assert_allclose(rolled, task.environment(), atol=0.01)  # the load makes the servos 5 % slower
        assert task.success


# --- demonstrations ---


def test_a_demonstration_goes_on_without_end_and_ends_with_the_object_at_its_goal() -> None:
    task = Pick(noise=0.5)  # which is not of demonstrations
    for seed in range(15):
        task.scatter(seed)
        assert task.event_tick == NEVER
        goal = task.environment()[2:]
        for _ in range(200):
            act(task)
            assert not task.done
        assert (task.environment()[2:] == goal).all()
        assert np.hypot(*(task.environment()[:2] - goal)) < RADIUS_M
        assert task.state()[4] == pytest.approx(OPEN_M)


def test_half_of_all_demonstrations_begin_with_the_object_held() -> None:
    task = Pick()
    held = 0
    for seed in range(400):
        task.scatter(seed)
        held += holds(tuple(task.state()), tuple(task.environment()[:2]))
        assert bool(task.data.eq_active.all()) == holds(tuple(task.state()), tuple(task.environment()[:2]))
    assert 170 < held < 230


# --- options and drawing ---


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        *(({"window_s": time_s}, (f"window_s is {time_s}", "0.02 s", "3600 s")) for time_s in (0.0, 3601.0, math.nan)),
        ({"noise": -0.1}, ("noise is -0.1", "at least 0")),
    ],
    ids=repr,
)
def test_an_option_that_cannot_be_is_refused_with_its_value(options: dict[str, float], parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        Pick(**options)
    for part in parts:
        assert part in str(caught.value)


def test_the_spec_names_what_the_arrays_hold() -> None:
    task = pick()
    assert [dim.name for dim in task.spec.action] == ["vx", "vy", "gripper"]
    assert [dim.name for dim in task.spec.state] == ["x", "y", "vx", "vy", "gripper"]
    assert task.spec.environment == tuple(Dim(name, "m") for name in ("obj_x", "obj_y", "goal_x", "goal_y"))
    assert (len(task.state()), len(task.environment())) == (5, 4)


def test_showing_puts_gripper_object_and_goal_where_a_trace_has_them() -> None:
    task = pick()
    task.show(np.array([0.01, 0.2, 0.3, 0.0, 0.06]), np.array([0.3, -0.1, 0.2, 0.15]))
    assert task.data.body("obj").xpos[:2].tolist() == pytest.approx([0.3, -0.1])
    assert task.data.body("goal").xpos[:2].tolist() == pytest.approx([0.2, 0.15])
    assert task.data.body("tool").xpos[:2].tolist() == pytest.approx([0.01, 0.2])
    assert task.data.body("jaw_left").xpos[0] < 0.01 - 0.03
    assert task.data.body("jaw_right").xpos[0] > 0.01 + 0.03

"""A simulator that is stepped from where it was: chunks and rollers are what it then does, to the bit."""

from collections.abc import Callable
from itertools import pairwise

import mujoco
import numpy as np
import pytest

from rollahead.errors import ConfigError
from rollahead.evaluation import rollout
from rollahead.evaluation.rollout import Rollouts
from rollahead.runtime.rolling.roll import StateRoller
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.sim.belt import Belt, carried
from rollahead.sim.gantry import RATE_HZ

WHOLE = mujoco.mjtState.mjSTATE_INTEGRATION
RNG = np.random.default_rng(0)


class SteppedBelt(Belt):
    """The belt without noise, whose simulator is its own model."""

    def __init__(self) -> None:
        self.rollouts = Rollouts(self)
        super().__init__(noise=0.0)

    def reset(self, seed: int, *, event: bool = True) -> None:
        super().reset(seed, event=event)
        self.rollouts.keep()

    def advance(self, action: FloatArray) -> None:
        super().advance(action)
        self.rollouts.keep()

    def get_state(self) -> object:
        saved = np.empty(mujoco.mj_stateSize(self.model, WHOLE))
        mujoco.mj_getState(self.model, self.data, saved, WHOLE)
        return saved, self._object

    def set_state(self, saved: object) -> None:
        numbers, self._object = saved  # type: ignore[misc]
        mujoco.mj_setState(self.model, self.data, numbers, WHOLE)

    def step(self, action: FloatArray) -> None:
        self._gantry.step(action)
        self._object = carried(self._object)

    def act(self, state: FloatArray, environment: FloatArray) -> FloatArray:
        return self.expert(1)(Observation(0, state, environment), RNG)[0]


def seen_of(task: SteppedBelt) -> Observation:
    return Observation(0, task.state(), task.environment())


def moving(seed: int = 3, after: int = 10) -> SteppedBelt:
    """A belt on which an object has been coming for so many ticks."""
    task = SteppedBelt()
    task.reset(seed)
    plan = task.expert(1)
    for _ in range(task.event_tick + after):
        task.advance(plan(seen_of(task), RNG)[0])
    return task


def test_a_chunk_of_one_step_experts_is_what_they_do_tick_by_tick_to_the_bit() -> None:
    task = moving()
    rows = task.rollouts.expert(12)(seen_of(task), RNG)
    own = []
    for _ in range(12):
        own.append(task.act(task.state(), task.environment()))
        task.step(own[-1])
    np.testing.assert_array_equal(rows, own)


def test_rollers_give_what_comes_to_the_bit_and_leave_the_simulator_where_it_was() -> None:
    task = moving()
    state, environment = task.state(), task.environment()
    rows = np.random.default_rng(1).uniform(-1, 1, (9, 2))
    rolled = task.rollouts.roller()(state, rows)
    scene = task.rollouts.scene_roller()(environment, state, rows)
    np.testing.assert_array_equal([*task.state(), *task.environment()], [*state, *environment])
    for row in rows:
        task.step(row)
    np.testing.assert_array_equal(rolled, task.state())
    np.testing.assert_array_equal(scene, task.environment())


def test_what_was_rolled_to_can_be_planned_and_rolled_from_and_any_earlier_tick_too() -> None:
    task = moving()
    state, rows = task.state(), np.full((6, 2), 0.5)
    roll: StateRoller = task.rollouts.roller()
    np.testing.assert_array_equal(roll(roll(state, rows[:2]), rows[2:]), roll(state, rows))
    expected = roll(state, rows)
    task.reset(4)
    np.testing.assert_array_equal(roll(state, rows), expected)


def test_a_scene_that_was_not_rolled_is_planned_for_as_it_is_told() -> None:
    task = moving()
    state, scene = task.state(), task.environment()
    rolled = task.rollouts.roller()(state, np.full((8, 2), 0.3))
    moved = task.rollouts.scene_roller()(scene, state, np.full((8, 2), 0.3))
    assert moved[0] - scene[0] == pytest.approx(8 * scene[2] / RATE_HZ)
    first = task.rollouts.expert(1)(Observation(0, rolled, scene), RNG)[0]
    np.testing.assert_array_equal(first, task.act(rolled, scene))
    assert not np.array_equal(first, task.act(rolled, moved))


def test_no_rows_roll_nothing() -> None:
    task = moving()
    none = np.empty((0, 2))
    np.testing.assert_array_equal(task.rollouts.roller()(task.state(), none), task.state())
    np.testing.assert_array_equal(
        task.rollouts.scene_roller()(task.environment(), task.state(), none), task.environment()
    )


@pytest.mark.parametrize(
    "ask",
    [
        lambda task, state: task.rollouts.roller()(state, np.zeros((2, 2))),
        lambda task, state: task.rollouts.expert(4)(Observation(0, state, task.environment()), RNG),
    ],
    ids=["roller", "expert"],
)
def test_a_state_that_the_simulator_never_was_in_is_refused_with_what_to_do(
    ask: Callable[[SteppedBelt, FloatArray], object],
) -> None:
    task = moving()
    with pytest.raises(ConfigError, match=r"never in the state \[0.1 0.2 0.  0. \], .*; use the task's own roller"):
        ask(task, np.array([0.1, 0.2, 0.0, 0.0]))


def test_as_many_states_are_kept_as_are_said_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "MOST", 20)
    task = moving(after=5)
    states = []
    for _ in range(15):
        states.append(task.state())
        task.advance(np.array([1.0, 0.5]))
    roll = task.rollouts.roller()
    assert all(not np.array_equal(one, other) for one, other in pairwise(states))
    roll(states[-1], np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="never in the state"):
        roll(states[0], np.zeros((1, 2)))

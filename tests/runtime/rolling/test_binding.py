"""A robot whose every tick moves it by a step of its own: the state at a tick is the sum of the steps before it.

Whatever was measured when, rolling to tick T is right if and only if it gives `position(T)`.
"""

from collections import deque
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.strategy import Vlash
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.control.trigger import Every
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.rolling.binding import bind
from rollahead.runtime.rolling.roll import Chain, Delta, FirstOrderLag, StateRoller, VelocityLag, still
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Snapshot
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

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


@every(("delay", "age", "n_obs"), CASES)
def test_bound_at_any_tick_each_state_is_that_of_its_own_tick(delay: int, age: int, n_obs: int) -> None:
    asked = request(delay, age=age, n_obs=n_obs)
    for later in range(delay + 3):  # also past the end of the roll
        bound = bind(asked, snapshot(ASKED + later, age=age, n_obs=n_obs), ROLL)
        ticks = [ASKED + delay - back for back in reversed(range(n_obs))]
        assert [seen.tick for seen in bound] == ticks
        assert [float(seen.state[0]) for seen in bound] == pytest.approx([position(k) for k in ticks])


@every(("delay", "age", "n_obs"), CASES)
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


@every(("delay", "age", "n_obs"), CASES)
def test_a_snapshot_past_the_end_of_the_roll_is_not_used(delay: int, age: int, n_obs: int) -> None:
    asked = request(delay, age=age, n_obs=n_obs)
    for past in (1, 2, 5):
        bound = bind(asked, wrong(ASKED + delay + past, age=age, n_obs=n_obs), ROLL)[-1]
        assert float(bound.state[0]) == pytest.approx(position(ASKED + delay))
        assert bound.state_tick == ASKED - age


@every("epoch", [-1, 1, 2])
@every("later", range(5))
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


@every(("delay", "age", "n_obs"), CASES)
def test_a_scene_is_rolled_from_where_it_and_the_robot_were_at_its_own_tick(delay: int, age: int, n_obs: int) -> None:
    asked = request(delay, age=age, n_obs=n_obs)
    for later in range(delay + 3):  # whenever it is bound
        bound = bind(asked, snapshot(ASKED + later, age=age, n_obs=n_obs), ROLL, told)
        for old, new in zip(asked.observations, bound, strict=True):
            expected = [*old.environment, position(old.tick), *map(step, range(old.tick, new.tick))]
            assert new.environment.tolist() == pytest.approx(expected)


@every(("delay", "age", "n_obs"), CASES)
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


# ---- a robot that does what it was told some ticks ago ------------------------------------------------------------

TAU_S, PERIOD_S = 0.07, 0.02
DECAY = np.exp(-PERIOD_S / TAU_S)
LIMB = RobotSpec(
    (Dim("x", drives="x"), Dim("vy", kind=Kind.VELOCITY, drives="y"), Dim("dz", kind=Kind.DELTA, drives="z")),
    (Dim("x"), Dim("y"), Dim("vy", rate_of="y"), Dim("z")),
    1 / PERIOD_S,
)


@dataclass
class Limb:
    """x follows targets `x_ticks` late, y a rate `y_ticks` late, both lagging; z is moved in steps, at once. Before it
    was ever told anything it rests."""

    x_ticks: int
    y_ticks: int

    def path(self, sent: FloatArray) -> FloatArray:
        """(n + 1, 4), the state at the head of each tick, under `sent` (n, 3) from tick 0 on."""
        targets, rates = deque([sent[0, 0]] * self.x_ticks), deque([0.0] * self.y_ticks)
        states = [np.array([sent[0, 0], 0.5, 0.0, -0.5])]
        for target, rate, step in sent:
            x, y, vy, z = states[-1]
            targets.append(target)
            rates.append(rate)
            goal, pace = targets.popleft(), rates.popleft()
            y += pace * PERIOD_S + (vy - pace) * TAU_S * (1 - DECAY)
            states.append(np.array([goal + (x - goal) * DECAY, y, pace + (vy - pace) * DECAY, z + step]))
        return np.stack(states)

    @property
    def roller(self) -> StateRoller:
        """Its model."""
        x, y, vy, z = (np.array([i]) for i in range(4))
        return Chain(
            (
                FirstOrderLag(x, x, TAU_S, PERIOD_S, self.x_ticks),
                VelocityLag(y, y, vy, TAU_S, PERIOD_S, self.y_ticks),
                Delta(np.array([2]), z, np.array([False])),
            )
        )


def told_at(seed: int, ticks: int) -> FloatArray:
    """(ticks, 3): at first it is held, but for a step."""
    sent = np.random.default_rng(seed).normal(size=(ticks, 3))
    sent[0, 1] = 0.0
    return frozen(sent)


def seen_at(states: FloatArray, sent: FloatArray, k: int, age: int, n_obs: int) -> Snapshot:
    """The snapshot of tick k; what was measured before tick 0 is the state of rest."""
    window = tuple(Observation(j, frozen(states[max(j - age, 0)]), state_age=age) for j in range(k - n_obs + 1, k + 1))
    planned = sent[k : k + HORIZON]
    return Snapshot(k, window, frozen(sent[max(k - 2 * HORIZON, 0) : k]), frozen(planned), epoch=0, seed=0)


@every(("x_ticks", "y_ticks"), list(product(range(6), repeat=2)))
def test_a_robot_with_a_pure_delay_is_rolled_to_where_it_will_be(x_ticks: int, y_ticks: int) -> None:
    limb, sent = Limb(x_ticks, y_ticks), told_at(x_ticks, 60)
    states = limb.path(sent)
    for k, delay, age, n_obs in product((0, 1, 2, 5, 30), (0, 1, 4), range(3), (1, 2)):
        asked = seen_at(states, sent, k, age, n_obs)
        for later in range(delay + 1):
            newest = seen_at(states, sent, k + later, age, n_obs)
            for seen in bind(Request(asked, k + delay, k + delay, k + delay, delay), newest, limb.roller):
                np.testing.assert_allclose(seen.state, states[max(seen.tick, 0)], atol=1e-12)


@pytest.mark.parametrize("age", range(3))
def test_a_scene_is_rolled_with_the_state_of_a_delayed_robot(age: int) -> None:
    limb, sent = Limb(3, 5), told_at(7, 60)
    states = limb.path(sent)
    asked = seen_at(states, sent, 20, age, n_obs=2)
    bound = bind(Request(asked, 24, 24, 24, 4), seen_at(states, sent, 22, age, n_obs=2), limb.roller, told)
    for old, new in zip(asked.observations, bound, strict=True):
        expected = [*states[old.tick], *sent[old.tick : new.tick, 0]]  # and no rows from before
        np.testing.assert_allclose(new.environment, expected, atol=1e-12)


def test_where_nothing_is_known_of_what_was_sent_a_state_stays_as_it_was_measured() -> None:
    nothing = frozen(np.empty((0, 3)))
    asked = Snapshot(4, (Observation(4, frozen([1.0, 2.0, 3.0, 4.0])),), nothing, nothing, epoch=0, seed=0)
    (bound,) = bind(Request(asked, 7, 7, 7, 3), asked, Limb(2, 3).roller)
    assert bound.state.tolist() == [1.0, 2.0, 3.0, 4.0]


class LimbRobot(NullRobot):
    """A limb, driven; its readings are `age` ticks old."""

    def __init__(self, limb: Limb, age: int) -> None:
        super().__init__(LIMB)
        self._limb = limb
        self._age = age
        self.sent: list[FloatArray] = []
        self.states = np.array([[0.3, 0.5, 0.0, -0.5]])

    def read(self) -> Reading:
        return Reading(frozen(self.states[max(len(self.states) - 1 - self._age, 0)]), age=self._age)

    def write(self, setpoint: FloatArray) -> None:
        self.sent.append(setpoint)
        self.states = self._limb.path(np.stack(self.sent))


@every("age", range(3))
@every("delay", range(1, 5))
@every("ticks", range(HORIZON + 1))
def test_in_a_run_the_plan_starts_from_the_state_that_the_robot_comes_to(ticks: int, delay: int, age: int) -> None:
    robot = LimbRobot(Limb(ticks, HORIZON - ticks), age)  # history holds what delays of up to H ask for
    planned: list[Observation] = []

    def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
        planned.append(seen)
        return rng.normal(size=(HORIZON, 3))

    executor = Executor(robot, Vlash(Every(4)), DelayEstimator(fixed=delay), Trace(LIMB, 60), horizon=HORIZON)
    planner = ScriptedPlanner(plan, robot._limb.roller)
    inference = Inference(planner, SpeedUp(LIMB, 1), horizon=HORIZON, action_dim=3)
    Lockstep(executor, inference, Fixed(delay), lambda: None).run(0, 40)
    assert len(planned) >= 9
    for seen in [seen for seen in planned if seen.tick <= 40]:
        np.testing.assert_allclose(seen.state, robot.states[seen.tick], atol=1e-12)

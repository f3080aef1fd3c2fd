from dataclasses import replace
from itertools import product

import numpy as np

from every import every
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.rolling.roll import Absolute
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Snapshot
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import Dim, PolicySpec, RobotSpec, map_by_name

ROLL = Absolute(np.array([0]), np.array([0]))
T_OBS = 10


def snapshot(tick: int = T_OBS, *, seed: int = 1, epoch: int = 0, n_obs: int = 1) -> Snapshot:
    """The robot is at k at tick k, and what is planned keeps it so."""
    seen = tuple(Observation(k, frozen([float(k)]), frozen([100.0 + k])) for k in range(tick - n_obs + 1, tick + 1))
    planned = frozen(np.arange(tick + 1.0, tick + 9.0)[:, None])
    return Snapshot(tick, seen, frozen(np.empty((0, 1))), planned, epoch, seed)


def request(delay: int = 3, *, rolled: bool = True, **options: int) -> Request:
    asked = snapshot(**options)
    origin = asked.tick + delay
    return Request(asked, origin, origin, origin if rolled else None, delay)


def follow(observation: Observation, rng: np.random.Generator) -> FloatArray:
    """(2, 3): the state, the tick it is of, and what is seen of the scene."""
    return np.array([[observation.state[0], observation.tick, observation.environment[0]]] * 2)


def noise(observation: Observation, rng: np.random.Generator) -> FloatArray:
    return rng.standard_normal((4, 1))


@every("delay", range(5))
@every("n_obs", [1, 2])
def test_it_plans_from_the_state_at_the_tick_its_rows_begin(delay: int, n_obs: int) -> None:
    for later in range(delay + 3):
        asked = request(delay, n_obs=n_obs)
        result = ScriptedPlanner(follow, ROLL).infer(asked, lambda k=T_OBS + later: snapshot(k, n_obs=n_obs))
        assert result.rows.tolist() == [[T_OBS + delay, T_OBS + delay, 100.0 + T_OBS]] * 2
        assert result.anchor.tolist() == [T_OBS + delay]
        assert result.state_tick == (T_OBS + later if later <= delay else T_OBS)


def test_unless_it_is_told_to_roll_it_plans_from_what_was_observed() -> None:
    result = ScriptedPlanner(follow, ROLL).infer(request(rolled=False), lambda: snapshot(T_OBS + 1))
    assert (result.rows[0, 0], result.anchor[0], result.state_tick) == (T_OBS, T_OBS, T_OBS)


def test_a_plan_in_the_names_of_a_policy_is_mapped_to_those_of_the_robot_and_back() -> None:
    action = (Dim("x", drives="x"), Dim("y", drives="y"))
    robot = RobotSpec(action, (Dim("x"), Dim("y")), 50.0, environment=(Dim("mole"),))
    mapping = map_by_name(robot, PolicySpec(("y", "spare", "x"), ("y",), horizon=1, rate_hz=50.0))
    given: list[Observation] = []

    def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
        given.append(observation)
        return np.array([[2.0, 99.0, 1.0]])

    seen = Observation(T_OBS, frozen([5.0, 6.0]), frozen([7.0]))
    asked = Request(replace(snapshot(), observations=(seen,)), T_OBS, T_OBS, None, 0)
    assert ScriptedPlanner(plan, mapping=mapping).infer(asked, snapshot).rows.tolist() == [[1.0, 2.0]]
    assert (given[0].state.tolist(), given[0].environment.tolist(), given[0].tick) == ([6.0], [], T_OBS)


def test_its_noise_depends_on_run_epoch_and_tick_and_on_nothing_else() -> None:
    def drawn(delay: int, later: int, **options: int) -> tuple[float, ...]:
        asked = request(delay, **options)
        newest = replace(asked.asked, tick=asked.tick + later)
        return tuple(ScriptedPlanner(noise).infer(asked, lambda: newest).rows[:, 0])

    keys = list(product(range(2), range(2), range(5, 8)))
    draws = {
        (seed, epoch, tick): {
            drawn(delay, later, seed=seed, epoch=epoch, tick=tick) for delay, later in product(range(3), range(2))
        }
        for seed, epoch, tick in keys
    }
    assert all(len(same) == 1 for same in draws.values())
    assert len(set().union(*draws.values())) == len(keys)


def test_its_noise_is_a_stream_of_its_own_and_not_that_of_its_numbers_as_a_plain_seed() -> None:
    for seed, epoch, tick in product(range(2), range(2), range(1, 4)):
        asked = request(seed=seed, epoch=epoch, tick=tick)
        drawn = ScriptedPlanner(noise).infer(asked, lambda asked=asked: asked.asked).rows
        np.testing.assert_array_equal(drawn, generator("planner", seed, epoch, tick).standard_normal((4, 1)))
        assert (drawn != np.random.default_rng((seed, epoch, tick)).standard_normal((4, 1))).all()


def test_what_it_gives_cannot_be_written_and_answers_the_request() -> None:
    kept = np.zeros((2, 1))
    asked = request()
    result = ScriptedPlanner(lambda observation, rng: kept).infer(asked, snapshot)
    kept[:] = 9.0  # the function may go on using its array
    assert result.request is asked
    assert result.rows.tolist() == [[0.0], [0.0]]
    assert not result.rows.flags.writeable
    assert not result.anchor.flags.writeable
    assert (result.calls, result.cost) == (1, 0.0)

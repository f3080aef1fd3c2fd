from dataclasses import FrozenInstanceError, fields
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.strategy import Vlash
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.control.trigger import AsSoonAsPossible
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.chunk import Chunk
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot, nothing
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import Dim, RobotSpec

SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), rate_hz=50.0)


def snapshot(tick: int = 10, sent: int = 3, planned: int = 4, **options: object) -> Snapshot:
    """The action of tick k reads k."""
    rows = np.arange(tick - sent, tick + planned, dtype=np.float64)[:, None]
    observation = Observation(tick, frozen([0.0]))
    return Snapshot(tick, (observation,), frozen(rows[:sent]), frozen(rows[sent:]), **{"epoch": 2, "seed": 7} | options)


def request(**options: object) -> Request:
    return Request(snapshot(), **{"origin": 12, "start": 12, "roll_to": 12, "delay": 2} | options)


RESULT = Result(request(), frozen([[1.0]]), state_tick=10, anchor=frozen([0.0]), cost=1.0)
MESSAGES = [
    RESULT,
    RESULT.request,
    RESULT.request.asked,
    RESULT.request.asked.observation,
    Chunk(frozen([[0.0]]), 0, 0, 0, 0, 0, 0, 0),
    Reading(frozen([0.0])),
    Frame(np.zeros((1, 1, 3), np.uint8), 0),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_no_field_of_a_message_can_be_set_or_deleted(message: object) -> None:
    for field in fields(message):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(message, field.name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(message, field.name)


def test_every_array_that_executor_and_worker_exchange_is_read_only() -> None:
    robot = LoopbackRobot(SPEC)
    executor = Executor(
        robot, Vlash(AsSoonAsPossible()), DelayEstimator(fixed=1), Trace(SPEC, 20), horizon=4, n_obs=2, seed=1
    )
    inference = Inference(
        ScriptedPlanner(lambda observation, rng: np.ones((4, 1))), SpeedUp(SPEC, 1), horizon=4, action_dim=1
    )
    exchanged: list[np.ndarray] = []
    for k in range(8):
        executor.observe(k)
        seen = executor.outbox.peek()
        assert seen is not None
        exchanged += [seen.sent, seen.planned, *(old.state for old in seen.observations)]
        exchanged += [old.environment for old in seen.observations]
        if k % 2 and seen.request is not None:
            result = inference(seen.request, lambda message=seen: message)
            executor.inbox.put(result)
            exchanged += [result.rows, result.anchor, result.request.committed]
        executor.act(k)
    assert len(exchanged) > 40
    assert not any(array.flags.writeable for array in exchanged)


def test_the_environment_of_a_robot_that_sees_none_is_empty_and_read_only() -> None:
    assert nothing().shape == (0,)
    assert not nothing().flags.writeable
    assert Observation(0, frozen([1.0])).environment.shape == Reading(frozen([1.0])).environment.shape == (0,)


@pytest.mark.parametrize("age", range(4))
def test_a_state_was_measured_its_age_before_the_tick(age: int) -> None:
    assert Observation(9, frozen([0.0]), state_age=age).state_tick == 9 - age


def test_the_oldest_part_of_an_observation_is_its_oldest_image_or_the_state_whichever_is_older() -> None:
    for state_age, *image_ages in product(range(3), range(3), range(3)):
        for n in range(3):
            ticks = {f"camera{i}": 9 - age for i, age in enumerate(image_ages[:n])}
            seen = Observation(9, frozen([0.0]), image_ticks=ticks, state_age=state_age)
            assert seen.oldest_tick == min([9 - state_age, *ticks.values()])


def test_rows_are_what_was_sent_and_then_what_is_planned_and_none_before_the_first_action() -> None:
    for sent, planned in product(range(4), repeat=2):
        if sent + planned:
            known = range(10 - sent, 10 + planned)
            for start, length in product(range(5, 16), range(5)):
                rows = snapshot(10, sent, planned).rows(start, start + length)
                wanted = [min(k, known[-1]) for k in range(start, start + length) if k >= known[0]]
                np.testing.assert_array_equal(rows, np.array(wanted, float).reshape(-1, 1))


def test_an_open_request_is_added_to_a_copy() -> None:
    bare = snapshot()
    asking = bare.with_request(request())
    assert bare.request is None
    assert asking.request is not None
    kept = [f.name for f in fields(bare) if f.name != "request"]
    assert [getattr(asking, name) for name in kept] == [getattr(bare, name) for name in kept]


@every("delay", range(5))
def test_the_committed_rows_are_those_of_the_delay_and_the_deadline_is_their_end(delay: int) -> None:
    made = request(delay=delay)
    assert made.committed[:, 0].tolist() == list(range(10, 10 + delay))
    assert made.deadline == 10 + delay


def test_the_seed_differs_by_run_epoch_and_tick_and_by_nothing_else() -> None:
    seeds = {
        Request(snapshot(tick, epoch=epoch, seed=seed), None, None, None, delay).seed
        for tick, epoch, seed, delay in product(range(3), range(3), range(3), range(3))
    }
    assert len(seeds) == 27

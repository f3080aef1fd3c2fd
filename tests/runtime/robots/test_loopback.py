from itertools import product

import numpy as np
import pytest

from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec


def robot(actions: int = 2, states: int = 2, environment: int = 0) -> LoopbackRobot:
    action = tuple(Dim(f"{i}", kind=Kind.DISCRETE) for i in range(actions))  # they may be more than is measured
    groups = [tuple(Dim(f"{i}") for i in range(n)) for n in (states, environment)]
    return LoopbackRobot(RobotSpec(action, groups[0], rate_hz=50.0, environment=groups[1]))


def test_it_is_at_zero_until_it_is_told_otherwise() -> None:
    for states, environment in product(range(4), repeat=2):
        reading = robot(2, states, environment).read()
        np.testing.assert_array_equal(reading.state, np.zeros(states))
        np.testing.assert_array_equal(reading.environment, np.zeros(environment))
        assert reading.age == 0


def test_its_state_is_the_last_setpoint_cut_or_padded_with_zeros() -> None:
    for actions, states in product(range(5), repeat=2):
        made = robot(actions, states)
        for scale in (1.0, -2.0):
            setpoint = frozen(scale * np.arange(1.0, actions + 1.0))
            made.write(setpoint)
            expected = [*setpoint.tolist(), *[0.0] * states][:states]
            np.testing.assert_array_equal(made.read().state, expected)


def test_what_it_was_sent_and_is_at_does_not_change_when_the_sender_reuses_its_array() -> None:
    made, buffer = robot(), np.array([1.0, 2.0])
    made.write(buffer)
    buffer[:] = 9.0
    assert made.read().state.tolist() == [1.0, 2.0]
    assert made.sent[0].tolist() == [1.0, 2.0]


def test_a_reading_cannot_be_written_and_does_not_change_with_the_next_setpoint() -> None:
    made = robot(environment=1)
    before = made.read()
    made.write(frozen([1.0, 2.0]))
    assert before.state.tolist() == [0.0, 0.0]
    for array in (before.state, before.environment, made.read().state):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 5.0


def test_it_remembers_that_it_was_stopped_and_goes_on_where_it_was() -> None:
    made = robot()
    made.connect()
    made.write(frozen([3.0, 4.0]))
    assert not made.stopped
    made.stop()
    made.disconnect()
    assert made.stopped
    assert made.read().state.tolist() == [3.0, 4.0]

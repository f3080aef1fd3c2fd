"""From where the next setpoint goes on. In motion, `test_loop` and `test_limits` hold it."""

from dataclasses import replace

import numpy as np

from every import every
from rollahead.runtime.control.observation_buffer import ObservationBuffer
from rollahead.runtime.control.whereabouts import DOUBTS, Whereabouts
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.safety.guard import Guard, GuardConfig
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import Dim, RobotSpec

SPEC = RobotSpec(
    tuple(Dim(name, low=-9.0, high=9.0, rate_limit=4.0, drives=name) for name in "xy"), (Dim("x"), Dim("y")), 10.0
)  # far is 1, and readings agree within 0.98
LAST = frozen([0.0, 0.0])


class Placed(LoopbackRobot):
    """It stands where it is put."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.at: FloatArray | None = LAST

    def read(self) -> Reading:
        if self.at is None:
            raise OSError("no answer")
        return Reading(self.at)


class Stage:
    def __init__(self) -> None:
        self.robot = Placed()
        self.buffer = ObservationBuffer(self.robot, Guard(SPEC, GuardConfig()), 1)
        self.whereabouts = Whereabouts(SPEC, Hold(SPEC), self.buffer)
        self.k = 0
        self.buffer.first_look()

    def look(self, *at: float | None) -> bool:
        """A tick in which the robot is read there; whether something may be sent."""
        self.robot.at = None if None in at else frozen(at)
        self.buffer.look(self.k, LAST)
        self.whereabouts.look(LAST)
        self.k += 1
        return self.whereabouts.known

    def started(self) -> "Stage":
        assert self.look(0.0, 0.0)
        self.whereabouts.sent()
        return self


def test_at_the_start_two_readings_must_agree() -> None:
    stage = Stage()
    assert not stage.look(5.0, 0.0)
    assert stage.look(5.1, 0.0)
    assert stage.whereabouts.hold(None).tolist() == [5.1, 0.0]


def test_after_an_estop_a_reading_from_before_it_is_not_enough() -> None:
    stage = Stage().started()
    stage.whereabouts.lose()
    assert not stage.whereabouts.known  # as where a reset comes in the same tick
    assert stage.look(0.5, 0.0)
    assert stage.whereabouts.hold(LAST).tolist() == [0.5, 0.0]


@every("tick", range(DOUBTS + 2))
def test_after_a_resume_a_dimension_that_is_far_begins_there_if_two_readings_say_so_soon(tick: int) -> None:
    stage = Stage().started()
    stage.whereabouts.doubt()
    held = []
    for k in range(DOUBTS + 3):
        assert stage.look(3.0 if k >= tick else 9.0 * (-1) ** k, 0.5)  # wild before
        held.append(stage.whereabouts.hold(LAST).tolist())
        stage.whereabouts.sent()
    found = [k for k, at in enumerate(held) if at == [3.0, 0.0]]
    assert found == ([tick + 1] if tick + 1 < DOUBTS else [])
    assert all(at == [0.0, 0.0] for k, at in enumerate(held) if k not in found)


def test_where_it_was_found_far_and_nothing_was_sent_the_hold_goes_on_whatever_is_read_next() -> None:
    stage = Stage().started()
    stage.whereabouts.doubt()
    assert stage.look(3.0, 0.0) or True
    assert stage.look(3.0, 0.0)
    assert stage.whereabouts.anew is not None  # and the tick is too late for its setpoints
    assert stage.look(None)
    assert stage.whereabouts.hold(LAST).tolist() == LAST.tolist()


def test_how_long_readings_do_not_agree_is_counted_until_they_do() -> None:
    stage = Stage()
    for k in range(5):
        assert not stage.look(5.0 * (-1) ** k, 0.0)
        assert stage.whereabouts.unsettled_ticks == k + 1
    assert stage.look(5.0, 0.0)
    assert stage.whereabouts.unsettled_ticks == 0


def test_a_robot_whose_numbers_have_no_limit_begins_at_any_reading() -> None:
    free = RobotSpec((Dim("x", drives="x"),), (Dim("x", "widgets"),), 10.0)
    assert Hold(free).far(np.array([99.0]), np.array([0.0])) is None
    assert Hold(replace(free, rate_hz=20.0)).first(frozen([99.0]), None).tolist() == [99.0]

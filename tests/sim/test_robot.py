import numpy as np
import pytest

from rollahead.runtime.types.robot import Robot
from rollahead.sim.mole import WhackAMole
from rollahead.sim.robot import SimRobot


def robot_of(mode: str = "velocity") -> tuple[SimRobot, WhackAMole]:
    task = WhackAMole(mode, noise=0.0)
    task.reset(0)
    return SimRobot(task), task


def test_a_simulated_robot_is_a_robot() -> None:
    robot: Robot = robot_of()[0]
    robot.connect()
    robot.stop()
    robot.disconnect()


def test_it_measures_the_tasks_state_and_scene_of_now() -> None:
    robot, task = robot_of()
    for _ in range(3):
        reading = robot.read()
        np.testing.assert_array_equal(reading.state, task.state())
        np.testing.assert_array_equal(reading.environment, task.environment())
        assert reading.age == 0
        robot.write(np.array([0.3, -0.1]))
        robot.advance()


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_sensors_that_are_late_show_what_was_and_say_how_long_ago(lag: int) -> None:
    task = WhackAMole(noise=0.0)
    task.reset(0)
    robot, were = SimRobot(task, lag), []
    for k in range(8):
        were.append((task.state(), task.environment()))
        reading = robot.read()
        assert reading.age == min(k, lag)
        np.testing.assert_array_equal(reading.state, were[k - reading.age][0])
        np.testing.assert_array_equal(reading.environment, were[k - reading.age][1])
        robot.write(np.array([0.3, -0.1]))
        robot.advance()


def test_it_has_the_tasks_spec_and_no_cameras() -> None:
    robot, task = robot_of()
    assert robot.spec is task.spec
    assert robot.frames() == {}


def test_writing_moves_nothing_until_the_world_moves_on() -> None:
    robot, task = robot_of()
    before = task.state()
    robot.write(np.array([1.0, 1.0]))
    np.testing.assert_array_equal(robot.read().state, before)
    robot.advance()
    assert (robot.read().state[2:] > 0).all()


def test_until_something_is_written_the_world_stands_still() -> None:
    robot, task = robot_of()
    before = task.state()
    for _ in range(task.max_ticks + 5):
        robot.advance()
    np.testing.assert_array_equal(task.state(), before)
    assert not task.done


def test_the_last_setpoint_stays_in_effect() -> None:
    (once, first), (again, second) = robot_of(), robot_of()
    setpoint = np.array([0.4, 0.2])
    once.write(setpoint)
    for _ in range(6):
        once.advance()
        again.write(setpoint)
        again.advance()
    np.testing.assert_array_equal(first.state(), second.state())


def test_of_two_setpoints_within_a_tick_the_newer_counts() -> None:
    robot, task = robot_of()
    robot.write(np.array([-1.0, -1.0]))
    robot.write(np.array([1.0, 1.0]))
    robot.advance()
    assert (task.state()[2:] > 0).all()

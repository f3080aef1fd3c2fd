"""The simulated world in real time: its process, and its robot as the executor drives it."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from rollahead.errors import RobotError
from rollahead.runtime.system.clock import MonotonicClock
from rollahead.runtime.types.arrays import frozen
from rollahead.sim import world as world_module
from rollahead.sim.mole import WhackAMole
from rollahead.sim.world import SimulatedRobot, World

RIGHT = frozen([0.3, 0.0])


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World({"name": "mole"}) as made:
        yield made


def until(holds: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    for _ in range(3000):
        if holds():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never came to that")


def connected(world: World, seed: int = 0, *, event: bool = True) -> SimulatedRobot:
    world.reset(seed, event=event)
    robot = world.make_robot()
    robot.connect()
    return robot


def test_a_world_that_was_not_reset_has_no_robot_to_connect() -> None:
    with World({"name": "mole"}) as fresh, pytest.raises(RobotError, match="stands in no episode; reset it first"):
        fresh.make_robot().connect()


@pytest.mark.parametrize("seed", [0, 7])
def test_an_episode_begins_as_the_task_does_and_stands_still_until_something_is_sent(world: World, seed: int) -> None:
    robot, task = connected(world, seed), WhackAMole()
    task.reset(seed)
    for _ in range(3):
        reading = robot.read()
        np.testing.assert_array_equal(reading.state, task.state())
        np.testing.assert_array_equal(reading.environment, task.environment())
        assert reading.age == 0
        threading.Event().wait(0.03)
    assert (world.ticks, world.done) == (0, False)
    assert world.task.event_tick == task.event_tick


def test_it_moves_on_every_period_under_the_newest_setpoint_as_the_task_does(world: World) -> None:
    robot, task = connected(world), WhackAMole()
    task.reset(0)
    robot.write(RIGHT)
    until(lambda: world.ticks >= 10)
    robot.stop()
    until(lambda: world.stopped)
    for _ in range(world.ticks):
        task.advance(RIGHT)
    np.testing.assert_array_equal(robot.read().state, task.state())


def test_nothing_waits_for_a_robot_that_sends_no_more(world: World) -> None:
    robot = connected(world)
    robot.write(RIGHT)
    until(lambda: world.done)
    assert world.ticks == WhackAMole().max_ticks - 64 + world.task.event_tick - 48
    assert not world.success


def test_a_state_of_a_world_that_has_ended_grows_old(world: World) -> None:
    robot = connected(world)
    robot.write(RIGHT)
    until(lambda: world.done)
    until(lambda: robot.read().age >= 2)


def test_a_stopped_robot_stands_still(world: World) -> None:
    robot = connected(world)
    robot.write(RIGHT)
    until(lambda: world.ticks >= 3)
    robot.stop()
    until(lambda: world.stopped)
    before = world.ticks
    threading.Event().wait(0.1)
    assert world.ticks == before


def test_an_episode_can_be_left_for_the_next_at_any_time(world: World) -> None:
    for seed in range(3):
        robot = connected(world, seed)
        robot.write(RIGHT)
        until(lambda: world.ticks >= 2)
    assert connected(world, 9).read().age == 0
    assert world.ticks == 0


def test_a_robot_of_an_old_episode_moves_nothing_in_a_new_one(world: World) -> None:
    old = connected(world, 0)
    connected(world, 1)
    old.write(RIGHT)
    threading.Event().wait(0.15)
    assert world.ticks == 0


def test_an_interrupt_of_the_whole_terminal_is_not_its_affair(world: World) -> None:
    robot = connected(world)
    robot.write(RIGHT)
    until(lambda: world.ticks >= 2)
    os.kill(world.process, signal.SIGINT)
    before = world.ticks
    until(lambda: world.ticks > before + 2)
    robot.stop()


def test_a_world_whose_process_is_gone_is_told_in_words() -> None:
    with World({"name": "mole"}) as doomed:
        connected(doomed)
        os.kill(doomed.process, signal.SIGKILL)
        with pytest.raises(RobotError, match="process is gone; see what it printed, and make another"):
            for _ in range(2):
                doomed.reset(1)


def test_a_world_whose_process_is_gone_is_no_lost_episode() -> None:
    with World({"name": "mole"}) as doomed:
        connected(doomed)
        os.kill(doomed.process, signal.SIGKILL)
        with pytest.raises(RobotError, match="process is gone"):
            until(lambda: doomed.done)


def test_leaving_it_ends_its_process() -> None:
    with World({"name": "mole"}) as made:
        pid = made.process
        assert pid in {child.pid for child in multiprocessing.active_children()}
    assert pid not in {child.pid for child in multiprocessing.active_children()}


def test_the_state_is_no_older_than_a_period_while_the_world_moves(world: World) -> None:
    robot, clock = connected(world), MonotonicClock()
    robot.write(RIGHT)
    ages = []
    until(lambda: world.ticks >= 2)
    while world.ticks < 12:
        ages.append(robot.read().age)
        clock.sleep_until_ns(clock.now_ns() + 1_000_000)
    robot.stop()
    assert np.median(ages) == 0


def test_after_a_stop_it_goes_on_when_something_is_sent_again_as_if_no_time_had_passed(world: World) -> None:
    robot, task = connected(world), WhackAMole()
    task.reset(0)
    robot.write(RIGHT)
    until(lambda: world.ticks >= 3)
    robot.stop()
    until(lambda: world.stopped)
    threading.Event().wait(0.1)
    assert robot.read().age == 0
    stood = world.ticks
    robot.write(RIGHT)
    until(lambda: world.ticks >= stood + 3)
    robot.stop()
    until(lambda: world.stopped)
    assert world.ticks < stood + 6  # nothing was caught up
    for _ in range(world.ticks):
        task.advance(RIGHT)
    np.testing.assert_array_equal(robot.read().state, task.state())


STOPS = """
import os, signal, sys
from rollahead.sim.world import World
with World({"name": "mole"}) as world:
    world.reset(0)
    print(world.process, flush=True)
    sys.stdin.readline()
print("left", flush=True)
"""


def test_a_world_that_is_stopped_does_not_keep_the_program_from_ending() -> None:
    program = subprocess.Popen([sys.executable, "-c", STOPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdin is not None
    assert program.stdout is not None
    child = int(program.stdout.readline())
    os.kill(child, signal.SIGSTOP)
    try:
        out, _ = program.communicate("end\n", timeout=15)
    finally:
        program.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    assert (out, program.returncode) == ("left\n", 0)


def test_a_world_that_is_left_by_an_interrupt_while_it_is_stopped_is_gone_too() -> None:
    made = World({"name": "mole"})
    with pytest.raises(KeyboardInterrupt), made:
        made.reset(0)
        os.kill(made.process, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert made.process not in {child.pid for child in multiprocessing.active_children()}


def test_a_reset_of_a_world_that_is_stopped_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with World({"name": "mole"}) as made:
        made.reset(0)
        monkeypatch.setattr(world_module, "PATIENCE_S", 0.2)
        os.kill(made.process, signal.SIGSTOP)
        with pytest.raises(RobotError, match=rf"within 0.2 s: its process is stopped.*kill -CONT {made.process}"):
            made.reset(1)
        os.kill(made.process, signal.SIGCONT)

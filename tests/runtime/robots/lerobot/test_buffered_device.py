"""The thread that has a robot of LeRobot: what it does when, and that nobody waits for it. The robot is a plain one."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rollahead.errors import ConfigError, RobotError
from rollahead.runtime.robots.lerobot import buffered_device as pumps
from rollahead.runtime.robots.lerobot.buffered_device import BufferedDevice
from rollahead.runtime.robots.lerobot.command_writer import CommandWriter
from rollahead.runtime.system.clock import FakeClock
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec

RATE_HZ = 50.0
PERIOD_NS = int(1e9 / RATE_HZ)
LONG_S = 30.0  # nothing waits for so long unless a test fails
SPEC = RobotSpec(
    action=(Dim("v", kind=Kind.VELOCITY, rate_limit=25.0), Dim("x", drives="x")),
    state=(Dim("x"), Dim("v")),
    rate_hz=RATE_HZ,
    cameras=(Camera("front", 2, 2),),
)


class Device:
    """A robot in LeRobot's manner; `gate` shut, its get_observation does not return."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.sent: list[dict[str, float]] = []
        self.errors: dict[str, list[BaseException]] = {"get_observation": [], "send_action": []}
        self.gate = threading.Event()
        self.gate.set()
        self.inside = threading.Event()
        self.x = 0.0
        self.buffer = np.zeros((2, 2, 3), np.uint8)
        self.blind = False

    def get_observation(self) -> dict[str, Any]:
        self.calls.append("get_observation")
        if not self.gate.is_set():
            self.inside.set()
            self.gate.wait(LONG_S)
            self.inside.clear()
        if self.errors["get_observation"]:
            raise self.errors["get_observation"].pop()
        self.buffer += 1
        return {"x": self.x, "v": 0.5, **({} if self.blind else {"front": self.buffer})}

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        self.calls.append("send_action")
        if self.errors["send_action"]:
            raise self.errors["send_action"].pop()
        self.sent.append(action)
        self.x = action["x"]
        return action


class Rig:
    """A pump, its robot and its clock."""

    def __init__(self) -> None:
        self.device = Device()
        self.clock = FakeClock()
        observed = self.device.get_observation()
        self.pump = BufferedDevice(self.device, SPEC, CommandWriter(self.device, SPEC), observed, self.clock)

    def hang(self) -> None:
        """From now on it hangs in get_observation."""
        self.device.gate.clear()
        until(self.device.inside.is_set)


def setpoint(v: float, x: float) -> FloatArray:
    return frozen([v, x])


def until(holds: Callable[[], Any]) -> Any:
    """Waits until it holds, and gives what it is."""
    for _ in range(2000):
        if found := holds():
            return found
        threading.Event().wait(0.005)
    raise AssertionError("it never came to hold")


def failure_of(call: Callable[[], object]) -> RobotError | None:
    try:
        call()
    except RobotError as error:
        return error
    return None


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.device.gate.set()
    assert made.pump.close()


def test_a_setpoint_is_sent_by_name_and_then_the_robot_is_observed(rig: Rig) -> None:
    rig.pump.write(setpoint(1.0, 7.0))
    until(lambda: rig.pump.read().state.tolist() == [7.0, 0.5])
    assert rig.device.sent == [{"v": 1.0, "x": 7.0}]
    sent_at = rig.device.calls.index("send_action")
    assert "get_observation" in rig.device.calls[sent_at:]


def test_without_setpoints_it_goes_on_observing(rig: Rig) -> None:
    before = len(rig.device.calls)
    until(lambda: len(rig.device.calls) >= before + 3)
    assert rig.device.sent == []


def test_a_setpoint_is_sent_once_and_the_one_in_between_not_at_all(rig: Rig) -> None:
    rig.hang()
    for x in (1.0, 2.0, 3.0):
        rig.pump.write(setpoint(0.0, x))
    rig.device.gate.set()
    seen = len(rig.device.calls)
    until(lambda: len(rig.device.calls) >= seen + 4)
    assert [sent["x"] for sent in rig.device.sent] == [3.0]


def test_a_slow_observation_delays_neither_writing_nor_reading(rig: Rig) -> None:
    rig.hang()
    rig.pump.write(setpoint(0.0, 9.0))
    assert rig.pump.read().state.tolist() == [0.0, 0.5]
    assert list(rig.pump.frames()) == ["front"]
    assert rig.device.inside.is_set()  # all this time
    assert rig.device.sent == []


def test_state_and_images_are_as_old_as_the_whole_periods_since_they_were_asked_for(rig: Rig) -> None:
    rig.hang()
    assert (rig.pump.read().age, rig.pump.frames()["front"].age) == (0, 0)
    rig.clock.advance(PERIOD_NS - 1)
    assert (rig.pump.read().age, rig.pump.frames()["front"].age) == (0, 0)
    rig.clock.advance(2 * PERIOD_NS + 2)
    assert (rig.pump.read().age, rig.pump.frames()["front"].age) == (3, 3)
    rig.device.gate.set()
    until(lambda: rig.pump.read().age == 0)


def test_an_image_that_was_given_does_not_change_when_the_robot_uses_its_own_again(rig: Rig) -> None:
    image = rig.pump.frames()["front"].image
    before = image.copy()
    until(lambda: rig.pump.frames()["front"].image[0, 0, 0] > before[0, 0, 0])
    np.testing.assert_array_equal(image, before)
    assert not image.flags.writeable


def test_a_camera_that_gives_nothing_keeps_its_last_image_and_its_age(rig: Rig) -> None:
    rig.device.blind = True
    rig.hang()
    rig.device.gate.set()  # the next observations are without an image
    seen = len(rig.device.calls)
    until(lambda: len(rig.device.calls) >= seen + 2)
    rig.clock.advance(2 * PERIOD_NS)
    until(lambda: rig.pump.read().age == 0)
    assert rig.pump.frames()["front"].age == 2
    assert rig.pump.frames()["front"].stamp == rig.clock.now_ns() - 2 * PERIOD_NS


def call_of(rig: Rig, call: str) -> Callable[[], object]:
    """Where a failure of `call` is raised."""
    return rig.pump.read if call == "get_observation" else lambda: rig.pump.write(setpoint(0.0, 1.0))


@pytest.mark.parametrize("call", ["get_observation", "send_action"])
def test_what_the_robot_raises_is_raised_once_where_it_matters_and_the_pump_goes_on(rig: Rig, call: str) -> None:
    rig.device.errors[call].append(OSError("no\nanswer"))
    error = failure_of(lambda: rig.pump.write(setpoint(0.0, 1.0))) or until(lambda: failure_of(call_of(rig, call)))
    assert str(error) == f"the robot failed in {call} (OSError: no answer)"
    assert isinstance(error.__cause__, OSError)
    rig.pump.write(setpoint(0.0, 4.0))
    until(lambda: rig.pump.read().state[0] == 4.0)


@pytest.mark.parametrize("call", ["get_observation", "send_action"])
def test_a_driver_that_calls_exit_does_not_end_the_pump_without_a_word(rig: Rig, call: str) -> None:
    rig.device.errors[call].append(SystemExit("the driver's licence is over"))
    error = failure_of(lambda: rig.pump.write(setpoint(0.0, 1.0))) or until(lambda: failure_of(call_of(rig, call)))
    assert str(error) == f"the robot failed in {call} (SystemExit: the driver's licence is over)"
    rig.pump.write(setpoint(0.0, 4.0))
    until(lambda: rig.pump.read().state[0] == 4.0)


def test_an_observation_that_failed_keeps_no_setpoint_back(rig: Rig) -> None:
    rig.hang()
    rig.device.errors["get_observation"].append(OSError("no answer"))
    rig.device.gate.set()
    rig.pump.write(setpoint(0.0, 6.0))
    until(lambda: {"v": 0.0, "x": 6.0} in rig.device.sent)


# ---- coming to rest -------------------------------------------------------------------------------------------------


def test_at_rest_the_last_targets_are_sent_again_without_any_velocity(rig: Rig) -> None:
    rig.pump.write(setpoint(1.0, 7.0))
    until(lambda: rig.device.sent)
    rig.pump.rest()
    assert rig.device.sent == [{"v": 1.0, "x": 7.0}, {"v": 0.0, "x": 7.0}]


def test_a_robot_that_was_never_sent_anything_is_not_sent_a_rest(rig: Rig) -> None:
    rig.pump.rest()
    assert rig.device.sent == []


def test_what_was_asked_before_a_rest_is_not_sent_after_it_and_what_is_asked_then_is(rig: Rig) -> None:
    rig.pump.write(setpoint(1.0, 7.0))
    until(lambda: rig.device.sent)
    rig.hang()
    rig.pump.write(setpoint(1.0, 8.0))
    resting = threading.Thread(target=rig.pump.rest)
    resting.start()
    until(lambda: rig.pump._rests.peek())
    rig.device.gate.set()
    resting.join(LONG_S)
    rig.pump.write(setpoint(2.0, 9.0))
    until(lambda: len(rig.device.sent) >= 3)
    assert [(sent["v"], sent["x"]) for sent in rig.device.sent] == [(1.0, 7.0), (0.0, 7.0), (2.0, 9.0)]


def test_a_rest_that_the_robot_refuses_is_an_error(rig: Rig) -> None:
    rig.pump.write(setpoint(1.0, 7.0))
    until(lambda: rig.device.sent)
    rig.device.errors["send_action"].append(OSError("no answer"))
    with pytest.raises(RobotError, match=r"did not stop \(OSError: no answer\)"):
        rig.pump.rest()


def test_a_robot_that_hangs_while_it_observes_is_brought_to_rest_from_where_it_is_asked(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.pump.write(setpoint(1.0, 7.0))
    until(lambda: rig.device.sent)
    rig.hang()
    monkeypatch.setattr(pumps, "STOP_S", 0.05)
    rig.pump.rest()
    assert rig.device.sent[-1] == {"v": 0.0, "x": 7.0}
    assert not rig.pump.close()  # it hangs still


def test_a_robot_that_hangs_altogether_is_given_up_in_a_bounded_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.pump.write(setpoint(1.0, 7.0))
    until(lambda: rig.device.sent)
    rig.hang()
    monkeypatch.setattr(pumps, "STOP_S", 0.05)
    monkeypatch.setattr(rig.device, "send_action", lambda action: rig.device.gate.wait(LONG_S))
    with pytest.raises(RobotError, match=r"did not stop \(it hangs in get_observation\) within 0\.05 s"):
        rig.pump.rest()


# ---- the hand -------------------------------------------------------------------------------------------------------


class Limp(Device):
    """It has a bus, which is itself."""

    @property
    def bus(self) -> "Limp":
        return self

    def disable_torque(self) -> None:
        self.calls.append("torque off")

    def enable_torque(self) -> None:
        self.calls.append("torque on")


def test_limp_rests_with_the_torque_off_once_until_something_is_sent_again() -> None:
    device = Limp()
    hand = CommandWriter(device, SPEC, "limp")
    hand.send(setpoint(1.0, 7.0))
    hand.rest()
    hand.rest()
    assert device.calls == ["send_action", "send_action", "torque off"]
    hand.send(setpoint(0.0, 8.0))
    assert device.calls[3:] == ["send_action", "torque on"]  # a target first: the old one may be far away
    assert device.sent[-1]["x"] == 8.0


def test_limp_switches_the_torque_off_also_where_holding_fails_or_nothing_was_sent() -> None:
    device = Limp()
    hand = CommandWriter(device, SPEC, "limp")
    hand.rest()
    assert device.calls == ["torque off"]
    hand.send(setpoint(1.0, 7.0))
    device.errors["send_action"].append(OSError("no answer"))
    with pytest.raises(OSError, match="no answer"):
        hand.rest()
    assert device.calls[-1] == "torque off"


def test_a_way_to_stop_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="no way to stop 'hlod'; did you mean 'hold'"):
        CommandWriter(Limp(), SPEC, "hlod")
    with pytest.raises(ConfigError, match="'limp', and the robot has no bus"):
        CommandWriter(Device(), SPEC, "limp")

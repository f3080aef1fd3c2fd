"""Robots of LeRobot behind our protocol: ones written against its own classes, in tests/lerobot_robots.py."""

import importlib
import logging
import pickle
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollahead.errors import ConfigError, RobotError
from rollahead.runtime.robots.lerobot import direct_bus as aparts
from rollahead.runtime.robots.lerobot.adapter import LeRobotRobot
from rollahead.runtime.robots.lerobot.buffered_device import BufferedDevice
from rollahead.runtime.robots.lerobot.direct_bus import DirectBus
from rollahead.runtime.robots.registry import make_robot
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Camera, Kind, names_of

CAMERA = {"fps": 30, "width": 6, "height": 4}
PEEKING, WAITING = ({"front": {"type": kind, **CAMERA}} for kind in ("peeking", "waiting"))
UNINSTALLED = """
from dataclasses import dataclass
from lerobot.robots import RobotConfig

@RobotConfig.register_subclass("uninstalled_of_tests")
@dataclass
class UninstalledConfig(RobotConfig):
    port: str = ""
"""
LONG_S = 30.0  # nothing waits for so long unless a test fails

Make = Callable[..., LeRobotRobot]


@pytest.fixture(scope="module", autouse=True)
def _robots_of_lerobot() -> None:
    """Late, since they import lerobot."""
    importlib.import_module("lerobot_robots")


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Makes the robot of a type of LeRobot's at 30 Hz, with options of its own; it is let go at the end."""
    made: list[LeRobotRobot] = []

    def make(type_: str, options: Any = None, **others: Any) -> LeRobotRobot:
        config = {
            "calibration_dir": str(tmp_path),
            **({"port": "/dev/none"} if "arm" in type_ else {}),
            **(options or {}),
        }
        robot = make_robot("lerobot", type=type_, rate_hz=30.0, config=config, **others)
        assert isinstance(robot, LeRobotRobot)
        made.append(robot)
        return robot

    yield make
    for robot in made:
        robot.disconnect()


@pytest.fixture
def arm(make: Make) -> Any:
    """An arm with a camera that keeps its newest image, connected."""
    robot = make("arm_of_tests", {"cameras": PEEKING})
    robot.connect()
    return robot


def until(holds: Callable[[], Any]) -> Any:
    """Waits until it holds, and gives what it is."""
    for _ in range(2000):
        if found := holds():
            return found
        threading.Event().wait(0.005)
    raise AssertionError("it never came to hold")


# ---- making one -----------------------------------------------------------------------------------------------------


def test_the_features_of_a_robot_are_its_spec_before_it_is_connected(make: Make) -> None:
    spec = make("arm_of_tests", {"cameras": PEEKING}, limits={"default": {"rate_limit": 90.0}}).spec
    assert names_of(spec.action) == ("gripper.pos", "elbow.pos")
    assert names_of(spec.state) == ("elbow.pos", "gripper.pos")
    assert [dim.drives for dim in spec.action] == ["gripper.pos", "elbow.pos"]
    assert [(dim.unit, dim.low, dim.high) for dim in spec.action] == [("%", 0.0, 100.0), ("deg", -np.inf, np.inf)]
    assert {dim.rate_limit for dim in spec.action} == {90.0}
    assert spec.cameras == (Camera("front", 4, 6),)
    assert spec.rate_hz == 30.0


def test_velocities_drive_the_positions_that_are_observed(make: Make) -> None:
    spec = make("rover_of_tests").spec
    assert [(dim.name, dim.kind, dim.drives) for dim in spec.action] == [
        ("x.vel", Kind.VELOCITY, "x.pos"),
        ("theta.vel", Kind.VELOCITY, None),
        ("mast.pos", Kind.POSITION, "mast.pos"),
    ]


def test_the_kind_of_an_action_that_its_name_does_not_say_must_be_given(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"give limits\.lamp\.kind"):
        make("rover_of_tests", {"lamp": True})
    assert make("rover_of_tests", {"lamp": True}, limits={"lamp": {"kind": "discrete"}}).spec.action[3].drives is None


def test_a_type_that_lerobot_does_not_know_is_refused_with_a_near_miss_among_its_own_and_plugins(make: Make) -> None:
    with pytest.raises(ConfigError, match="no LeRobot robot type 'so101_folower'; did you mean 'so101_follower'"):
        make("so101_folower")
    with pytest.raises(ConfigError, match=r"did you mean 'rover_of_tests'.*koch_follower.*lekiwi"):
        make("rover_of_test")


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a package `lerobot_robot_<type>` on the path, which is not installed. Takes the type and the source."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(type: str, source: str) -> None:
        (package := tmp_path / f"lerobot_robot_{type}").mkdir()
        (package / "__init__.py").write_text(source)

    return write


def test_a_plugin_that_is_on_the_path_and_not_installed_is_found_by_its_type(
    plug_in: Callable[[str, str], None], make: Make
) -> None:
    plug_in("uninstalled_of_tests", UNINSTALLED)
    with pytest.raises(ConfigError, match="no option of LeRobot's uninstalled_of_tests 'prt'; did you mean 'port'"):
        make("uninstalled_of_tests", {"prt": "/dev/none"})


def test_a_plugin_that_cannot_be_imported_is_refused_with_the_reason(
    plug_in: Callable[[str, str], None], make: Make
) -> None:
    plug_in("broken_of_tests", "import a_module_nobody_has")
    with pytest.raises(ConfigError, match=r"plug-in lerobot_robot_broken_of_tests cannot be imported \(.*'a_modul"):
        make("broken_of_tests")


def test_nothing_is_logged_of_other_plugins_that_cannot_be_imported(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def register() -> None:
        logging.exception("Could not import third-party plugin: lerobot_robot_broken")

    monkeypatch.setattr("lerobot.utils.import_utils.register_third_party_plugins", register)
    make("rover_of_tests", {"lamp": False})
    assert caplog.text == ""
    logging.getLogger().error("heard again")
    assert "heard again" in caplog.text


def test_a_type_of_lerobots_own_is_known_without_importing_the_others(make: Make) -> None:
    with pytest.raises(ConfigError) as caught:
        make("koch_follower", {"prt": "/dev/none"})
    assert "no option of LeRobot's koch_follower 'prt'; did you mean 'port'" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modess": {}}, "no option of LeRobot's arm_of_tests 'modess'; did you mean 'modes'"),
        ({"cameras": {"front": {"type": "peeking", "widht": 6}}}, "`widht`"),
        ({"calibrated": "perhaps"}, "Couldn't parse 'perhaps' into a bool"),
        ({"modes": {"elbow": "radians"}}, "'radians'"),
        ({"cameras": {"front": {"type": "peeking", "width": 6}}}, "'height'"),
        ({"cameras": {"front": {"type": "peking"}}}, "no LeRobot camera type 'peking'; did you mean 'peeking'"),
        ({"cameras": {"front": {"width": 6}}}, "'type'"),
    ],
)
def test_options_that_lerobot_refuses_are_told_in_one_line(make: Make, options: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make("arm_of_tests", options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_cameras_of_lerobots_own_types_are_known(make: Make) -> None:
    opencv = {"type": "opencv", "index_or_path": "/dev/none", **CAMERA}
    assert make("arm_of_tests", {"cameras": {"top": opencv}}).spec.cameras == (Camera("top", 4, 6),)


def test_without_lerobot_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lerobot", None)
    with pytest.raises(ConfigError, match=r"LeRobot cannot be imported .*pip install 'rollahead\[policies\]'"):
        make_robot("lerobot", type="so101_follower", rate_hz=30.0)


def test_a_lerobot_that_is_newer_than_what_was_tested_is_refused_before_a_robot_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.7.0")
    with pytest.raises(ConfigError) as caught:
        make_robot("lerobot", type="so101_follower", rate_hz=30.0)
    assert str(caught.value) == (
        "LeRobot 0.7.0 is installed, and rollahead works with >=0.4.4,<0.7 (it is tested with 0.4.4 and 0.6.1); use "
        "one of these: pip install 'lerobot>=0.4.4,<0.7'"
    )


def test_limp_is_refused_for_a_robot_without_a_bus(make: Make) -> None:
    with pytest.raises(ConfigError, match="'limp', and the robot has no bus"):
        make("rover_of_tests", on_stop="limp")


def test_what_makes_it_can_be_sent_to_another_process(tmp_path: Path) -> None:
    config = {"calibration_dir": str(tmp_path), "port": "/dev/none"}
    made = partial(make_robot, "lerobot", type="arm_of_tests", rate_hz=30.0, config=config)
    assert pickle.loads(pickle.dumps(made))().spec == made().spec


# ---- connecting -----------------------------------------------------------------------------------------------------


def test_an_arm_with_a_bus_and_cameras_is_read_apart_and_a_robot_without_as_a_whole(make: Make) -> None:
    for kind, link in (("arm_of_tests", DirectBus), ("rover_of_tests", BufferedDevice)):
        robot = make(kind)
        robot.connect()
        assert isinstance(robot._link, link)


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ({"idle_bus": True}, {}),  # as LeRobot's own mock robot
        ({"offset": 45.0}, {}),
        ({}, {"direct_bus": False}),
    ],
)
def test_a_bus_that_does_not_say_what_the_robot_observes_is_not_read(make: Make, options: Any, others: Any) -> None:
    robot = make("arm_of_tests", options, **others)
    robot.connect()
    assert isinstance(robot._link, BufferedDevice)
    assert robot.read().state.tolist() == [10.0 + options.get("offset", 0.0), 20.0 + options.get("offset", 0.0)]


def test_a_robot_that_is_not_calibrated_is_refused_and_let_go(make: Make) -> None:
    robot = make("arm_of_tests", {"calibrated": False, "id": "black"})
    with pytest.raises(RobotError, match=r"'black' is not calibrated; .* --robot\.type=arm_of_tests --robot\.id=black"):
        robot.connect()
    assert not robot.device.is_connected
    assert not robot.device.bus.is_connected


def test_motors_that_hold_their_calibration_need_no_file_of_it(make: Make) -> None:
    without = "there is no calibration of the arm_of_tests with id 'black' at .*black.json; "
    with pytest.raises(ConfigError, match=without):
        make("arm_of_tests", {"keeps_calibration": False, "id": "black"})
    make("arm_of_tests", {"keeps_calibration": True, "id": "black"})


def test_a_robot_that_does_not_say_whether_it_is_calibrated_is_taken_to_be(make: Make) -> None:
    robot = make("rover_of_tests", {"knows_calibration": False})
    robot.connect()
    assert robot.read().state.tolist() == [0.25, 5.0, 0.0, 0.5]


def test_what_was_connected_before_a_part_failed_is_let_go(make: Make) -> None:
    robot = make("arm_of_tests", {"cameras": PEEKING, "broken_camera": True, "disable_torque_on_disconnect": False})
    with pytest.raises(ConnectionError, match="a camera does not answer"):
        robot.connect()
    assert robot.device.bus.notes == ["disconnect, torque on"]  # as LeRobot's own option says
    robot.stop()  # nothing to stop


def test_a_robot_that_is_not_connected_cannot_be_read(make: Make) -> None:
    with pytest.raises(RobotError, match="not connected; connect it first"):
        make("arm_of_tests").read()


def test_disconnecting_lets_every_part_go_and_once_more_does_no_harm(arm: LeRobotRobot) -> None:
    arm.disconnect()
    arm.disconnect()
    assert arm.device.bus.notes == ["disconnect, torque off"]
    assert not arm.device.cameras["front"].is_connected


def test_a_camera_that_was_lost_does_not_keep_the_bus_from_being_let_go(arm: LeRobotRobot) -> None:
    arm.device.cameras["front"].disconnect()  # LeRobot takes the whole robot to be disconnected then
    arm.disconnect()
    assert arm.device.bus.notes == ["disconnect, torque off"]


# ---- bus and cameras apart ------------------------------------------------------------------------------------------


def test_a_state_is_one_reading_of_the_bus_by_name_with_the_retries_of_the_robot(arm: LeRobotRobot) -> None:
    arm.device.bus.positions = {"gripper": 3.0, "elbow": -4.0}
    reading = arm.read()
    assert reading.state.tolist() == [-4.0, 3.0]
    assert reading.age == 0
    assert arm.device.bus.retries == 2


def test_a_read_of_the_bus_is_tried_again_also_where_the_robot_would_not(make: Make) -> None:
    robot = make("arm_of_tests", {"num_read_retries": 0})
    robot.connect()
    robot.read()
    assert robot.device.bus.retries == 1


def test_a_setpoint_is_sent_by_name(arm: LeRobotRobot) -> None:
    arm.write(frozen([55.0, -30.0]))
    assert arm.device.bus.notes == ["write elbow=-30 gripper=55"]


def test_an_image_is_as_old_as_the_camera_says_however_old(arm: LeRobotRobot) -> None:
    camera = arm.device.cameras["front"]
    camera.take(7, age_s=2.01 / 30)
    frame = arm.frames()["front"]
    assert frame.image[0, 0].tolist() == [7, 7, 7]
    assert frame.age >= 2
    camera.take(8, age_s=1000.0)
    assert arm.frames()["front"].age >= 30_000


def test_the_stamp_of_an_image_is_when_the_camera_took_it_in_ns(arm: LeRobotRobot) -> None:
    camera = arm.device.cameras["front"]
    stamps = []
    for level in (7, 8):
        camera.take(level, age_s=0.1 * level)
        stamps += [arm.frames()["front"].stamp for _ in range(2)]
        assert stamps[-1] == round(camera.latest_timestamp * 1e9)
    assert stamps[0] == stamps[1] != stamps[2] == stamps[3]


def test_a_camera_that_fails_is_not_passed_over(arm: LeRobotRobot) -> None:
    arm.device.cameras["front"].error = RuntimeError("its thread is gone")
    with pytest.raises(RuntimeError, match="its thread is gone"):
        arm.frames()
    assert arm.read().state.tolist() == [10.0, 20.0]


def test_a_camera_that_can_only_be_waited_for_delays_nobody(make: Make) -> None:
    robot = make("arm_of_tests", {"cameras": WAITING})
    robot.connect()
    camera = robot.device.cameras["front"]
    robot.device.bus.positions["elbow"] = 12.0
    assert robot.read().state.tolist() == [12.0, 20.0]
    first = robot.frames()["front"]
    assert first.image[0, 0, 0] == 1
    assert not camera.come.is_set()  # and no other has come
    assert robot.frames()["front"].stamp == first.stamp
    camera.newest = np.full_like(camera.newest, 9)
    camera.come.set()
    until(lambda: robot.frames()["front"].image[0, 0, 0] == 9)
    until(lambda: robot.frames()["front"].age >= 2)  # an image grows older until the next
    assert robot.frames()["front"].stamp > first.stamp


def test_a_camera_that_can_only_be_waited_for_and_uses_its_memory_again_changes_no_image(make: Make) -> None:
    robot = make("arm_of_tests", {"cameras": WAITING})
    robot.connect()
    camera = robot.device.cameras["front"]
    image = robot.frames()["front"].image
    camera.newest[:] = 9
    assert image[0, 0].tolist() == [1, 1, 1]
    camera.come.set()
    until(lambda: robot.frames()["front"].image[0, 0, 0] == 9)
    assert image[0, 0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("error", [OSError("unplugged"), SystemExit("unplugged")], ids=["error", "exit"])
def test_what_a_camera_raises_to_who_waits_is_raised_by_the_next_look(make: Make, error: Exception) -> None:
    robot = make("arm_of_tests", {"cameras": WAITING})
    robot.connect()
    camera = robot.device.cameras["front"]
    camera.error = error
    camera.come.set()

    kind = type(error).__name__

    def failed() -> bool:
        try:
            robot.frames()
        except RobotError as error:
            return f"a camera failed ({kind}: unplugged)" in str(error)
        return False

    until(failed)


# ---- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direct_bus", [True, False])
def test_a_stop_holds_and_a_limp_one_switches_the_torque_off(make: Make, direct_bus: bool) -> None:
    held = "write elbow=-30 gripper=55"
    for on_stop, then in (("hold", [held]), ("limp", [held, "torque off"])):
        robot = make("arm_of_tests", direct_bus=direct_bus, on_stop=on_stop)
        robot.connect()
        robot.write(frozen([55.0, -30.0]))
        until(lambda notes=robot.device.bus.notes: notes == [held])
        robot.stop()
        assert robot.device.bus.notes == [held, *then]


def test_a_stop_stops_velocities_and_keeps_positions(make: Make) -> None:
    robot = make("rover_of_tests")
    robot.connect()
    robot.write(frozen([0.5, 0.25, 7.0]))
    until(lambda: robot.device.sent)
    robot.stop()
    assert robot.device.sent[-1] == {"x.vel": 0.0, "theta.vel": 0.0, "mast.pos": 7.0}


def test_a_bus_that_hangs_is_given_up_in_a_bounded_time(arm: LeRobotRobot, monkeypatch: pytest.MonkeyPatch) -> None:
    arm.write(frozen([55.0, -30.0]))
    monkeypatch.setattr(aparts, "STOP_S", 0.05)
    arm.device.bus.hang = threading.Event()
    with pytest.raises(RobotError, match=r"did not stop within 0\.05 s; use its own switch"):
        arm.stop()
    arm.device.bus.hang.set()


def test_a_robot_that_hangs_while_it_observes_is_stopped_and_let_go(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = make("rover_of_tests")
    robot.connect()
    robot.write(frozen([0.5, 0.25, 7.0]))
    until(lambda: robot.device.sent)
    shut, inside = threading.Event(), threading.Event()
    robot.device.slow = lambda: (inside.set(), shut.wait(LONG_S))
    until(inside.is_set)
    monkeypatch.setattr("rollahead.runtime.robots.lerobot.buffered_device.STOP_S", 0.05)
    robot.stop()
    assert robot.device.sent[-1]["x.vel"] == 0.0
    robot.disconnect()
    assert not robot.device.is_connected
    shut.set()

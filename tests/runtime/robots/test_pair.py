import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rollahead.errors import ConfigError, RobotError
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.robots.pair import Pair, make_pair
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.robot import Frame, Reading, Robot
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec, names_of

SPEC = RobotSpec(
    action=(Dim("x.vel", kind=Kind.VELOCITY, drives="x.pos"), Dim("grip", drives="grip")),
    state=(Dim("x.pos"), Dim("grip"), Dim("x.vel", kind=Kind.VELOCITY, rate_of="x.pos")),
    environment=(Dim("ball"),),
    cameras=(Camera("wrist", 2, 3),),
    rate_hz=50.0,
)
WITHOUT = RobotSpec(action=(Dim("x", drives="x"),), state=(Dim("x"),), rate_hz=50.0)


class Member(LoopbackRobot):
    """Notes its life in `notes`, which it shares with others, and raises in the calls named `failing`."""

    def __init__(
        self, notes: list[str], name: str, spec: RobotSpec = SPEC, *, age: int = 0, failing: tuple[str, ...] = ()
    ) -> None:
        super().__init__(spec)
        self.notes, self.name, self.age, self.failing = notes, name, age, failing

    def _do(self, what: str) -> None:
        self.notes.append(f"{self.name} {what}")
        if what in self.failing:
            raise OSError(f"{self.name} cannot {what}")

    def connect(self) -> None:
        self._do("connect")

    def read(self) -> Reading:
        reading = super().read()
        return Reading(reading.state, frozen(np.full(len(self.spec.environment), float(self.age))), self.age)

    def frames(self) -> Mapping[str, Frame]:
        return {
            camera.name: Frame(np.full((2, 3, 3), self.age, np.uint8), 10 + self.age, self.age)
            for camera in self.spec.cameras
        }

    def write(self, setpoint: Any) -> None:
        self._do("write")
        super().write(setpoint)

    def stop(self) -> None:
        self._do("stop")

    def disconnect(self) -> None:
        self._do("disconnect")


def two(**failing: tuple[str, ...]) -> tuple[Pair, list[str], tuple[Member, Member]]:
    notes: list[str] = []
    members = (
        Member(notes, "left", age=1, failing=failing.get("left", ())),
        Member(notes, "right", WITHOUT, age=2, failing=failing.get("right", ())),
    )
    return Pair({member.name: member for member in members}), notes, members


def test_a_pair_is_a_robot_whose_names_all_begin_with_whose_they_are() -> None:
    pair: Robot = two()[0]
    assert names_of(pair.spec.action) == ("left_x.vel", "left_grip", "right_x")
    assert names_of(pair.spec.state) == ("left_x.pos", "left_grip", "left_x.vel", "right_x")
    assert names_of(pair.spec.environment) == ("left_ball",)
    assert pair.spec.cameras == (Camera("left_wrist", 2, 3),)
    assert [dim.drives for dim in pair.spec.action] == ["left_x.pos", "left_grip", "right_x"]
    assert [dim.rate_of for dim in pair.spec.state] == [None, None, "left_x.pos", None]
    assert pair.spec.action[0].kind is Kind.VELOCITY
    assert pair.spec.rate_hz == 50.0


def test_each_is_sent_its_share_and_what_they_measure_is_joined_as_old_as_the_oldest() -> None:
    pair, _, (left, right) = two()
    pair.write(frozen([1.0, 2.0, 3.0]))
    assert [sent.tolist() for sent in left.sent] == [[1.0, 2.0]]
    assert [sent.tolist() for sent in right.sent] == [[3.0]]
    reading = pair.read()
    assert reading.state.tolist() == [1.0, 2.0, 0.0, 3.0]
    assert reading.environment.tolist() == [1.0]
    assert reading.age == 2


def test_a_share_that_was_sent_does_not_change_when_the_sender_reuses_its_array() -> None:
    pair, _, (left, _) = two()
    setpoint = np.array([1.0, 2.0, 3.0])
    pair.write(setpoint)
    setpoint[:] = 9.0
    assert left.sent[0].tolist() == [1.0, 2.0]


def test_images_keep_their_own_age_and_stamp() -> None:
    pair = two()[0]
    assert {name: (frame.age, frame.stamp) for name, frame in pair.frames().items()} == {"left_wrist": (1, 11)}


def test_rates_that_differ_are_refused_with_both() -> None:
    slow = Member([], "slow", RobotSpec((Dim("x", drives="x"),), (Dim("x"),), rate_hz=30.0))
    with pytest.raises(ConfigError, match="left runs at 50 Hz and right at 30 Hz; drive both at one rate"):
        Pair({"left": Member([], "left"), "right": slow})


def test_no_robots_are_refused() -> None:
    with pytest.raises(ConfigError, match="robots is empty; give at least one"):
        Pair({})


def test_all_are_connected_in_turn() -> None:
    pair, notes, _ = two()
    pair.connect()
    assert notes == ["left connect", "right connect"]


def test_if_one_cannot_be_connected_those_before_it_are_disconnected_again() -> None:
    pair, notes, _ = two(right=("connect",))
    with pytest.raises(OSError, match="right cannot connect"):
        pair.connect()
    assert notes == ["left connect", "right connect", "left disconnect"]


def test_the_error_of_connecting_is_told_even_if_disconnecting_fails_too() -> None:
    pair, _, _ = two(left=("disconnect",), right=("connect",))
    with pytest.raises(OSError, match="right cannot connect"):
        pair.connect()


@pytest.mark.parametrize("what", ["stop", "disconnect", "write"])
def test_every_one_is_stopped_let_go_and_sent_to_even_if_another_fails(what: str) -> None:
    for failing in ({"left": (what,)}, {"right": (what,)}, {"left": (what,), "right": (what,)}):
        pair, notes, _ = two(**failing)
        arguments = [frozen([1.0, 2.0, 3.0])] if what == "write" else []
        with pytest.raises((OSError, RobotError), match=f"{next(iter(failing))} cannot {what}"):
            getattr(pair, what)(*arguments)
        assert sorted(notes) == [f"left {what}", f"right {what}"]


def test_one_whose_stop_hangs_does_not_keep_the_other_from_stopping() -> None:
    pair, notes, (left, _) = two()
    free = threading.Event()
    left.stop = free.wait  # type: ignore[assignment, method-assign]
    with pytest.raises(RobotError, match=r"the robot did not stop .left. within 0.6 s"):
        pair.stop()
    free.set()
    assert notes == ["right stop"]


def test_a_pair_is_made_of_robots_by_name_with_their_options() -> None:
    pair = make_pair({"left": {"name": "loopback", "joints": 2}, "right": {"name": "loopback", "joints": 1}})
    assert names_of(pair.spec.action) == ("left_joint_1", "left_joint_2", "right_joint_1")


def test_a_pair_of_what_is_no_robot_is_refused_by_its_prefix() -> None:
    with pytest.raises(ConfigError, match=r"robots\.left is 'loopback'; give a robot's name and its options"):
        make_pair({"left": "loopback"})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match=r"robots\.left is \{'joints': 2\}; give a robot's name"):
        make_pair({"left": {"joints": 2}})
    with pytest.raises(ConfigError, match="no robot 'lopback'"):
        make_pair({"left": {"name": "lopback"}})


def test_robot_errors_of_a_member_keep_their_class() -> None:
    class Lost(Member):
        def read(self) -> Reading:
            raise RobotError("it is gone")

    with pytest.raises(RobotError, match="it is gone"):
        Pair({"only": Lost([], "only")}).read()

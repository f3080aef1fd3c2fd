"""Images on their way into messages: what is refused, what is copied, and what stays where a frame is not usable."""

import mmap
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from every import every
from noted import WRITE, Notes, OddRobot
from rollahead.errors import RobotError
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.images import CameraImages
from rollahead.runtime.control.strategy import Naive
from rollahead.runtime.control.trace import TickStatus, Trace
from rollahead.runtime.control.trigger import AsSoonAsPossible
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.robot import Frame
from rollahead.runtime.types.spec import Camera, Dim, RobotSpec

TOP = Camera("top", 2, 3)
SHAPE = (2, 3, 3)
SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), 10.0, cameras=(TOP,))


def image(value: int) -> Any:
    return np.full(SHAPE, value, np.uint8)


def level(images: CameraImages) -> int:
    return int(images.images["top"][0, 0, 0])


# ---- what is not as the spec says -----------------------------------------------------------------------------------

UNUSABLE: dict[str, tuple[Any, str]] = {
    "float": (Frame(np.zeros(SHAPE, np.float32), 0), r"\(2, 3, 3\) float32, and its spec says \(2, 3, 3\) uint8"),
    "uint16": (Frame(np.zeros(SHAPE, np.uint16), 0), r"\(2, 3, 3\) uint16, and its spec says \(2, 3, 3\) uint8"),
    "signed": (Frame(np.zeros(SHAPE, np.int8), 0), r"\(2, 3, 3\) int8, and its spec says \(2, 3, 3\) uint8"),
    "one pixel": (Frame(np.zeros((1, 1, 3), np.uint8), 0), r"\(1, 1, 3\) uint8, and its spec says \(2, 3, 3\) uint8"),
    "grey": (Frame(np.zeros((2, 3), np.uint8), 0), r"\(2, 3\) uint8, and its spec says \(2, 3, 3\) uint8"),
    "grey with an axis": (Frame(np.zeros((2, 3, 1), np.uint8), 0), r"\(2, 3, 1\) uint8, and its spec"),
    "with alpha": (Frame(np.zeros((2, 3, 4), np.uint8), 0), r"\(2, 3, 4\) uint8, and its spec"),
    "turned": (Frame(np.zeros((3, 2, 3), np.uint8), 0), r"\(3, 2, 3\) uint8, and its spec"),
    "a list": (Frame(image(0).tolist(), 0), "list; give a Frame"),
    "nothing": (Frame(None, 0), "NoneType; give a Frame"),  # type: ignore[arg-type]
    "no frame": (image(0), "ndarray; give a Frame"),
    "from the future": (Frame(image(0), 0, -1), "an image that is -1 ticks old; give a whole number from 0 to"),
    "stamped by a float": (Frame(image(0), 1.5), r"an image with the capture stamp 1\.5; give a whole number"),  # type: ignore[arg-type]
    "without a stamp": (Frame(image(0), None), "an image with the capture stamp None; give a whole number"),  # type: ignore[arg-type]
    "stamped too far": (Frame(image(0), 2**63), "an image with the capture stamp 9223372036854775808; give a whole"),
    "of no age": (Frame(image(0), 0, float("nan")), "an image that is nan ticks old"),  # type: ignore[arg-type]
}


@every("name", UNUSABLE)
def test_an_image_that_is_not_as_the_spec_says_is_refused_in_one_sentence(name: str) -> None:
    frame, words = UNUSABLE[name]
    with pytest.raises(RobotError, match=f"camera 'top' gave .*{words}") as caught:
        CameraImages([TOP]).check({"top": frame})
    assert "\n" not in str(caught.value)
    assert ". " not in str(caught.value)


@every("name", UNUSABLE)
def test_an_image_that_changes_in_a_run_leaves_the_last_good_one_which_grows_older(name: str) -> None:
    images = CameraImages([TOP])
    for k, frame in enumerate([Frame(image(7), 0), UNUSABLE[name][0], UNUSABLE[name][0]]):
        images.update({"top": frame}, k)
        assert level(images) == 7
        assert images.stamps == {"top": 0}
        assert images.ticks == {"top": 0}
    images.update({"top": Frame(image(9), 1, 1)}, 3)
    assert level(images) == 9
    assert images.ticks == {"top": 2}


def test_a_camera_that_gives_nothing_any_more_keeps_its_last_image() -> None:
    images = CameraImages([TOP])
    images.check({})
    images.update({}, 0)
    assert images.images == images.ticks == {}
    images.update({"top": Frame(image(7), 1)}, 1)
    images.update({}, 2)
    assert level(images) == 7
    assert images.ticks == {"top": 1}


def test_images_of_cameras_that_are_not_in_the_spec_are_left_out_as_they_are_between_processes() -> None:
    images = CameraImages([TOP])
    images.update({"top": Frame(image(1), 0), "unknown": Frame(np.zeros((9, 9), np.float64), 0)}, 0)
    assert list(images.images) == ["top"]


# ---- what is copied -------------------------------------------------------------------------------------------------


def buffers() -> dict[str, tuple[Any, Callable[[int], None]]]:
    """Arrays that a robot may give, each with what writes another image into it afterwards."""
    own = image(0)
    seen = image(0)
    view = seen[:]
    view.flags.writeable = False
    mapped = mmap.mmap(-1, seen.size)
    over_map = np.frombuffer(mapped, np.uint8).reshape(SHAPE)
    over_map.flags.writeable = False
    raw = bytearray(seen.size)
    over_raw = np.ndarray(SHAPE, np.uint8, raw)
    over_raw.flags.writeable = False

    def fill(target: Any) -> Callable[[int], None]:
        return lambda value: target.__setitem__(slice(None), bytes([value]) * seen.size)

    return {
        "its own array": (own, lambda value: own.fill(value)),
        "a read-only view": (view, lambda value: seen.fill(value)),
        "a memory map": (over_map, fill(mapped)),
        "memory of a driver": (over_raw, fill(raw)),
    }


@pytest.mark.parametrize("name", buffers())
def test_an_image_that_went_into_a_message_never_changes_whoever_owns_its_memory(name: str) -> None:
    given, write = buffers()[name]
    images, seen = CameraImages([TOP]), []
    for k in range(3):
        write(10 * (k + 1))
        images.update({"top": Frame(given, k)}, k)
        seen.append(images.images["top"])
    write(99)
    assert [one[0, 0, 0] for one in seen] == [10, 20, 30]
    assert not any(one.flags.writeable for one in seen)


def test_an_image_that_nobody_can_write_to_is_not_copied() -> None:
    images, kept = CameraImages([TOP]), image(1)
    kept.flags.writeable = False
    images.update({"top": Frame(kept, 0)}, 0)
    assert images.images["top"] is kept


def test_frames_with_the_stamp_of_the_last_image_are_that_image_whatever_their_array_and_age() -> None:
    images, reused = CameraImages([TOP]), image(2)
    images.update({"top": Frame(reused, 5)}, 1)
    first = images.images["top"]
    for k, array, age in ((2, reused, 1), (3, image(2), 1), (4, image(3), 0)):
        images.update({"top": Frame(array, 5, age)}, k)
        assert images.images["top"] is first
        assert (images.ticks, images.stamps) == ({"top": 1}, {"top": 5})


def test_a_frame_with_another_stamp_is_a_new_image_also_in_the_same_array_of_the_same_tick() -> None:
    images, reused = CameraImages([TOP]), image(2)
    images.update({"top": Frame(reused, 5)}, 1)
    reused += 1
    images.update({"top": Frame(reused, 4, 1)}, 2)
    assert level(images) == 3
    assert (images.ticks, images.stamps) == ({"top": 1}, {"top": 4})


class Reusing(LoopbackRobot):
    """It fills one buffer again and again with the number of the look."""

    def __init__(self, spec: RobotSpec = SPEC) -> None:
        super().__init__(spec)
        self.buffer = image(0)
        self.given: Any = self.buffer

    def frames(self) -> Mapping[str, Frame]:
        self.buffer += 1
        return {"top": Frame(self.given, int(self.buffer[0, 0, 0]))}


def executor(robot: LoopbackRobot) -> Executor:
    return Executor(
        robot, Naive(AsSoonAsPossible()), DelayEstimator(fixed=1), Trace(SPEC, 50), horizon=4, guard=GuardConfig()
    )


def test_a_robot_that_reuses_its_buffer_changes_no_snapshot_that_is_out() -> None:
    made, snapshots = executor(Reusing()), []
    made.warm()
    for k in range(4):
        made.tick(k)
        snapshots.append(made.outbox.peek())
    values = [int(one.observation.images["top"][0, 0, 0]) for one in snapshots if one is not None]
    assert values == [values[0] + k for k in range(4)]


def test_a_camera_that_changes_its_shape_in_a_run_does_not_disturb_a_tick() -> None:
    robot = Reusing()
    made = executor(robot)
    made.warm()
    for k in range(4):
        if k == 2:
            robot.given = np.zeros((1, 1, 3), np.uint8)
        assert made.tick(k) is TickStatus.UNDERRUN
        seen = made.outbox.peek()
        assert seen is not None
        assert seen.observation.images["top"].shape == SHAPE
        assert seen.observation.image_ticks["top"] == min(k, 1)


def test_no_image_from_before_the_first_tick_is_taken_for_a_newer_one() -> None:
    robot = Reusing()
    made = executor(robot)
    made.warm()
    robot.given = None
    made.tick(0)
    seen = made.outbox.peek()
    assert seen is not None
    assert seen.observation.images == {}


def nowhere(seen: Observation, rng: np.random.Generator) -> FloatArray:
    return np.zeros((8, 2))


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_float_image_is_refused_before_anything_moves_in_both_isolations(isolation: str) -> None:
    notes = Notes()
    drive = Drive(StrategyConfig("vlash", s=4, d=2), 8)
    runtime = Realtime(drive, partial(OddRobot, notes.ring), ScriptedPlanner(nowhere), isolation=isolation)
    with pytest.raises(RobotError, match=r"camera 'top' gave \(4, 6, 3\) float32, and its spec says \(4, 6, 3\) uint8"):
        runtime.__enter__()
    assert notes.count(WRITE) == 0

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import RobotError
from rollahead.runtime.control.observation_buffer import ObservationBuffer
from rollahead.runtime.safety.guard import Flag, Guard, GuardConfig
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import Camera, Dim, RobotSpec

SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), 10.0, environment=(Dim("ball"),), cameras=(Camera("top", 2, 2),))
NAN = float("nan")


BROKEN = "a read that raises"


class Told:
    """Its k-th reading is the k-th that it was told, with an image that is `k` all over, up to the `shots`-th."""

    def __init__(self, *states: float | str, age: int = 0, spec: RobotSpec = SPEC, shots: int = 99) -> None:
        self.spec = spec
        self._states, self._age, self._reads, self._shots = states, age, 0, shots

    def read(self) -> Reading:
        self._reads += 1
        state = self._states[self._reads - 1]
        if isinstance(state, str):
            raise ConnectionError("corrupted packet")
        return Reading(frozen([state]), frozen([10 * state]), self._age)

    def frames(self) -> Mapping[str, Frame]:
        if self._reads > self._shots:
            raise OSError("the camera is gone")
        return {"top": Frame(np.full((2, 2, 3), self._reads, np.uint8), self._reads, age=1)}

    def connect(self) -> None: ...

    def write(self, setpoint: FloatArray) -> None: ...

    def stop(self) -> None: ...

    def disconnect(self) -> None: ...


def sensed(robot: Told, n_obs: int = 1, cameras: tuple[str, ...] | None = None, **config: int) -> ObservationBuffer:
    return ObservationBuffer(robot, Guard(robot.spec, GuardConfig(**config)), n_obs, cameras)


def test_a_state_that_is_not_usable_leaves_the_last_one_a_tick_older() -> None:
    buffer = sensed(Told(1.0, NAN, NAN, 4.0))
    found = []
    for k in range(4):
        buffer.look(k, None)
        found.append((buffer.seen.state[0], buffer.seen.age, buffer.trouble, buffer.blind_ticks))
    assert found == [(1.0, 0, 0, 0), (1.0, 1, Flag.NAN, 1), (1.0, 2, Flag.NAN, 2), (4.0, 0, 0, 0)]


def test_before_the_first_usable_state_nothing_was_ever_seen() -> None:
    buffer = sensed(Told(NAN, 2.0))
    buffer.look(0, None)
    assert not buffer.ever
    assert np.isnan(buffer.seen.state).all()
    buffer.look(0, None)
    assert buffer.ever


def test_a_state_that_is_too_old_is_stale() -> None:
    buffer = sensed(Told(1.0, age=4), stale_ticks=3)
    buffer.look(0, None)
    assert buffer.trouble == Flag.STALE


def test_a_first_look_at_no_usable_state_is_refused_and_says_why() -> None:
    sensed(Told(1.0)).first_look()
    with pytest.raises(RobotError, match=r"gave no usable state before the start .nan.; look at its sensors"):
        sensed(Told(NAN)).first_look()


@pytest.mark.parametrize(
    "reading, words",
    [
        (Reading(frozen([1.0, 2.0]), frozen([3.0])), r"reads state of shape .2,., and its spec names 1 numbers"),
        (Reading(frozen([[1.0]]), frozen([3.0])), r"reads state of shape .1, 1., and its spec names 1"),
        (Reading(frozen([1.0])), r"reads environment of shape .0,., and its spec names 1"),
    ],
)
def test_a_reading_of_another_size_than_the_spec_says_is_refused_with_both_numbers(
    reading: Reading, words: str
) -> None:
    robot = Told()
    robot.read = lambda: reading  # type: ignore[method-assign]
    with pytest.raises(RobotError, match=words):
        sensed(robot).first_look()


@pytest.mark.parametrize("n_obs", [1, 2, 3])
def test_the_window_has_the_newest_observations_one_tick_apart(n_obs: int) -> None:
    buffer = sensed(Told(*map(float, range(10))), n_obs)
    for k in range(10):
        buffer.look(k, None)
        window = buffer.window(k, "task")
        wanted = [max(k - back, 0) for back in range(n_obs - 1, -1, -1)]
        assert [old.tick for old in window] == wanted
        assert [old.state[0] for old in window] == wanted
        assert [old.environment[0] for old in window] == [10.0 * tick for tick in wanted]
        assert {old.task for old in window} == {"task"}
        assert [int(old.images["top"][0, 0, 0]) for old in window] == [tick + 1 for tick in wanted]
        assert [old.image_ticks["top"] for old in window] == [tick - 1 for tick in wanted]


def test_a_tick_that_was_skipped_is_filled_with_the_nearest_older_one() -> None:
    buffer = sensed(Told(*map(float, range(10))), 3)
    for k in (0, 1, 4):
        buffer.look(k, None)
        window = buffer.window(k, "")
    assert [old.tick for old in window] == [1, 1, 4]


def test_forgetting_begins_the_window_anew() -> None:
    buffer = sensed(Told(*map(float, range(10))), 3)
    for k in range(4):
        buffer.look(k, None)
        buffer.window(k, "")
    buffer.forget()
    assert [old.tick for old in buffer.window(4, "")] == [4, 4, 4]


# ---- reads that fail, readings that are wrong, images that are old --------------------------------------------------


def test_a_read_that_raises_is_a_stale_tick_and_is_tried_again_in_the_next() -> None:
    buffer = sensed(Told(1.0, BROKEN, BROKEN, 4.0))
    found = []
    for k in range(4):
        buffer.look(k, None)
        found.append((buffer.seen.state[0], buffer.seen.age, buffer.trouble, buffer.blind_ticks))
    assert found == [(1.0, 0, 0, 0), (1.0, 1, Flag.STALE, 1), (1.0, 2, Flag.STALE, 2), (4.0, 0, 0, 0)]


def test_why_there_is_no_usable_state_names_what_was_read_and_the_limit() -> None:
    buffer = sensed(Told(1.0, BROKEN, NAN))
    buffer.look(0, None)
    buffer.look(1, None)
    assert buffer.why == "the state could not be read (ConnectionError: corrupted packet)"
    buffer.look(2, None)
    assert buffer.why == "the state had NaN or infinity, or another size"
    old = sensed(Told(1.0, age=9), stale_ticks=3)
    old.look(0, None)
    assert old.why == "the state was 9 ticks old, and the limit is 3 (guard.stale_ticks)"


@every("skipped", range(5))
@every("bad", [NAN, BROKEN])
def test_after_skipped_ticks_and_an_unusable_reading_the_state_is_as_old_as_it_is(skipped: int, bad: float) -> None:
    buffer = sensed(Told(1.0, bad, bad))
    buffer.look(0, None)
    buffer.look(1 + skipped, None)
    assert buffer.seen.age == 1 + skipped
    assert buffer.window(1 + skipped, "")[-1].state_tick == 0
    buffer.look(2 + skipped, None)
    assert buffer.seen.age == 2 + skipped


LIMITED = replace(SPEC, action=(Dim("x", low=-2.0, high=2.0, rate_limit=3.0, drives="x"),))  # 0.3 a tick


def test_a_reading_that_no_other_agrees_with_is_not_trusted() -> None:
    buffer = sensed(Told(1.0, 1.1, 10.0, 1.2, 1.3, spec=LIMITED))
    found = []
    for k in range(5):
        buffer.look(k, None)
        found.append((buffer.steady, buffer.trusted.state[0], int(np.max(buffer.trusted.age))))
    assert found == [(True, 1.0, 0), (True, 1.1, 0), (False, 1.1, 1), (False, 1.1, 2), (True, 1.3, 0)]


def test_a_reading_that_was_given_before_does_not_agree_with_itself() -> None:
    robot = Told(1.0, 10.0, 10.0, 10.0, spec=LIMITED)
    buffer = sensed(robot)
    for k, age in enumerate((0, 0, 1, 0)):  # the third is the second once more, a tick older
        robot._age = age
        buffer.look(k, None)
        assert buffer.steady == (k in (0, 3))


def test_an_angle_that_turns_past_its_end_is_no_wrong_reading() -> None:
    turn = Dim("x", "rad", low=-np.pi, high=np.pi)
    spec = replace(SPEC, state=(turn,), action=(replace(turn, rate_limit=1.0, drives="x"),))
    buffer = sensed(Told(3.1, -3.1, spec=spec))
    buffer.look(0, None)
    buffer.look(1, None)
    assert buffer.steady


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_an_image_that_grows_too_old_is_trouble_and_says_which_camera_and_limit(limit: int) -> None:
    buffer = sensed(Told(*[1.0] * 20, shots=2), image_stale_ticks=limit)
    troubles = []
    for k in range(20):
        buffer.look(k, None)
        buffer.window(k, "")
        troubles.append(buffer.trouble)
    first = 2 + limit  # the last image was captured in tick 0, and is that of tick 1 + limit
    assert troubles == [0] * first + [Flag.IMAGE] * (20 - first)
    error = "(OSError: the camera is gone)"
    limited = f"and the limit is {limit} (guard.image_stale_ticks)"
    assert buffer.why == f"the image of top was 18 ticks old {error}, {limited}"
    assert buffer.blind_ticks == 20 - first


@pytest.mark.parametrize("config", [{"image_stale_ticks": None}, {"cameras": ()}, {"cameras": ("side",)}])
def test_an_image_that_nobody_sees_or_has_no_limit_may_be_old(config: dict[str, Any]) -> None:
    buffer = sensed(Told(*[1.0] * 60, shots=2), **config)
    for k in range(60):
        buffer.look(k, None)
        buffer.window(k, "")
        assert not buffer.trouble


def test_a_camera_that_fails_leaves_its_last_image_which_grows_older() -> None:
    buffer = sensed(Told(*[1.0] * 9, shots=3))
    for k in range(9):
        buffer.look(k, None)
        newest = buffer.window(k, "")[-1]
    assert newest.images["top"][0, 0, 0] == 3
    assert newest.image_ticks["top"] == 1

from collections.abc import Mapping

import numpy as np
import pytest

from rollahead.errors import RobotError
from rollahead.runtime.arrays import FloatArray, frozen
from rollahead.runtime.guard import Flag, Guard, GuardConfig
from rollahead.runtime.robots import Frame, Reading
from rollahead.runtime.senses import Senses
from rollahead.runtime.spec import Camera, Dim, RobotSpec

SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), 10.0, environment=(Dim("ball"),), cameras=(Camera("top", 2, 2),))
NAN = float("nan")


class Told:
    """Its k-th reading is the k-th that it was told, with an image that is `k` all over."""

    def __init__(self, *states: float, age: int = 0) -> None:
        self.spec = SPEC
        self._states, self._age, self._reads = states, age, 0

    def read(self) -> Reading:
        self._reads += 1
        state = self._states[self._reads - 1]
        return Reading(frozen([state]), frozen([10 * state]), self._age)

    def frames(self) -> Mapping[str, Frame]:
        return {"top": Frame(np.full((2, 2, 3), self._reads, np.uint8), age=1)}

    def connect(self) -> None: ...

    def write(self, setpoint: FloatArray) -> None: ...

    def stop(self) -> None: ...

    def disconnect(self) -> None: ...


def sensed(robot: Told, n_obs: int = 1, **config: int) -> Senses:
    return Senses(robot, Guard(SPEC, GuardConfig(**config)), n_obs)


def test_a_state_that_is_not_usable_leaves_the_last_one_a_tick_older() -> None:
    senses = sensed(Told(1.0, NAN, NAN, 4.0))
    found = []
    for _ in range(4):
        senses.look(None)
        found.append((senses.seen.state[0], senses.seen.age, senses.trouble, senses.blind_ticks))
    assert found == [(1.0, 0, 0, 0), (1.0, 1, Flag.NAN, 1), (1.0, 2, Flag.NAN, 2), (4.0, 0, 0, 0)]


def test_before_the_first_usable_state_nothing_was_ever_seen() -> None:
    senses = sensed(Told(NAN, 2.0))
    senses.look(None)
    assert not senses.ever
    assert np.isnan(senses.seen.state).all()
    senses.look(None)
    assert senses.ever


def test_a_state_that_is_too_old_is_stale() -> None:
    senses = sensed(Told(1.0, age=4), stale_ticks=3)
    senses.look(None)
    assert senses.trouble == Flag.STALE


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
    senses = sensed(Told(*map(float, range(10))), n_obs)
    for k in range(10):
        senses.look(None)
        window = senses.window(k, "task")
        wanted = [max(k - back, 0) for back in range(n_obs - 1, -1, -1)]
        assert [old.tick for old in window] == wanted
        assert [old.state[0] for old in window] == wanted
        assert [old.environment[0] for old in window] == [10.0 * tick for tick in wanted]
        assert {old.task for old in window} == {"task"}
        assert [int(old.images["top"][0, 0, 0]) for old in window] == [tick + 1 for tick in wanted]
        assert [old.image_ticks["top"] for old in window] == [tick - 1 for tick in wanted]


def test_a_tick_that_was_skipped_is_filled_with_the_nearest_older_one() -> None:
    senses = sensed(Told(*map(float, range(10))), 3)
    for k in (0, 1, 4):
        senses.look(None)
        window = senses.window(k, "")
    assert [old.tick for old in window] == [1, 1, 4]


def test_forgetting_begins_the_window_anew() -> None:
    senses = sensed(Told(*map(float, range(10))), 3)
    for k in range(4):
        senses.look(None)
        senses.window(k, "")
    senses.forget()
    assert [old.tick for old in senses.window(4, "")] == [4, 4, 4]

"""The executor's view of the robot: the newest usable state, how long there was none, and the observation window.

A read that raises is tried again in the next tick; until then there is no usable state. A single reading may be wrong,
so `steady` and `trusted` say whether, and which, readings agree with the one before.

Threads: the executor's alone. Hot path: all of it.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import RobotError
from rollahead.runtime.control.agreement import Agreement
from rollahead.runtime.control.images import OLDEST, CameraImages
from rollahead.runtime.safety.guard import IMAGE, NAN, STALE, Guard, flag_names
from rollahead.runtime.system.patience import error_text
from rollahead.runtime.types.arrays import FloatArray, frozen, unknown
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.robot import Reading, Robot


@dataclass(frozen=True, slots=True, eq=False)
class Trusted:
    """The newest readings that agreed with the one before.

    Attributes:
        state: (S,).
        age: (S,) or one for all, ticks since each number was measured.
    """

    state: FloatArray
    age: NDArray[np.int64] | int

    def older(self, ticks: int) -> "Trusted":
        """Returns a copy that is older by so many `ticks`. Phase: hot."""
        return Trusted(self.state, self.age + ticks)

    def where(self, agrees: list[bool], newest: "Trusted") -> "Trusted":
        """Takes the numbers of `newest` where they agree (S,), and keeps the others. Phase: hot."""
        return Trusted(np.where(agrees, newest.state, self.state), np.where(agrees, newest.age, self.age))


class ObservationBuffer:
    """Reads the robot and judges what it reads with the guard.

    Args:
        robot: The robot to read.
        guard: Decides which readings are usable.
        n_obs: Number of observations in a window.
        cameras: Names of the cameras whose images must not be too old; None for all.
    """

    def __init__(self, robot: Robot, guard: Guard, n_obs: int, cameras: Collection[str] | None = None) -> None:
        self._robot = robot
        self._guard = guard
        self._n_obs = n_obs
        self._cameras = cameras
        self._window: tuple[Observation, ...] = ()
        self._images = CameraImages(robot.spec.cameras)
        on_demand = [camera.on_demand for camera in robot.spec.cameras]
        self.films = not (on_demand and all(on_demand))  # whether the images are read in every tick
        self._looked = -1  # the tick in which the state was last read
        self._watched = 0  # the tick in which the images were last read
        self._agrees = Agreement(robot.spec)
        self._camera_error = ""  # what the cameras raised when they were last read
        self._why = ""  # why the last unusable state or image was not usable
        self.seen = Reading(unknown(len(robot.spec.state)), unknown(len(robot.spec.environment)))
        self.trusted = Trusted(self.seen.state, 0)
        self.steady = True  # whether the two newest readings agree; True while there is only one
        self.trouble = 0  # flags (guard.Flag): why the state or the images are not usable; 0 if they are
        self.blind_ticks = 0  # number of ticks in a row with trouble
        self.ever = False  # whether there was a usable state

    def first_look(self) -> None:
        """Reads the state and the images before the first tick.

        Raises RobotError if the state is not usable, or if state or images do not fit the spec.
        """
        reading, spec = self._robot.read(), self._robot.spec
        for what, dims in (("state", spec.state), ("environment", spec.environment)):
            shape = np.shape(getattr(reading, what))
            if shape != (len(dims),):
                raise RobotError(
                    f"the robot reads {what} of shape {shape}, and its spec names {len(dims)} numbers; make them agree"
                )
        self._images.check(self._robot.frames())
        self._take(-1, reading, None)
        if self.trouble:
            why = flag_names(self.trouble)
            raise RobotError(f"the robot gave no usable state before the start ({why}); look at its sensors")

    def look(self, k: int, sent: FloatArray | None) -> None:
        """Reads the state at the head of tick `k`. Phase: hot.

        If it cannot be read or used, the last usable state stays, with a greater age. sent: (A,), the last action.
        """
        try:
            reading = self._robot.read()
        except Exception as error:  # a driver may raise anything
            self._fail(k, error)
        else:
            self._take(k, reading, sent)

    @property
    def why(self) -> str:
        """Explanation of the trouble, for an error message."""
        return self._why or flag_names(self.trouble)

    def skip(self, k: int) -> None:
        """Notes that tick `k` passes without a look: what is known is a tick older. Phase: hot."""
        self._stays(k, self.trouble)

    def _fail(self, k: int, error: Exception) -> None:
        self._why = f"the state could not be read ({error_text(error)})"
        self._stays(k, STALE)

    def _take(self, k: int, reading: Reading, sent: FloatArray | None) -> None:
        if not (isinstance(reading.age, int | np.integer) and 0 <= reading.age <= OLDEST):
            self._why = f"the state's age was {reading.age!r}, and must be a whole number of ticks from 0 to {OLDEST}"
            self._stays(k, STALE)
            return
        reading = Reading(frozen(reading.state), frozen(reading.environment), int(reading.age))
        fits = reading.state.shape == self.seen.state.shape and reading.environment.shape == self.seen.environment.shape
        trouble = self._guard.check(reading, sent) if fits else NAN
        if trouble:
            self._why = (
                "the state had NaN or infinity, or another size"
                if trouble & NAN
                else self._guard.why_stale(reading.age)
            )
            self._stays(k, trouble)
            return
        passed, self._looked = k - self._looked, k
        agrees = self._agrees(k, reading)
        self.steady = self._agrees.steady
        self.seen, self.ever = reading, True
        newest = Trusted(reading.state, reading.age)
        self.trusted = newest if all(agrees) else self.trusted.older(passed).where(agrees, newest)
        self._judge(0, passed)

    def _stays(self, k: int, trouble: int) -> None:
        """Keeps the last usable state, with its age in tick `k`. trouble: flags of why there is no newer one."""
        passed, self._looked = k - self._looked, k
        self.seen, self.trusted = _older(self.seen, passed), self.trusted.older(passed)
        self._judge(trouble, passed)

    def _judge(self, trouble: int, passed: int) -> None:
        self.trouble = trouble | (0 if trouble else self._old_images())
        self.blind_ticks = self.blind_ticks + max(passed, 1) if self.trouble else 0

    def _old_images(self) -> int:
        """Returns IMAGE if an image of the last window was too old, 0 otherwise.

        A camera that has given no image yet counts as having given one in tick 0.
        """
        limit, ticks = self._guard.image_stale_ticks, self._images.ticks
        for camera in self._robot.spec.cameras if limit is not None else ():
            age = self._watched - ticks.get(camera.name, 0)
            if limit is not None and age > limit and (self._cameras is None or camera.name in self._cameras):
                old = f"the image of {camera.name} was {age} ticks old{self._camera_error}"
                self._why = f"{old}, and the limit is {limit} (guard.image_stale_ticks)"
                return IMAGE
        return 0

    def window(self, k: int, task: str, *, images: bool = True) -> tuple[Observation, ...]:
        """Observations (n_obs) up to tick `k`, one tick apart, oldest first.

        A missing one is replaced by the nearest older one, or else the oldest. A camera without a new image keeps its
        last one. images: whether to read the cameras now. Phase: hot.
        """
        if images:
            self._watch(k)
        newest = Observation(
            tick=k,
            state=self.seen.state,
            environment=self.seen.environment,
            images=self._images.images,
            image_ticks=self._images.ticks,
            image_stamps=self._images.stamps,
            task=task,
            state_age=self.seen.age,
        )
        seen = (*self._window, newest)
        self._window = tuple(
            next((old for old in reversed(seen) if old.tick <= k - back), seen[0])
            for back in range(self._n_obs - 1, -1, -1)
        )
        return self._window

    def _watch(self, k: int) -> None:
        self._watched, self._camera_error = k, ""
        try:
            self._images.update(self._robot.frames(), k)
        except Exception as error:  # the last images stay and grow older, until `image_stale_ticks` reports them
            self._camera_error = f" ({error_text(error)})"

    def forget(self) -> None:
        """Empties the window, so that it begins anew."""
        self._window = ()

    def forget_images(self) -> None:
        """Drops all images. Phase: warm.

        Called after warm-up: tick numbers restart, so that the age of an older image is unknown.
        """
        self._images = CameraImages(self._robot.spec.cameras)


def _older(reading: Reading, ticks: int) -> Reading:
    return Reading(reading.state, reading.environment, reading.age + ticks)

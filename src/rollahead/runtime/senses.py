"""What the executor sees: the newest usable state, for how long there was none, and the window of observations.

Threads: the executor's alone. Hot path: all of it.
"""

import numpy as np

from rollahead.errors import RobotError
from rollahead.runtime.arrays import FloatArray, frozen, unknown
from rollahead.runtime.guard import Guard, words
from rollahead.runtime.images import CameraImages
from rollahead.runtime.messages import Observation
from rollahead.runtime.robots import Reading, Robot


class Senses:
    """Reads `robot`. n_obs: observations in a window."""

    def __init__(self, robot: Robot, guard: Guard, n_obs: int) -> None:
        self._robot = robot
        self._guard = guard
        self._n_obs = n_obs
        self._window: tuple[Observation, ...] = ()
        self._images = CameraImages(robot.spec.cameras)
        self.seen = Reading(unknown(len(robot.spec.state)), unknown(len(robot.spec.environment)))
        self.trouble = 0  # flags of why the state that was read last is not usable
        self.blind_ticks = 0  # in a row without a usable state
        self.ever = False  # whether there was one

    def first_look(self) -> None:
        """Reads the state and the images before the first tick. Raises: RobotError, if the state is not usable, or one
        of them not what the spec says."""
        reading, spec = self._robot.read(), self._robot.spec
        for what, dims in (("state", spec.state), ("environment", spec.environment)):
            shape = np.shape(getattr(reading, what))
            if shape != (len(dims),):
                raise RobotError(
                    f"the robot reads {what} of shape {shape}, and its spec names {len(dims)} numbers; let them agree"
                )
        self._images.check(self._robot.frames())
        self._take(reading, None)
        if self.trouble:
            why = words(self.trouble)
            raise RobotError(f"the robot gave no usable state before the start ({why}); look at its sensors")

    def look(self, sent: FloatArray | None) -> None:
        """Reads the state; one that is not usable leaves the last one, a tick older. sent: (A,), the last action.
        Phase: hot."""
        self._take(self._robot.read(), sent)

    def _take(self, reading: Reading, sent: FloatArray | None) -> None:
        reading = Reading(frozen(reading.state), frozen(reading.environment), reading.age)
        self.trouble = self._guard.check(reading, sent)
        if not self.trouble:
            self.seen, self.blind_ticks, self.ever = reading, 0, True
        else:
            self.seen = Reading(self.seen.state, self.seen.environment, self.seen.age + 1)
            self.blind_ticks += 1

    def window(self, k: int, task: str) -> tuple[Observation, ...]:
        """The n_obs observations to tick `k`, one tick apart; a missing one is the nearest older, or the first. Where
        an image is not usable, the camera's last one stays. Phase: hot."""
        self._images.update(self._robot.frames(), k)
        newest = Observation(
            tick=k,
            state=self.seen.state,
            environment=self.seen.environment,
            images=self._images.images,
            image_ticks=self._images.ticks,
            task=task,
            state_age=self.seen.age,
        )
        seen = (*self._window, newest)
        self._window = tuple(
            next((old for old in reversed(seen) if old.tick <= k - back), seen[0])
            for back in range(self._n_obs - 1, -1, -1)
        )
        return self._window

    def forget(self) -> None:
        """The window begins anew."""
        self._window = ()

    def forget_images(self) -> None:
        """No image is kept: those from before the first tick are of a time that ticks do not tell."""
        self._images = CameraImages(self._robot.spec.cameras)

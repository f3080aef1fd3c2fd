"""The simulated robot: a task's robot as a `Robot`."""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import RobotSpec
from rollahead.sim.task import Task

STAMPS = count()  # capture stamps, a different one for every image of this process


class SimRobot:
    """The robot of a task in simulated time: it keeps the last setpoint, and only `advance` moves the world.

    Images are rendered when they are asked for; with a lag in every tick, since nobody knows yet which will be needed.

    Args:
        task: The task, already reset.
        lag: Age in ticks of everything that is read; readings and frames report it.
        spec: Spec of the robot, such as the task's with tighter limits; None for the task's.
    """

    def __init__(self, task: Task, lag: int = 0, spec: RobotSpec | None = None) -> None:
        self._task = task
        self.spec = spec = spec or task.spec
        if spec.cameras and not lag:
            self.spec = replace(spec, cameras=tuple(replace(camera, on_demand=True) for camera in spec.cameras))
        self._setpoint: FloatArray | None = None
        self._seen = deque([self._sight()], lag + 1)  # oldest first
        self._filmed: deque[Mapping[str, Frame]] = deque([self._images()] if lag else [], lag + 1)  # likewise

    def connect(self) -> None:
        """Does nothing: the caller has already reset the task."""

    def read(self) -> Reading:
        """The state and environment of `lag` ticks ago. Phase: hot."""
        return Reading(*self._seen[0], age=len(self._seen) - 1)

    def frames(self) -> Mapping[str, Frame]:
        """The images of the task's cameras, as old as the state that `read` gives. Phase: hot, in simulated time."""
        if not self._filmed:
            return self._images()
        return {name: replace(frame, age=len(self._filmed) - 1) for name, frame in self._filmed[0].items()}

    def write(self, setpoint: FloatArray) -> None:
        """Keeps `setpoint` (A,) for the next `advance`. Phase: hot."""
        self._setpoint = setpoint

    def advance(self) -> None:
        """Simulates one tick under the last setpoint; without a setpoint the world stands still."""
        if self._setpoint is not None:
            self._task.advance(self._setpoint)
        self._seen.append(self._sight())
        if self._filmed:
            self._filmed.append(self._images())

    def _sight(self) -> tuple[FloatArray, FloatArray]:
        return self._task.state(), self._task.environment()

    def _images(self) -> Mapping[str, Frame]:
        return {name: Frame(image, next(STAMPS)) for name, image in self._task.frames().items()}

    def stop(self) -> None:
        """Does nothing: the world moves only by `advance`."""

    def disconnect(self) -> None:
        """Does nothing: there is no connection."""

"""The simulated robot: a task's robot behind the `Robot` seam."""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import RobotSpec
from rollahead.sim.task import Task

STAMPS = count()  # capture stamps: every image of this process has one of its own


class SimRobot:
    """Reads the task and keeps the last setpoint; the world moves only by `advance`.

    lag: ticks by which what it reads is old, and said to be; spec: the task's, with limits of one's own; None for the
    task's as it is. Images are rendered when they are asked for; with a lag in every tick, since what will be asked
    for is not known yet.
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
        """Nothing to do: the task was reset by whoever made it."""

    def read(self) -> Reading:
        """Phase: hot."""
        return Reading(*self._seen[0], age=len(self._seen) - 1)

    def frames(self) -> Mapping[str, Frame]:
        """The images of the task's cameras, as old as the state. Phase: hot, in simulated time."""
        if not self._filmed:
            return self._images()
        return {name: replace(frame, age=len(self._filmed) - 1) for name, frame in self._filmed[0].items()}

    def write(self, setpoint: FloatArray) -> None:
        """Phase: hot."""
        self._setpoint = setpoint

    def advance(self) -> None:
        """Moves the world on by one tick under the last setpoint; without one it stands still."""
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
        """Nothing moves that is not told to."""

    def disconnect(self) -> None:
        """Nothing to do."""

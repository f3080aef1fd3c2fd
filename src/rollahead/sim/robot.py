"""The simulated robot: a task's robot behind the `Robot` seam."""

from collections import deque
from collections.abc import Mapping

from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import RobotSpec
from rollahead.sim.task import Task


class SimRobot:
    """Reads the task and keeps the last setpoint; the world moves only by `advance`. lag: ticks by which what it reads
    is old, and said to be; spec: the task's, with limits of one's own; None for the task's as it is."""

    def __init__(self, task: Task, lag: int = 0, spec: RobotSpec | None = None) -> None:
        self._task = task
        self.spec = spec or task.spec
        self._setpoint: FloatArray | None = None
        self._seen = deque([self._sight()], lag + 1)  # oldest first

    def connect(self) -> None:
        """Nothing to do: the task was reset by whoever made it."""

    def read(self) -> Reading:
        """Phase: hot."""
        return Reading(*self._seen[0], age=len(self._seen) - 1)

    def frames(self) -> Mapping[str, Frame]:
        """No cameras yet. Phase: hot."""
        return {}

    def write(self, setpoint: FloatArray) -> None:
        """Phase: hot."""
        self._setpoint = setpoint

    def advance(self) -> None:
        """Moves the world on by one tick under the last setpoint; without one it stands still."""
        if self._setpoint is not None:
            self._task.advance(self._setpoint)
        self._seen.append(self._sight())

    def _sight(self) -> tuple[FloatArray, FloatArray]:
        return self._task.state(), self._task.environment()

    def stop(self) -> None:
        """Nothing moves that is not told to."""

    def disconnect(self) -> None:
        """Nothing to do."""

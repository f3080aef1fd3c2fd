"""A robot that notes what is done to it in a file, which outlives whoever made it."""

from pathlib import Path

from noted import SPEC
from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.types.arrays import FloatArray


class FiledRobot(NullRobot):
    """A line for each thing that is done to it."""

    def __init__(self, path: str) -> None:
        super().__init__(SPEC)
        self._path = Path(path)

    def _note(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(line + "\n")

    def write(self, setpoint: FloatArray) -> None:
        """Notes the setpoint."""
        super().write(setpoint)
        self._note(" ".join(map(str, setpoint.tolist())))

    def stop(self) -> None:
        """Notes it."""
        self._note("stop")

    def disconnect(self) -> None:
        """Notes it."""
        self._note("disconnect")

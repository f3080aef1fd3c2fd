"""The robot that is where it was told to be: the fake for tests and examples."""

from collections.abc import Mapping

import numpy as np

from rollahead.runtime.arrays import FloatArray, frozen
from rollahead.runtime.robots import Frame, Reading
from rollahead.runtime.spec import RobotSpec


class LoopbackRobot:
    """Its state is the last setpoint, cut or padded with zeros to S dimensions; it keeps all that it was sent."""

    def __init__(self, spec: RobotSpec) -> None:
        self.spec = spec
        self.sent: list[FloatArray] = []
        self.stopped = False
        self._reading = Reading(frozen(np.zeros(len(spec.state))), frozen(np.zeros(len(spec.environment))))

    def connect(self) -> None:
        """Nothing to do."""

    def read(self) -> Reading:
        """Phase: hot."""
        return self._reading

    def frames(self) -> Mapping[str, Frame]:
        """It has no cameras. Phase: hot."""
        return {}

    def write(self, setpoint: FloatArray) -> None:
        """Phase: hot."""
        self.sent.append(frozen(setpoint))
        state = np.zeros(len(self.spec.state))
        n = min(len(state), len(setpoint))
        state[:n] = setpoint[:n]
        state.flags.writeable = False
        self._reading = Reading(state, self._reading.environment)

    def stop(self) -> None:
        """Remembers that it was called."""
        self.stopped = True

    def disconnect(self) -> None:
        """Nothing to do."""

"""Robots that follow every setpoint at once: for tests, examples and measurements without hardware."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import Dim, RobotSpec

RATE_RAD_S = 3.0  # rate limit of a joint of `arm`; below, its acceleration limit
ACCEL_RAD_S2 = 20.0


def arm(joints: int = 6, rate_hz: float = 50.0) -> "NullRobot":
    """Makes an arm of `joints` position-controlled joints, which turn half a turn either way.

    Raises ConfigError if `joints` is less than 1.
    """
    if joints < 1:
        raise ConfigError(f"joints is {joints}; give at least 1")
    names = [f"joint_{i}" for i in range(1, joints + 1)]
    state = tuple(Dim(name, "rad") for name in names)
    action = tuple(
        replace(dim, low=-np.pi, high=np.pi, rate_limit=RATE_RAD_S, accel_limit=ACCEL_RAD_S2, drives=dim.name)
        for dim in state
    )
    return NullRobot(RobotSpec(action, state, rate_hz))


class NullRobot:
    """A robot whose state is the last setpoint, cut or padded with zeros to S dimensions."""

    def __init__(self, spec: RobotSpec) -> None:
        self.spec = spec
        self.stopped = False
        self._reading = Reading(frozen(np.zeros(len(spec.state))), frozen(np.zeros(len(spec.environment))))

    def connect(self) -> None:
        """Does nothing."""

    def read(self) -> Reading:
        """State after the last setpoint. Phase: hot."""
        return self._reading

    def frames(self) -> Mapping[str, Frame]:
        """Empty mapping, because the robot has no cameras. Phase: hot."""
        return {}

    def write(self, setpoint: FloatArray) -> None:
        """Makes `setpoint` (A,) the state. Phase: hot."""
        state = np.zeros(len(self.spec.state))
        n = min(len(state), len(setpoint))
        state[:n] = setpoint[:n]
        state.flags.writeable = False
        self._reading = Reading(state, self._reading.environment)

    def stop(self) -> None:
        """Remembers that it was called."""
        self.stopped = True

    def disconnect(self) -> None:
        """Does nothing."""


class LoopbackRobot(NullRobot):
    """A fake robot that keeps every setpoint that it was sent."""

    def __init__(self, spec: RobotSpec) -> None:
        super().__init__(spec)
        self.sent: list[FloatArray] = []

    def write(self, setpoint: FloatArray) -> None:
        """Keeps `setpoint` (A,) and makes it the state. Phase: hot."""
        self.sent.append(frozen(setpoint))
        super().write(setpoint)

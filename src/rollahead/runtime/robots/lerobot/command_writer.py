"""The command writer: sends setpoints to a LeRobot robot by name, and brings it to rest.

LeRobot's robots have no stop of their own. To bring one to rest, the last targets are sent again and all velocities are
zero; `limp` then switches the torque off, after which an arm falls, and an open gripper drops what it holds.

Threads: the one that owns the robot; `rest` also the one that has to stop it when its owner hangs. Hot path: `send`.
"""

from typing import Any

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import RobotSpec, names_of

ON_STOP = ("hold", "limp")


class CommandWriter:
    """Sends setpoints to `device`, a LeRobot robot of `spec`.

    on_stop: `hold` (stay at the last targets) or `limp` (then switch the torque off). Raises ConfigError if it is
    neither, or the robot has no bus that switches the torque off.
    """

    def __init__(self, device: Any, spec: RobotSpec, on_stop: str = "hold") -> None:
        if on_stop not in ON_STOP:
            raise unknown_name("way to stop", on_stop, ON_STOP)
        if on_stop == "limp" and not hasattr(getattr(device, "bus", None), "disable_torque"):
            raise ConfigError("on_stop is 'limp', and the robot has no bus that switches the torque off; use 'hold'")
        self._device = device
        self._names = names_of(spec.action)
        self._hold = Hold(spec)
        self._goes_limp = on_stop == "limp"
        self._limp = False
        self._last: FloatArray | None = None

    def send(self, setpoint: FloatArray) -> None:
        """Sends `setpoint` (A,). Phase: hot."""
        self._device.send_action(dict(zip(self._names, setpoint.tolist(), strict=True)))
        self._last = setpoint
        if self._limp:  # the new target first, then the torque: the motors still have the target from before
            self._device.bus.enable_torque()
            self._limp = False

    def rest(self) -> None:
        """Commands no motion any more, if anything was ever sent; may be called repeatedly."""
        if self._limp:
            return
        try:
            if self._last is not None:
                self.send(self._hold.still(self._last))
        finally:
            if self._goes_limp:
                self._device.bus.disable_torque()
                self._limp = True

"""The hand: what sends to a robot of LeRobot, setpoints by name, and how it brings it to rest.

LeRobot's robots have no stop of their own. At rest, the last targets are sent again and all velocities are zero; `limp`
then switches the torque off, after which an arm falls, and an open gripper lets go.

Threads: whoever owns the robot; `rest` also whoever has to stop it when its owner hangs. Hot path: `send`.
"""

from typing import Any

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import RobotSpec, names_of

ON_STOP = ("hold", "limp")


class CommandWriter:
    """Sends to `device`, a robot of LeRobot with `spec`. on_stop: `hold` or `limp`."""

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
        if self._limp:  # first the target, then the force: what the motors were told before they lay limp is old
            self._device.bus.enable_torque()
            self._limp = False

    def rest(self) -> None:
        """Sends no motion any more, if anything was ever sent; once more does no harm."""
        if self._limp:
            return
        try:
            if self._last is not None:
                self.send(self._hold.still(self._last))
        finally:
            if self._goes_limp:
                self._device.bus.disable_torque()
                self._limp = True

"""Robots written against LeRobot's own classes, without hardware: `Arm` has a bus and cameras, `Rover` can only be had
as a whole. Importing this imports lerobot, which takes seconds: tests do it late."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lerobot.cameras.camera import Camera
from lerobot.cameras.configs import CameraConfig
from lerobot.cameras.utils import make_cameras_from_configs
from lerobot.motors.motors_bus import Motor, MotorCalibration, MotorNormMode
from lerobot.robots.config import RobotConfig
from lerobot.robots.robot import Robot

HEIGHT, WIDTH = 4, 6
LONG_S = 30.0  # nothing waits for so long unless a test fails


def picture(value: int) -> Any:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


# ---- cameras --------------------------------------------------------------------------------------------------------


@CameraConfig.register_subclass("peeking")
@dataclass(kw_only=True)
class PeekingCameraConfig(CameraConfig):
    """Of a camera that keeps its newest image."""


@CameraConfig.register_subclass("waiting")
@dataclass(kw_only=True)
class WaitingCameraConfig(CameraConfig):
    """Of a camera that can only be waited for."""


class _Camera(Camera):
    connected = False

    def __init__(self, config: CameraConfig) -> None:
        super().__init__(config)
        self.newest = picture(1)
        self.error: Exception | None = None

    @property
    def is_connected(self) -> bool:
        return self.connected

    @staticmethod
    def find_cameras() -> list[dict[str, Any]]:
        return []

    def connect(self, warmup: bool = True) -> None:
        self.connected = True

    def read(self) -> Any:
        return self.newest

    def disconnect(self) -> None:
        self.connected = False


class PeekingCamera(_Camera):
    def connect(self, warmup: bool = True) -> None:
        super().connect()
        self.take(1)

    def take(self, value: int, age_s: float = 0.0) -> None:
        """An image of `value` that was taken `age_s` ago."""
        self.newest, self.latest_timestamp = picture(value), time.perf_counter() - age_s

    def async_read(self, timeout_ms: float = 200) -> Any:
        return self.newest

    def read_latest(self, max_age_ms: int = 500) -> Any:
        if self.error is not None:
            raise self.error
        if time.perf_counter() - self.latest_timestamp > max_age_ms * 1e-3:
            raise TimeoutError("the latest image is too old")
        return self.newest


class WaitingCamera(_Camera):
    """Gives an image when `come` is set, which it clears; the first one at once."""

    def connect(self, warmup: bool = True) -> None:
        super().connect()
        self.come = threading.Event()
        self.come.set()

    def async_read(self, timeout_ms: float = 200) -> Any:
        if not self.come.wait(timeout_ms * 1e-3):
            raise TimeoutError("no image came")
        self.come.clear()
        if self.error is not None:
            raise self.error
        return self.newest


# ---- an arm with a bus ----------------------------------------------------------------------------------------------


class Bus:
    """Motors that are where they were told to be. `notes` says what was done, in order."""

    def __init__(self, motors: dict[str, Motor]) -> None:
        self.motors = motors
        self.positions = {name: 10.0 * i for i, name in enumerate(motors, start=1)}
        self.notes: list[str] = []
        self.connected = False
        self.retries: int | None = None
        self.hang: threading.Event | None = None

    @property
    def is_connected(self) -> bool:
        return self.connected

    def connect(self) -> None:
        self.connected = True

    def disconnect(self, disable_torque: bool = True) -> None:
        self.notes.append(f"disconnect, torque {'off' if disable_torque else 'on'}")
        self.connected = False

    def sync_read(self, data_name: str, motors: Any = None, *, num_retry: int = 0) -> dict[str, float]:
        assert data_name == "Present_Position"
        if not self.connected:
            raise ConnectionError("the bus is not connected")
        self.retries = num_retry
        return dict(reversed(self.positions.items()))  # nothing is said of the order

    def sync_write(self, data_name: str, values: dict[str, float]) -> None:
        assert data_name == "Goal_Position"
        if self.hang is not None:
            self.hang.wait(LONG_S)
        self.notes.append(f"write {' '.join(f'{name}={value:g}' for name, value in sorted(values.items()))}")
        self.positions.update(values)

    def enable_torque(self, motors: Any = None, num_retry: int = 0) -> None:
        self.notes.append("torque on")

    def disable_torque(self, motors: Any = None, num_retry: int = 0) -> None:
        self.notes.append("torque off")


class CalibratedBus(Bus):
    """Motors that need a calibration, which some of LeRobot's read from the motors themselves."""

    def __init__(self, motors: dict[str, Motor], calibrated: bool) -> None:
        super().__init__(motors)
        every = {name: MotorCalibration(motor.id, 0, 0, 0, 4095) for name, motor in motors.items()}
        self.calibration = every if calibrated else {}

    def read_calibration(self) -> dict[str, MotorCalibration]:
        return self.calibration


@RobotConfig.register_subclass("arm_of_tests")
@dataclass(kw_only=True)
class ArmConfig(RobotConfig):
    port: str
    modes: dict[str, str] = field(default_factory=lambda: {"elbow": "degrees", "gripper": "range_0_100"})
    cameras: dict[str, CameraConfig] = field(default_factory=dict)
    calibrated: bool = True
    idle_bus: bool = False  # the robot has a bus that it does not use
    offset: float = 0.0  # what is observed is not what the bus says
    broken_camera: bool = False
    keeps_calibration: bool | None = None  # whether its motors hold one; None: there is none to hold
    disable_torque_on_disconnect: bool = True
    num_read_retries: int = 2


class Arm(Robot):
    config_class = ArmConfig
    name = "arm_of_tests"

    def __init__(self, config: ArmConfig) -> None:
        super().__init__(config)
        self.config = config
        motors = {name: Motor(i, "any", MotorNormMode(mode)) for i, (name, mode) in enumerate(config.modes.items())}
        self.bus = Bus(motors) if config.keeps_calibration is None else CalibratedBus(motors, config.keeps_calibration)
        self.cameras = make_cameras_from_configs(config.cameras)
        self._connected = False

    @property
    def observation_features(self) -> dict[str, Any]:
        images = {name: (camera.height, camera.width, 3) for name, camera in self.cameras.items()}
        return {**{f"{name}.pos": float for name in self.bus.motors}, **images, "depth": (HEIGHT, WIDTH, 1)}

    @property
    def action_features(self) -> dict[str, Any]:
        return {f"{name}.pos": float for name in reversed(self.bus.motors)}

    @property
    def is_connected(self) -> bool:
        return self._connected and all(camera.is_connected for camera in self.cameras.values())

    @property
    def is_calibrated(self) -> bool:
        return self.config.calibrated

    def connect(self, calibrate: bool = True) -> None:
        assert not calibrate, "nobody is there to calibrate"
        self._connected = True
        if not self.config.idle_bus:
            self.bus.connect()
        if self.config.broken_camera:
            raise ConnectionError("a camera does not answer")
        for camera in self.cameras.values():
            camera.connect()

    def calibrate(self) -> None: ...

    def configure(self) -> None: ...

    def get_observation(self) -> dict[str, Any]:
        positions = {name: value + self.config.offset for name, value in self.bus.positions.items()}
        images = {name: camera.async_read() for name, camera in self.cameras.items()}
        return {**{f"{name}.pos": value for name, value in positions.items()}, **images}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        self.bus.sync_write("Goal_Position", {name.removesuffix(".pos"): value for name, value in action.items()})
        return action

    def disconnect(self) -> None:
        self._connected = False
        self.bus.disconnect(self.config.disable_torque_on_disconnect)
        for camera in self.cameras.values():
            camera.disconnect()


# ---- a rover that can only be had as a whole ------------------------------------------------------------------------


@RobotConfig.register_subclass("rover_of_tests")
@dataclass(kw_only=True)
class RoverConfig(RobotConfig):
    lamp: bool = False
    knows_calibration: bool = True


class Rover(Robot):
    """`slow`, if set, is called in `get_observation`; `failing` in `send_action`."""

    config_class = RoverConfig
    name = "rover_of_tests"

    def __init__(self, config: RoverConfig) -> None:
        super().__init__(config)
        self.config = config
        self.x, self.mast = 0.0, 5.0
        self.sent: list[dict[str, float]] = []
        self.slow: Callable[[], None] | None = None
        self._connected = False

    @property
    def observation_features(self) -> dict[str, Any]:
        return {"theta.vel": float, "mast.pos": float, "x.pos": float, "x.vel": float, "front": (HEIGHT, WIDTH, 3)}

    @property
    def action_features(self) -> dict[str, Any]:
        return {"x.vel": float, "theta.vel": float, "mast.pos": float, **({"lamp": float} if self.config.lamp else {})}

    @property
    def is_connected(self) -> bool:
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        return True if self.config.knows_calibration else None  # type: ignore[return-value]  # as LeKiwi's client

    def connect(self) -> None:  # type: ignore[override]  # without `calibrate`, as LeKiwi's client
        self._connected = True

    def calibrate(self) -> None: ...

    def configure(self) -> None: ...

    def get_observation(self) -> dict[str, Any]:
        if self.slow is not None:
            self.slow()
        front = picture(len(self.sent))
        return {"x.pos": self.x, "x.vel": 0.5, "theta.vel": 0.25, "mast.pos": self.mast, "front": front}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(action)
        self.mast = action["mast.pos"]
        return action

    def disconnect(self) -> None:
        self._connected = False

"""A robot of LeRobot as someone's own plug-in package has it: two joints and two cameras, without hardware.

It has no motor bus, so it can only be had as a whole. Put the folder that this package is in on `PYTHONPATH`.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lerobot.cameras.camera import Camera
from lerobot.cameras.configs import CameraConfig
from lerobot.cameras.utils import make_cameras_from_configs
from lerobot.robots.config import RobotConfig
from lerobot.robots.robot import Robot

JOINTS = ("shoulder", "elbow")


@CameraConfig.register_subclass("noise")
@dataclass(kw_only=True)
class NoiseCameraConfig(CameraConfig):
    """Of a camera that sees another noise in each frame."""


class NoiseCamera(Camera):
    """Frames of noise, `fps` a second, by the clock."""

    def __init__(self, config: CameraConfig) -> None:
        super().__init__(config)
        self._frame = -1
        self._connected = False

    @property
    def is_connected(self) -> bool:
        """Whether it was connected."""
        return self._connected

    @staticmethod
    def find_cameras() -> list[dict[str, Any]]:
        """None: it is no hardware."""
        return []

    def connect(self, warmup: bool = True) -> None:
        """Opens nothing."""
        self._connected = True

    def disconnect(self) -> None:
        """Closes nothing."""
        self._connected = False

    def read(self) -> Any:
        """(H, W, 3) uint8: the newest frame, which is the same array until there is a newer one."""
        frame = int(time.perf_counter() * (self.fps or 30))
        if frame != self._frame:
            small = np.random.default_rng(frame).integers(0, 256, (self.height // 8, self.width // 8, 3), np.uint8)
            self._newest, self._frame = small.repeat(8, axis=0).repeat(8, axis=1), frame
        return self._newest

    def async_read(self, timeout_ms: float = 200) -> Any:
        """As `read`."""
        return self.read()

    def read_latest(self, max_age_ms: int = 500) -> Any:
        """As `read`."""
        return self.read()


def _cameras() -> dict[str, CameraConfig]:
    return {name: NoiseCameraConfig(fps=60, width=320, height=240) for name in ("front", "wrist")}


@RobotConfig.register_subclass("desk")
@dataclass(kw_only=True)
class DeskConfig(RobotConfig):
    """slow_s: how long it takes to connect; stuck_after: observations after which each takes `stuck_s`; axes: as many
    numbers as it has joints."""

    cameras: dict[str, CameraConfig] = field(default_factory=_cameras)
    slow_s: float = 0.0
    stuck_after: int | None = None
    stuck_s: float = 1.0
    offsets: list[float] = field(default_factory=lambda: [0.0, 0.0])


class Desk(Robot):
    """Two joints that are where they were told to be."""

    config_class = DeskConfig
    name = "desk"

    def __init__(self, config: DeskConfig) -> None:
        super().__init__(config)
        self.config = config
        self.cameras = make_cameras_from_configs(config.cameras)
        self._positions = dict(zip(JOINTS, config.offsets, strict=True))
        self._observed = 0
        self._connected = False

    @property
    def observation_features(self) -> dict[str, Any]:
        """The joints and the images."""
        images = {name: (camera.height, camera.width, 3) for name, camera in self.cameras.items()}
        return {**self.action_features, **images}

    @property
    def action_features(self) -> dict[str, Any]:
        """The joints."""
        return {f"{name}.pos": float for name in JOINTS}

    @property
    def is_connected(self) -> bool:
        """Whether it was connected."""
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        """There is nothing to calibrate."""
        return True

    def connect(self, calibrate: bool = True) -> None:
        """Takes `slow_s`."""
        time.sleep(self.config.slow_s)
        for camera in self.cameras.values():
            camera.connect()
        self._connected = True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    def get_observation(self) -> dict[str, Any]:
        """Where the joints are, and what the cameras see."""
        self._observed += 1
        if self.config.stuck_after is not None and self._observed > self.config.stuck_after:
            time.sleep(self.config.stuck_s)
        images = {name: camera.read() for name, camera in self.cameras.items()}
        return {**{f"{name}.pos": value for name, value in self._positions.items()}, **images}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """The joints are there at once."""
        self._positions.update({name.removesuffix(".pos"): value for name, value in action.items()})
        return action

    def disconnect(self) -> None:
        """Lets the cameras go."""
        for camera in self.cameras.values():
            camera.disconnect()
        self._connected = False

"""The gantry: whack-a-mole in a process of its own, which goes on by the clock.

Each `connect` begins an episode. When it is over, the world stands still and is observed as it was last.
"""

from contextlib import ExitStack
from typing import Any

import numpy as np
from lerobot.robots.robot import Robot

from lerobot_robot_gantry.config_gantry import GantryConfig
from rollahead.sim.world import SimulatedRobot, World

SENT = {"absolute": ("x.pos", "y.pos"), "velocity": ("x.vel", "y.vel")}
OBSERVED = ("x.pos", "y.pos", "x.vel", "y.vel", "mole_x.pos", "mole_y.pos")


class Gantry(Robot):
    """A robot of LeRobot, of type `gantry`."""

    config_class = GantryConfig
    name = "gantry"

    def __init__(self, config: GantryConfig) -> None:
        if config.mode not in SENT:
            raise ValueError(f"mode is {config.mode!r}; give one of {', '.join(SENT)}")
        super().__init__(config)
        self.config = config
        self._seed = config.seed
        self._undo = ExitStack()
        self._robot: SimulatedRobot | None = None

    @property
    def observation_features(self) -> dict[str, type]:
        """What is measured, and where the mole is."""
        return dict.fromkeys(OBSERVED, float)

    @property
    def action_features(self) -> dict[str, type]:
        """Targets, or velocities."""
        return dict.fromkeys(SENT[self.config.mode], float)

    @property
    def is_connected(self) -> bool:
        """Whether there is a world."""
        return self._robot is not None

    @property
    def is_calibrated(self) -> bool:
        """It needs no calibration."""
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    def connect(self, calibrate: bool = True) -> None:
        """Begins an episode, that of the next seed after the one before."""
        if self.is_connected:
            raise ConnectionError("the gantry is connected; disconnect it first")
        with ExitStack() as undo:
            world = undo.enter_context(
                World({"name": "mole", "mode": self.config.mode, "window_s": self.config.window_s})
            )
            world.reset(self._seed)
            robot = world.make_robot()
            robot.connect()
            self._undo = undo.pop_all()
        self._robot = robot
        self._seed += 1

    def get_observation(self) -> dict[str, Any]:
        """The scene of now."""
        reading = self._there.read()
        return dict(zip(OBSERVED, [*reading.state.tolist(), *reading.environment.tolist()], strict=True))

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """The newest action stays in effect."""
        self._there.write(np.array([float(action[name]) for name in SENT[self.config.mode]]))
        return action

    def disconnect(self) -> None:
        """Ends the world."""
        self._there.stop()
        self._robot = None
        self._undo.close()

    @property
    def _there(self) -> SimulatedRobot:
        if self._robot is None:
            raise ConnectionError("the gantry is not connected; connect it first")
        return self._robot

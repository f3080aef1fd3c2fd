"""rollahead's simulated gantry as a robot of LeRobot."""

from lerobot_robot_gantry.config_gantry import GantryConfig
from lerobot_robot_gantry.gantry import Gantry

__all__ = ["Gantry", "GantryConfig"]

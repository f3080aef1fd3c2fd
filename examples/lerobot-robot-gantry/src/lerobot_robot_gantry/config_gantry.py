"""The gantry's options."""

from dataclasses import dataclass

from lerobot.robots.config import RobotConfig


@RobotConfig.register_subclass("gantry")
@dataclass(kw_only=True)
class GantryConfig(RobotConfig):
    """mode: `absolute` or `velocity`; window_s: how long the mole stays after it has jumped; seed: of the first
    episode."""

    mode: str = "absolute"
    window_s: float = 0.9
    seed: int = 0

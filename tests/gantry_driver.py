"""Drives the gantry of lerobot_robot_gantry, by rollahead and then by LeRobot's own means, and prints what came of it.

A program of its own: the gantry's world is another process, which imports this file, and so not LeRobot.
usage: gantry_driver.py <folder>
"""

import json
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.robots.registry import make_robot
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import names_of

H = 16
GOAL = (0.1, -0.2)
STEP_M = 0.01  # per tick
PATIENCE_S = 20.0  # the world's process takes its time to end
LIMITS = {"default": {"low": -0.5, "high": 0.5, "rate_limit": 2.0}}


def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
    """(H, 2), towards the goal; x and y are measured first."""
    way = np.asarray(GOAL) - seen.state[:2]
    steps = STEP_M * np.arange(1, H + 1)[:, None]
    return seen.state[:2] + np.sign(way) * np.minimum(steps, np.abs(way))


def by_rollahead(folder: str) -> dict[str, Any]:
    """In thread isolation: the gantry's world is a process, which one of the executor's own could not start."""
    config = {"calibration_dir": folder, "window_s": 5.0}
    made = partial(make_robot, "lerobot", type="gantry", rate_hz=50.0, config=config, limits=LIMITS)
    drive = Drive(StrategyConfig("vlash", s=8, d=2), H)
    planner = ScriptedPlanner(plan)
    with Realtime(drive, made, planner, isolation="thread", stall_s=PATIENCE_S) as runtime:
        runtime.run(1.5)
    ticks = runtime.trace.ticks
    return {
        "action": names_of(runtime.spec.action),
        "state": names_of(runtime.spec.state),
        "tick": ticks["tick"].tolist(),
        "chunk": ticks["chunk"].tolist(),
        "end": ticks["state"][-1].tolist(),
    }


def by_lerobot(folder: str) -> dict[str, Any]:
    """LeRobot's own loop: observe, send, wait."""
    from lerobot.robots.config import RobotConfig
    from lerobot.robots.utils import make_robot_from_config
    from lerobot.utils.import_utils import register_third_party_plugins

    register_third_party_plugins()  # it is found as LeRobot's own programs find it
    config = RobotConfig.get_choice_class("gantry")
    robot = make_robot_from_config(config(mode="velocity", window_s=5.0, calibration_dir=Path(folder)))
    robot.connect()
    begin = robot.get_observation()
    for _ in range(25):
        sent = robot.send_action({"y.vel": 0.0, "x.vel": 0.2})
        threading.Event().wait(0.02)
    end = robot.get_observation()
    robot.disconnect()
    return {"features": sorted(robot.observation_features), "sent": sent, "begin": begin, "end": end}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"rollahead": by_rollahead(sys.argv[1]), "lerobot": by_lerobot(sys.argv[1])}))

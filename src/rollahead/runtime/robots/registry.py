"""Robots by name: each is one entry point in the group `rollahead.robots`, of this package or of another.

    make_robot("lerobot", type="so101_follower", rate_hz=30.0, config={"port": "/dev/ttyACM0"})

An entry point is a function or a class that takes the options, touches no hardware, and returns a `Robot`.

Threads: setup only.
"""

from collections.abc import Callable
from typing import Any

from rollahead.runtime.config.extensions import check_made, load
from rollahead.runtime.types.options import call
from rollahead.runtime.types.robot import Robot

GROUP = "rollahead.robots"
MEMBERS = ("spec", "connect", "read", "frames", "write", "stop", "disconnect")  # of a `Robot`


def make_robot(name: str, **options: Any) -> Robot:
    """Makes the robot registered as `name` with `options`.

    Raises ConfigError if there is none of that name, it cannot be imported, it takes no such option, or it makes no
    robot.
    """
    robot = call(load_robot(name), options, "robot")
    check_made("robot", name, robot, MEMBERS, "a Robot (docs/robots.md)")
    return robot


def load_robot(name: str) -> Callable[..., Robot]:
    """Function or class registered as `name` that makes a robot.

    Raises ConfigError if there is none of that name, or it cannot be imported.
    """
    return load(GROUP, "robot", name, "add what it needs, e.g. rollahead[policies]")

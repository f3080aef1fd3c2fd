"""The versions of LeRobot that rollahead works with; any other is refused.

Threads: setup only. Imports no LeRobot.
"""

import re
from importlib import metadata

from rollahead.errors import ConfigError

LEAST, BELOW = (0, 4, 4), (0, 7)
RANGE = ">=0.4.4,<0.7"
HELD_TO = "0.4.4 and 0.6.1"  # versions that the tests run with; comparisons with LeRobot are made with 0.6.1


def version() -> str:
    """Version of LeRobot that is installed. Raises ConfigError if none is."""
    try:
        return metadata.version("lerobot")
    except metadata.PackageNotFoundError as error:
        raise ConfigError("LeRobot is not installed; add it with pip install 'rollahead[policies]'") from error


def check_version() -> None:
    """Checks that LeRobot is installed.

    Raises ConfigError if it is missing, or older or newer than what rollahead supports.
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", version())[:3])
    if not LEAST <= numbers < BELOW:
        raise ConfigError(
            f"LeRobot {version()} is installed, and rollahead works with {RANGE} (it is tested with {HELD_TO}); use "
            f"one of these: pip install 'lerobot{RANGE}'"
        )

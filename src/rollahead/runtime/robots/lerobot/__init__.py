"""Makes any robot of LeRobot, one that comes with it or a plug-in, a `Robot` of this package.

    make_lerobot("so101_follower", rate_hz=30.0, config={"port": "/dev/ttyACM0", "id": "black"})

Its features become the spec (`features`). If its motor bus and its cameras can be read separately, they are
(`direct_bus`); otherwise one thread owns the robot, and nothing waits for it (`buffered_device`). `connect` finds out
which.

What to know of LeRobot:
- It has no stop: `on_stop=hold` sends the last targets again, `limp` then switches the torque off. By default LeRobot
  switches it off when it disconnects (`disable_torque_on_disconnect`), and the arm falls then.
- A robot has to be calibrated before, by `lerobot-calibrate`.
- `send_action` returns the action as clipped by the robot's `max_relative_target`, which neither history nor rolling
  sees, and to clip it LeRobot reads the bus before every write. Leave it null, and set `limits`: what the guard does to
  an action is seen.

Threads: the executor's; `stop` may be called from another one. Imports lerobot (seconds) when a robot is made.
"""

import difflib
import importlib
import logging
import pkgutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from importlib.util import find_spec
from typing import Any

from rollahead.errors import ConfigError, one_line, unknown_name
from rollahead.runtime.robots.lerobot.adapter import LeRobotRobot
from rollahead.runtime.robots.lerobot.features import Features, ranges_of, spec_of
from rollahead.runtime.robots.lerobot.version import check_version
from rollahead.runtime.system.patience import error_text

PLUG_INS = {
    "LeRobot robot type": "lerobot_robot_",
    "LeRobot camera type": "lerobot_camera_",
}  # prefixes of package names
BUSES = ("feetech", "dynamixel", "damiao", "robstride")  # LeRobot's kinds of motors, and names of its extras


def make_lerobot(
    type: str,
    rate_hz: float,
    config: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    on_stop: str = "hold",
    direct_bus: bool = True,
) -> LeRobotRobot:
    """Makes the robot that LeRobot calls `type`, driven at `rate_hz`.

    Args:
        type: LeRobot's name of the robot.
        rate_hz: Ticks per second.
        config: LeRobot's own options of the robot.
        limits: Limits by dimension, see `features`.
        on_stop: `hold` or `limp`.
        direct_bus: False never reads the motor bus without `get_observation`.

    Raises ConfigError if there is no such robot, or it cannot be made with these options.
    """
    device = _make_device(type, _plain(config or {}))
    bus = getattr(device, "bus", None)
    _check_calibrated(type, device, bus)
    features = Features(device.observation_features, device.action_features, ranges_of(bus))
    return LeRobotRobot(device, spec_of(features, rate_hz, limits or {}), type, on_stop, direct_bus=direct_bus)


def _make_device(name: str, config: dict[str, Any]) -> Any:
    check_version()
    try:
        from draccus.parsers.decoding import decode
        from lerobot import cameras, robots
        from lerobot.utils.import_utils import register_third_party_plugins
    except ImportError as error:
        raise ConfigError(
            f"LeRobot cannot be imported ({one_line(error)}); add it with pip install 'rollahead[policies]'"
        ) from error
    with _quiet():  # LeRobot logs a traceback for each plug-in that cannot be imported, whichever robot is asked for
        register_third_party_plugins()
    made = _choice("LeRobot robot type", name, robots.RobotConfig, robots)
    for camera in _camera_types(config):
        _choice("LeRobot camera type", camera, cameras.CameraConfig, cameras)
    for option in config:
        if option not in (known := [field.name for field in fields(made)]):
            raise unknown_name(f"option of LeRobot's {name}", option, known)
    try:
        decoded = decode(made, config)
    except Exception as error:
        reason = ", ".join(error_text(each) for each in (error, error.__cause__) if each is not None)
        raise ConfigError(f"LeRobot refuses the options of a {name} ({reason}); give what it takes") from error
    try:
        return robots.make_robot_from_config(decoded)
    except Exception as error:  # its cause, where LeRobot repeats all options
        reason = error_text(error.__cause__ or error)
        raise ConfigError(f"LeRobot cannot make a {name} ({reason}); {_remedy(error)}") from error


def _remedy(error: Exception) -> str:
    """Remedy for a robot that could not be made.

    One extra of LeRobot's brings all packages that its motors need, of which LeRobot's error names one at a time.
    """
    frames = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    extra = next((extra for extra in BUSES if any(name.startswith(f"lerobot.motors.{extra}") for name in frames)), None)
    if not isinstance(error, ImportError) or extra is None:
        return "add the package that it needs, or set its options otherwise"
    return f"add what its motors need with pip install 'lerobot[{extra}]'"


def _check_calibrated(name: str, device: Any, bus: Any) -> None:
    """Checks that a robot has its calibration. Raises ConfigError if `bus` needs one, and LeRobot has none."""
    path = getattr(device, "calibration_fpath", None)
    if path is None or path.is_file() or not hasattr(bus, "read_calibration") or bus.calibration:
        return
    raise ConfigError(
        f"there is no calibration of the {name} with id {device.id!r} at {path}; give robot.config.id the one that it "
        f"was calibrated with, or make it with lerobot-calibrate --robot.type={name} --robot.id={device.id} and its "
        "other options"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses log records up to errors while the block runs."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def plug_ins() -> list[str]:
    """Names of the packages on the path that have robots or cameras for LeRobot."""
    prefixes = tuple(PLUG_INS.values())
    return sorted(module.name for module in pkgutil.iter_modules() if module.name.startswith(prefixes))


def _plug_in(prefix: str, name: str) -> bool:
    """Imports the plug-in for the type `name`, a package that may be on the path without being installed.

    prefix: beginning of the names of such packages. Returns False if there is none. Raises ConfigError if it cannot be
    imported.
    """
    module = f"{prefix}{name}"
    if not module.isidentifier() or find_spec(module) is None:
        return False
    try:
        importlib.import_module(module)
    except Exception as error:
        raise ConfigError(
            f"the plug-in {module} cannot be imported ({error_text(error)}); add what it needs, or make it importable"
        ) from error
    return True


def _choice(what: str, name: str, base: Any, package: Any) -> Any:
    """Class that is registered with `base` as `name`.

    LeRobot's own classes are registered when the sub-package of `package` that has them is imported, so the likeliest
    is imported first, and no more than are needed.
    """
    parts = [module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg]
    failed: dict[str, str] = {}
    for part in sorted(parts, key=partial(_unlikeness, str(name))):
        if name in base.get_known_choices():
            break
        try:
            importlib.import_module(f"{package.__name__}.{part}")
        except ImportError as error:
            failed[part] = error_text(error)
    known = base.get_known_choices()
    if name not in known and _plug_in(PLUG_INS[what], name):
        known = base.get_known_choices()
    if name not in known:
        missing = "".join(f"{part} of LeRobot cannot be imported ({error}), and " for part, error in failed.items())
        raise ConfigError(f"{missing}{unknown_name(what, name, known)}")
    return known[name]


def _unlikeness(name: str, part: str) -> float:
    return -difflib.SequenceMatcher(None, name, part).ratio()


def _camera_types(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields the types of all cameras in `config`, also those of an arm of a robot."""
    for key, value in config.items():
        if key == "cameras" and isinstance(value, Mapping):
            yield from (camera["type"] for camera in value.values() if isinstance(camera, Mapping) and "type" in camera)
        elif isinstance(value, Mapping):
            yield from _camera_types(value)


def _plain(value: Any) -> Any:
    """Copy of `value` in plain dictionaries and lists, which LeRobot needs."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(each) for each in value]
    return value

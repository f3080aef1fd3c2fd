"""LeRobot's features as a spec: what a LeRobot robot measures and what it can be sent, by name.

LeRobot describes a robot by two flat dictionaries, of what is observed and of what is sent:

    "elbow.pos": float           a dimension; `.pos` is a position, `.vel` a velocity
    "front": (480, 640, 3)       a camera
    any other shape              left out, as depth is

What they do not say is in `limits`, from the name of a dimension, or `default` for every action, to fields of `Dim`:

    {"default": {"rate_limit": 90.0}, "gripper.pos": {"low": 5.0, "unit": "%"}, "lamp": {"kind": "discrete"}}

Threads: setup only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.robots.spec_limits import DEFAULT, Limits, checked
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec, check_effort_name

SUFFIXES: Mapping[str, Kind] = {".pos": Kind.POSITION, ".vel": Kind.VELOCITY}
DEGREES = "degrees"
RANGES: Mapping[str, Mapping[str, Any]] = {  # by the mode in which LeRobot normalises a motor's positions
    "range_m100_100": {"unit": "%", "low": -100.0, "high": 100.0},
    "range_0_100": {"unit": "%", "low": 0.0, "high": 100.0},
    DEGREES: {"unit": "deg"},
}
FIELDS = tuple(each.name for each in fields(Dim) if each.name != "name")
SHARED = ("kind", "unit")  # fields that hold for action and state where a name is both sent and measured


@dataclass(frozen=True, slots=True)
class Features:
    """LeRobot's description of a robot.

    Attributes:
        observed: LeRobot's `observation_features`.
        sent: LeRobot's `action_features`.
        ranges: Fields of `Dim` for dimensions that are a motor's position: its unit, and its range where that is known.
    """

    observed: Mapping[str, Any]
    sent: Mapping[str, Any]
    ranges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def state(self) -> tuple[str, ...]:
        """Names of the numbers that are measured."""
        return tuple(name for name, feature in self.observed.items() if _is_number(feature))


def spec_of(features: Features, rate_hz: float, limits: Limits) -> RobotSpec:
    """Spec of a robot with `features` that is driven at `rate_hz`.

    Raises ConfigError if `limits` names what the robot lacks, or leaves the kind of an action open.
    """
    for name, feature in features.sent.items():
        if not _is_number(feature):
            raise ConfigError(f"action {name!r} is {feature}, and only numbers can be sent; use another robot")
    given = _checked(limits, {*features.state, *features.sent})
    return RobotSpec(
        action=tuple(_action(name, features, given) for name in features.sent),
        state=tuple(_state(name, features, given) for name in features.state),
        rate_hz=rate_hz,
        cameras=tuple(_cameras(features.observed)),
    )


def ranges_of(bus: Any) -> dict[str, dict[str, Any]]:
    """Unit and range of the position of each motor of `bus`, as fields of `Dim` by name.

    They follow from LeRobot's normalisation mode, and for degrees from its calibration. `bus` may be None or no bus of
    LeRobot's.
    """
    motors = getattr(bus, "motors", None)
    if not isinstance(motors, Mapping):
        return {}
    modes = {name: getattr(motor, "norm_mode", None) for name, motor in motors.items()}
    known = {name: str(getattr(mode, "value", mode)) for name, mode in modes.items() if mode is not None}
    calibrated = {name: _degrees(bus, name) if mode == DEGREES else {} for name, mode in known.items()}
    return {f"{name}.pos": {**RANGES.get(mode, {}), **calibrated[name]} for name, mode in known.items()}


def _degrees(bus: Any, motor: str) -> dict[str, float]:
    """Range of a motor in degrees; empty if it is not calibrated.

    LeRobot calibrates a motor in counts of its encoder, and counts degrees from the middle of the range. A turn has as
    many counts as the largest count.
    """
    calibration = (getattr(bus, "calibration", None) or {}).get(motor)
    turn = getattr(bus, "model_resolution_table", {}).get(bus.motors[motor].model, 0) - 1
    if calibration is None or turn < 1:
        return {}
    half = (calibration.range_max - calibration.range_min) / 2 * 360 / turn
    return {"low": -half, "high": half}


def _checked(limits: Limits, known: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Checked copy of `limits`, with kinds as `Kind`."""
    given = checked(limits, tuple(known), FIELDS)
    for values in given.values():
        if "kind" in values:
            values["kind"] = Kind(values["kind"])
    return given


def _action(name: str, features: Features, given: Limits) -> Dim:
    values = {**_suffixed(name), **features.ranges.get(name, {}), **given.get(DEFAULT, {}), **given.get(name, {})}
    if "kind" not in values:
        check_effort_name(name)
        raise ConfigError(
            f"action {name!r} ends in neither {' nor '.join(SUFFIXES)}, so that its kind is not known; give "
            f"limits.{name}.kind, one of {', '.join(kind.value for kind in Kind)}"
        )
    driven = _position(name) if values["kind"] is Kind.VELOCITY else name
    return Dim(name, **{"drives": driven if driven in features.state else None, **values})


def _state(name: str, features: Features, given: Limits) -> Dim:
    own = given.get(name, {})
    if name in features.sent:  # limits are meant for what is sent
        own = {limit: value for limit, value in own.items() if limit in SHARED}
    unit = {"unit": features.ranges.get(name, {}).get("unit", "")}
    values = {**_suffixed(name), **unit, **own}
    rate = values.get("kind") is Kind.VELOCITY and _position(name) in features.state
    return Dim(name, **{"rate_of": _position(name) if rate else None, **values})


def _suffixed(name: str) -> dict[str, Any]:
    kinds = [kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)]
    return {"kind": kinds[0]} if kinds else {}


def _position(name: str) -> str:
    """Name of the position whose rate `name` is."""
    return f"{name.removesuffix('.vel')}.pos"


def _cameras(observed: Mapping[str, Any]) -> Iterable[Camera]:
    for name, feature in observed.items():
        if isinstance(feature, tuple) and len(feature) == 3 and feature[2] == 3:
            yield Camera(name, int(feature[0]), int(feature[1]))


def _is_number(feature: Any) -> bool:
    return isinstance(feature, type) and issubclass(feature, int | float | np.number)

"""Limits from a config: from the name of a dimension, or `default` for every action, to fields of `Dim`.

    {"default": {"rate_limit": 1.5}, "gripper": {"rate_limit": 4.0, "jump_limit": 0.2}}

Threads: setup only.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, get_type_hints

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.types.options import check_kind
from rollahead.runtime.types.spec import Dim, RobotSpec, names_of

DEFAULT = "default"
CHANGES = ("rate_limit", "accel_limit", "jump_limit")  # limits of how an action changes

Limits = Mapping[str, Mapping[str, Any]]


def checked(limits: Limits, known: Collection[str], fields: Collection[str]) -> dict[str, dict[str, Any]]:
    """Copy of `limits`, checked against the known dimensions and fields.

    Args:
        limits: Fields by the name of a dimension, or `default`.
        known: Names of the robot's dimensions.
        fields: Names of the fields of `Dim` that may be given.

    Raises ConfigError if a name or a field is unknown, or a value is of another kind than the field.
    """
    hints = get_type_hints(Dim)
    for name, values in limits.items():
        if name not in (DEFAULT, *known):
            raise unknown_name("dimension of the robot", name, {DEFAULT, *known})
        if not isinstance(values, Mapping):
            raise ConfigError(f"limits.{name} is {values!r}; give fields of it, such as {{rate_limit: 90}}")
        for limit, value in values.items():
            if limit not in fields:
                raise unknown_name(f"limit of {name}", limit, fields)
            check_kind(f"limits.{name}.{limit}", value, hints[limit], endless=True)
    return {name: dict(values) for name, values in limits.items()}


def limited(spec: RobotSpec, limits: Limits) -> RobotSpec:
    """Returns `spec` with `limits` on how its actions may change: `rate_limit`, `accel_limit` and `jump_limit`.

    Raises ConfigError if the robot has no such action, there is no such limit, or it is not positive.
    """
    given = checked(limits, names_of(spec.action), CHANGES)
    action = (replace(dim, **{**given.get(DEFAULT, {}), **given.get(dim.name, {})}) for dim in spec.action)
    return replace(spec, action=tuple(action))

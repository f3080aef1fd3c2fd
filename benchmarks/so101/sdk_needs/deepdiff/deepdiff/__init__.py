"""What LeRobot needs of deepdiff, where that is not installed."""

from typing import Any


def DeepDiff(one: Any, other: Any) -> dict[str, Any]:
    """Empty if both are equal."""
    return {} if one == other else {"values_changed": {}}

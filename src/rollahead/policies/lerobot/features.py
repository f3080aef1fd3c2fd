"""Features: the inputs and outputs of a LeRobot policy, read from its config.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollahead.errors import ConfigError

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
PARTS = {STATE: "state", ENVIRONMENT: "environment", ACTION: "action"}
EXECUTED = "executed"  # in our own demonstrations: the action that was sent; `action` is the one that the expert wanted
IMAGES = "observation.images."
IMAGE_PREFIXES = (IMAGES, "observation.")


@dataclass(frozen=True, slots=True)
class Features:
    """Inputs and outputs of a policy.

    Attributes:
        state: Number of state dimensions, 0 for none.
        action: Number of action dimensions, 0 for none.
        environment: Number of environment dimensions, 0 for none.
        cameras: Image shape (C, H, W) by feature, in the policy's order.
    """

    state: int
    action: int
    environment: int
    cameras: Mapping[str, tuple[int, int, int]]

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras without LeRobot's prefix, as a robot calls them."""
        return tuple(camera_name(key) for key in self.cameras)

    @property
    def sizes(self) -> dict[str, int]:
        """Size of each feature that the policy has: the number of dimensions, or of colour channels for an image."""
        vectors = {STATE: self.state, ENVIRONMENT: self.environment, ACTION: self.action}
        return {key: n for key, n in vectors.items() if n} | {key: shape[0] for key, shape in self.cameras.items()}


def camera_name(key: str) -> str:
    """The name of a camera without LeRobot's prefix.

    Examples: `top` for `observation.images.top`, `image` for `observation.image`.
    """
    for prefix in IMAGE_PREFIXES:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


def features_of(config: Mapping[str, Any]) -> Features:
    """The features that a config.json lists.

    Raises: ConfigError, if there is no state or no action, or a feature is of a kind that is not supported.
    """
    inputs, outputs = _typed(config, "input_features"), _typed(config, "output_features")
    for key, (kind, _) in inputs.items():
        if kind != "VISUAL" and (kind, key) not in (("STATE", STATE), ("ENV", ENVIRONMENT)):
            raise ConfigError(
                f"the policy takes {key} ({kind}), which is neither {STATE}, {ENVIRONMENT} nor an image; train one "
                "without it"
            )
    if STATE not in inputs or ACTION not in outputs:
        known = ", ".join([*inputs, *outputs]) or "none"
        raise ConfigError(f"a policy needs {STATE} and gives {ACTION}, and this one's are {known}; train one with both")
    return Features(
        state=inputs[STATE][1][0],
        action=outputs[ACTION][1][0],
        environment=inputs[ENVIRONMENT][1][0] if ENVIRONMENT in inputs else 0,
        cameras={key: (shape[0], shape[1], shape[2]) for key, (kind, shape) in inputs.items() if kind == "VISUAL"},
    )


def _typed(config: Mapping[str, Any], group: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The type and the shape of each feature in `group`, which is `input_features` or `output_features`."""
    try:
        features = (config.get(group) or {}).items()
        typed = {key: (str(each["type"]), tuple(int(n) for n in each["shape"])) for key, each in features}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"the {group} of config.json cannot be read ({error!r}); copy it again") from error
    for key, (kind, shape) in typed.items():
        if len(shape) != (3 if kind == "VISUAL" else 1):
            raise ConfigError(f"{key} of config.json ({kind}) has the shape {shape}; images have 3 numbers, others 1")
    return typed

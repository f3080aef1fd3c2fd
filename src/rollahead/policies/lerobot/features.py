"""Features: what a LeRobot policy takes and gives, of its config.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollahead.errors import ConfigError

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
PARTS = {STATE: "state", ENVIRONMENT: "environment", ACTION: "action"}
EXECUTED = "executed"  # of our own demonstrations: what the robot did, where the action is what it should have done
IMAGES = "observation.images."
IMAGE_PREFIXES = (IMAGES, "observation.")


@dataclass(frozen=True, slots=True)
class Features:
    """state, environment, action: how many numbers each has, 0 for none; cameras: by feature (C, H, W), in the
    policy's order."""

    state: int
    action: int
    environment: int
    cameras: Mapping[str, tuple[int, int, int]]

    @property
    def camera_names(self) -> tuple[str, ...]:
        """As a robot calls them: without the prefix."""
        return tuple(camera_name(key) for key in self.cameras)

    @property
    def sizes(self) -> dict[str, int]:
        """By feature, of those that there are: numbers, or colours."""
        vectors = {STATE: self.state, ENVIRONMENT: self.environment, ACTION: self.action}
        return {key: n for key, n in vectors.items() if n} | {key: shape[0] for key, shape in self.cameras.items()}


def camera_name(key: str) -> str:
    """`top` of `observation.images.top`, `image` of `observation.image`."""
    for prefix in IMAGE_PREFIXES:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


def features_of(config: Mapping[str, Any]) -> Features:
    """What config.json says. Raises: ConfigError, if there is no state or action, or a feature is none of ours."""
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
    """By feature its type and its shape."""
    try:
        features = (config.get(group) or {}).items()
        typed = {key: (str(each["type"]), tuple(int(n) for n in each["shape"])) for key, each in features}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"the {group} of config.json cannot be read ({error!r}); copy it again") from error
    for key, (kind, shape) in typed.items():
        if len(shape) != (3 if kind == "VISUAL" else 1):
            raise ConfigError(f"{key} of config.json ({kind}) has the shape {shape}; images have 3 numbers, others 1")
    return typed

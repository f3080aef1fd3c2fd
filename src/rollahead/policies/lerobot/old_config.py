"""Conversion of policy configurations that LeRobot wrote before 0.2 to today's keys.

    input_shapes, output_shapes                                 -> input_features, output_features
    input_normalization_modes, output_normalization_modes      -> normalization_mapping
    no type                                                     -> type

The statistics of such checkpoints are stored among the weights, as LeRobot 0.2 and 0.3 do
(`policies.lerobot.weights.saved_statistics`).

Threads: setup only.
"""

from collections.abc import Mapping
from typing import Any

from rollahead.errors import ConfigError
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE

GROUPS = ("input", "output")
KINDS: Mapping[str, str] = {
    STATE: "STATE",
    ENVIRONMENT: "ENV",
    ACTION: "ACTION",
}  # kind of each feature; all others are images
TYPES: Mapping[str, str] = {"down_dims": "diffusion", "chunk_size": "act"}  # a key that only this type of policy has
BEFORE: Mapping[str, Mapping[str, Any]] = {  # defaults that later versions changed
    "diffusion": {"use_separate_rgb_encoder_per_camera": False, "use_group_norm": True},
}


def modern(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with today's keys. A configuration that has them already is returned unchanged.

    Raises: ConfigError, if features of one kind are normalised in different ways, which today's format cannot express.
    """
    converted = dict(config)
    if "type" not in converted and (policy_type := next((TYPES[key] for key in TYPES if key in converted), None)):
        converted = {**BEFORE.get(policy_type, {}), **converted, "type": policy_type}
    for group in GROUPS:
        shapes = converted.pop(f"{group}_shapes", None)
        if isinstance(shapes, Mapping):
            converted[f"{group}_features"] = {
                key: {"type": _kind(key), "shape": shape} for key, shape in shapes.items()
            }
    written = [converted.pop(f"{group}_normalization_modes", None) for group in GROUPS]
    if modes := [each for each in written if isinstance(each, Mapping)]:
        converted["normalization_mapping"] = _mapping({key: mode for each in modes for key, mode in each.items()})
    return converted


def _kind(key: str) -> str:
    return KINDS.get(key, "VISUAL")


def _mapping(modes: Mapping[str, str]) -> dict[str, str]:
    """The normalisation mode of each kind of feature, from `modes` by feature."""
    mapping: dict[str, str] = {}
    for key, mode in modes.items():
        kind, upper = _kind(key), str(mode).upper()
        if mapping.setdefault(kind, upper) != upper:
            raise ConfigError(
                f"config.json normalises {kind} features by {mapping[kind]} and by {upper} ({key}); train a policy "
                "with one way for all of them"
            )
    return mapping

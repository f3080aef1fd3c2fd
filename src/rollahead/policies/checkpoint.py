"""A checkpoint: the folder of a trained policy, LeRobot's or ours, and the policy that is made of it.

    config.json                   its `type` says which adapter makes it
    model.safetensors             the weights
    policy_preprocessor.json      how numbers are normalised, with their statistics
    policy_postprocessor.json
    rollahead.json                names, rate, what it was trained for (`card`); not in those that LeRobot has written

Threads: setup only.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError, unknown_name, words_of
from rollahead.policies.card import Card, read_card
from rollahead.policies.contraction import read_levels
from rollahead.policies.features import Features, features_of
from rollahead.policies.names import named
from rollahead.policies.normalise import Normalisers, read_normalisers
from rollahead.policies.policy import Policy
from rollahead.policies.weights import check_weights
from rollahead.runtime.spec import RobotSpec

CONFIG = "config.json"
INSIDE = ("checkpoint", "**/pretrained_model")  # where a run of our training has one, and one of LeRobot's
ADAPTERS: Mapping[str, str] = {  # by `type`: what makes the policy of a `Checkpoint`
    "act": "rollahead.policies.act:load",
    "diffusion": "rollahead.policies.diffusion:load",
    "rollahead_flow": "rollahead.policies.flow.adapter:load",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was read of `folder`. config: config.json; card: the names that `load_policy` has found."""

    folder: Path
    config: Mapping[str, Any]
    features: Features
    card: Card

    def normalisers(self) -> Normalisers:
        """Of the saved processors. Raises: ConfigError, if they are missing, or not known here."""
        return read_normalisers(self.folder, self.features.sizes)


def load_policy(folder: str | Path, *, dataset: str | Path | None = None, robot: RobotSpec | None = None) -> Policy:
    """The policy in `folder`.

    dataset: the folder of the LeRobotDataset it was trained on, for its names and rate; robot: that is to be driven.
    Where neither the checkpoint nor the data set names them, the policy's dimensions are the robot's, in its order.

    Raises: ConfigError, if it cannot be read whole, or is of no type that is known here, or nothing gives the names.
    """
    folder = Path(folder)
    config = _read_config(folder)
    kind = str(config.get("type"))
    if kind not in ADAPTERS:
        raise unknown_name(f"policy type in {folder / CONFIG}", kind, ADAPTERS)
    check_weights(folder)
    features = features_of(config)
    card = named(folder, features, read_card(folder), dataset, robot)
    module, function = ADAPTERS[kind].split(":")
    policy: Policy = getattr(importlib.import_module(module), function)(Checkpoint(folder, config, features, card))
    policy.warm = read_levels(folder)
    return policy


def camera_sizes(folder: str | Path) -> dict[str, tuple[int, int]]:
    """By camera, as the policy in `folder` calls it, the (height, width) of the images that it takes.

    Raises: ConfigError, as `load_policy` does.
    """
    features = features_of(_read_config(Path(folder)))
    sizes = [(height, width) for _, height, width in features.cameras.values()]
    return dict(zip(features.camera_names, sizes, strict=True))


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; give that of a checkpoint, with its {CONFIG}")
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError as error:
        inner = next((path for where in INSIDE for path in folder.glob(f"{where}/{CONFIG}")), None)
        hint = f"give {inner.parent}" if inner else "give the folder of a checkpoint"
        raise ConfigError(f"{folder} has no {CONFIG}, so it is no checkpoint; {hint}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} is damaged or was not written to its end ({words_of(error)}); copy it again, or take an "
            "earlier checkpoint"
        ) from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is no configuration of a policy; give the folder of a checkpoint")
    return config

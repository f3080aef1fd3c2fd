"""Checkpoints: the folder of a trained policy, LeRobot's or ours, and loading the policy from it.

    config.json                   its `type` selects the adapter
    model.safetensors             the weights
    policy_preprocessor.json      normalisation of inputs, with their statistics
    policy_postprocessor.json     normalisation of the action
    rollahead.json                names, rate, training options (`card`); not written by LeRobot
    train_config.json             LeRobot's training options, which name the data set (`train_config`)

Checkpoints of LeRobot before 0.4 are read as well: their statistics are among the weights (`processors`).

Threads: setup only.
"""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rollahead.errors import ConfigError, one_line
from rollahead.policies.checkpoints.card import Card, read_card
from rollahead.policies.checkpoints.names import named
from rollahead.policies.denoising.contraction import read_levels
from rollahead.policies.device import device_of
from rollahead.policies.lerobot.features import Features, camera_name, features_of
from rollahead.policies.lerobot.normalise import Normalisers, Stats
from rollahead.policies.lerobot.old_config import modern
from rollahead.policies.lerobot.processors import read_normalisers, renamed_features, state_statistics
from rollahead.policies.lerobot.weights import check_weights
from rollahead.policies.policy import Policy
from rollahead.runtime.config.extensions import check_made, load
from rollahead.runtime.types.spec import RobotSpec

CONFIG = "config.json"
INSIDE = ("checkpoint", "**/pretrained_model")  # where a checkpoint is in our training runs, and in LeRobot's
GROUP = "rollahead.policies"  # entry points of other packages' adapters
ADAPTERS: Mapping[str, str] = {  # by `type`: the module whose `load` makes the policy of a `Checkpoint` on a device
    "act": "rollahead.policies.adapters.act",
    "diffusion": "rollahead.policies.adapters.diffusion",
    "rollahead_flow": "rollahead.policies.adapters.flow.adapter",
}
MEMBERS = ("spec", "trained", "shape", "encode", "bind", "rows", "normalised")  # of a `Policy`
ROWS = ("horizon", "chunk_size", "n_obs_steps")  # of config.json
MOST_ROWS = 10_000  # the most rows of a chunk


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The contents of a checkpoint's files, without the weights.

    Attributes:
        folder: Folder of the checkpoint.
        config: Contents of config.json, with today's keys.
        features: Inputs and outputs of the policy.
        card: Names, rate and training options.
        notes: Lines for the user about what was assumed.
        rename: The data set's name of each of the policy's cameras that has another name there.
    """

    folder: Path
    config: Mapping[str, Any]
    features: Features
    card: Card
    notes: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)

    def policy(self, device: torch.device) -> Policy:
        """The policy, loaded onto `device`.

        Raises: ConfigError, if the weights or the processors are incomplete, or belong to another policy.
        """
        kind = str(self.config["type"])
        policy: Policy = _adapter(kind, self.folder)(self, device)
        check_made("policy type", kind, policy, MEMBERS, "a Policy (docs/extending.md)")
        policy.warm = read_levels(self.folder)
        return policy

    def normalisers(self) -> Normalisers:
        """The normalisation of the saved processors. Raises: ConfigError, if they are missing or not supported."""
        return read_normalisers(self.folder, self.features.sizes, self.config)

    def state_statistics(self) -> Stats:
        """The statistics of the state, by name. Raises: ConfigError, if the processors are missing or not supported."""
        return state_statistics(self.folder, self.config)

    @property
    def resizes_images(self) -> bool:
        """Whether the policy resizes images itself, as LeRobot's Diffusion Policy does with `resize_shape`."""
        return self.config.get("resize_shape") is not None

    @property
    def camera_sizes(self) -> dict[str, tuple[int, int]]:
        """The (height, width) of the images that the policy takes from each camera, by the policy's names.

        It is empty if the policy takes images of any size.
        """
        if self.resizes_images:
            return {}
        sizes = [(height, width) for _, height, width in self.features.cameras.values()]
        return dict(zip(self.features.camera_names, sizes, strict=True))

    @property
    def ensemble_decay(self) -> float | None:
        """LeRobot's `temporal_ensemble_coeff`, None if the policy does not use it."""
        decay = self.config.get("temporal_ensemble_coeff")
        return decay if type(decay) in (int, float) else None

    @property
    def action_steps(self) -> int | None:
        """LeRobot's `n_action_steps`: rows of a chunk that it sends before it asks for the next one.

        None if config.json does not have it, or if the policy uses temporal ensembling, which always has 1.
        """
        steps = self.config.get("n_action_steps")
        return steps if type(steps) is int and steps > 0 and self.ensemble_decay is None else None


def read_checkpoint(
    folder: Path, *, dataset: str | Path | None = None, robot: RobotSpec | None = None, trust_order: bool = False
) -> Checkpoint:
    """The checkpoint in `folder`. `dataset`, `robot`, `trust_order`: see `load_policy`.

    Raises: ConfigError, if a file cannot be read, the policy's type is not supported, or the names cannot be found.
    """
    config = modern(_read_config(folder))
    kind = str(config.get("type"))
    _adapter(kind, folder)
    _check_config(config, folder / CONFIG)
    check_weights(folder)
    features, rename = features_of(config), renamed_features(folder)
    card, notes = named(folder, features, read_card(folder), dataset, robot, trust_order=trust_order, rename=rename)
    cameras = {camera_name(own): camera_name(theirs) for theirs, own in rename.items() if own in features.cameras}
    return Checkpoint(folder, config, features, card, notes, cameras)


def _adapter(kind: str, folder: Path) -> Callable[[Checkpoint, torch.device], Policy]:
    """Returns what makes a policy of the type `kind`, read in `folder`.

    It is one of ours, or registered in `rollahead.policies`.

    Raises: ConfigError, if there is none such, or it cannot be imported.
    """
    ours = {name: partial(_make, module) for name, module in ADAPTERS.items()}
    return load(GROUP, f"policy type in {folder / CONFIG}", kind, "add what its package needs", ours)


def _make(module: str, checkpoint: Checkpoint, device: torch.device) -> Policy:
    policy: Policy = importlib.import_module(module).load(checkpoint, device)
    return policy


def load_policy(
    folder: str | Path,
    *,
    dataset: str | Path | None = None,
    robot: RobotSpec | None = None,
    trust_order: bool = False,
    device: str | None = None,
) -> Policy:
    """The policy in `folder`.

    Args:
        folder: Folder of a checkpoint.
        dataset: LeRobotDataset that the policy was trained on, a folder or an id on the Hub, for names and rate. None
            for the one that the checkpoint names.
        robot: The robot to drive.
        trust_order: Whether to take the robot's order of dimensions, and its rate, where no file has them.
        device: cpu, cuda or mps; None for cuda if there is one.

    Raises: ConfigError, if a file cannot be read, the policy's type is not supported, or the names cannot be found.
    """
    checkpoint = read_checkpoint(Path(folder), dataset=dataset, robot=robot, trust_order=trust_order)
    return checkpoint.policy(torch.device(device_of(device)))


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; give that of a checkpoint, with its {CONFIG}")
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError as error:
        inner = next((path for where in INSIDE for path in folder.glob(f"{where}/{CONFIG}")), None)
        hint = f"give {inner.parent}" if inner else "give the folder of a checkpoint"
        raise ConfigError(f"{folder} has no {CONFIG}, so it is not a checkpoint; {hint}") from error
    except RecursionError as error:
        raise ConfigError(
            f"{path} is nested too deeply to be a policy's; copy it again, or take another one"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} is damaged or was not written to its end ({one_line(error)}); copy it again, or take an "
            "earlier checkpoint"
        ) from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is not the configuration of a policy; give the folder of a checkpoint")
    return config


def _check_config(config: Mapping[str, Any], path: Path) -> None:
    """Checks that the policy of `config`, read from `path`, is supported. Raises: ConfigError, if it is not."""
    for key in ROWS:
        rows = config.get(key)
        if type(rows) is int and not 1 <= rows <= MOST_ROWS:
            raise ConfigError(f"{key} in {path} is {rows}; take a checkpoint of 1 to {MOST_ROWS} rows")
    if config.get("use_peft"):
        raise ConfigError(
            f"{path.parent} holds a PEFT adapter (use_peft), which is not read here; merge it into its base policy "
            "with peft's merge_and_unload, save that with save_pretrained, and give its folder"
        )

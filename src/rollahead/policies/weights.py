"""Weights: a checkpoint's model.safetensors into a network that fits, or one sentence why not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from rollahead.errors import ConfigError, words_of

WEIGHTS = "model.safetensors"
OLD = ("normalize_inputs.", "normalize_targets.", "unnormalize_outputs.")  # statistics, as LeRobot before 0.4 kept them
COMPILED = "_orig_mod."  # what torch.compile puts into the names
MOST_NAMED = 3


def check_weights(folder: Path) -> None:
    """Whether there are weights in `folder`, whole, that this rollahead can use: only the names are read.

    Raises: ConfigError, if they are missing, damaged, or of a LeRobot before 0.4.
    """
    path = folder / WEIGHTS
    with _reading(path), safe_open(path, framework="pt") as weights:
        names = list(weights.keys())
    if any(name.startswith(OLD) for name in names):
        raise ConfigError(
            f"{path} was written by a LeRobot before 0.4, with the statistics among the weights; turn it into a new "
            f"one with python -m lerobot.processor.migrate_policy_normalization --pretrained-path {folder}"
        )


def load_weights(network: torch.nn.Module, folder: Path) -> None:
    """Loads `network` with the weights in `folder`, all of them, and leaves it ready for inference.

    Raises: ConfigError, if they are missing, damaged, or another network's.
    """
    path = folder / WEIGHTS
    with _reading(path):
        tensors = {name.replace(COMPILED, ""): tensor for name, tensor in load_file(path).items()}
    _check(tensors, network.state_dict(), path)
    network.load_state_dict(tensors)
    network.eval().requires_grad_(False)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ConfigError(
            f"the checkpoint has no {path}: it was not written to its end, or not copied whole; copy it again, or take "
            "an earlier one"
        ) from error
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"{path} is damaged or was not written to its end ({words_of(error)}); copy it again, or take an "
            "earlier one"
        ) from error


def _check(given: dict[str, torch.Tensor], needed: dict[str, torch.Tensor], path: Path) -> None:
    missing, unknown = sorted(set(needed) - set(given)), sorted(set(given) - set(needed))
    other = [name for name in needed if name in given and given[name].shape != needed[name].shape]
    wrong = [
        *(f"{name} is missing" for name in missing),
        *(f"{name} is not known" for name in unknown),
        *(f"{name} is {tuple(given[name].shape)} and not {tuple(needed[name].shape)}" for name in other),
    ]
    if wrong:
        more = f", and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        raise ConfigError(
            f"{path} does not fit config.json ({', '.join(wrong[:MOST_NAMED])}{more}); take both from one checkpoint"
        )

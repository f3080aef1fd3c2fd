"""Loading of a checkpoint's model.safetensors into a network."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from rollahead.errors import ConfigError, one_line

WEIGHTS = "model.safetensors"
INPUTS, OUTPUTS = (
    "normalize_inputs.",
    "unnormalize_outputs.",
)  # prefixes of the statistics in weights of LeRobot before 0.4
OLD = (INPUTS, OUTPUTS, "normalize_targets.")
COMPILED = "_orig_mod."  # prefix that torch.compile adds to the names
MOST_NAMED = 3


def check_weights(folder: Path) -> None:
    """Checks that the weights in `folder` can be read. Raises: ConfigError, if they are missing or damaged."""
    path = folder / WEIGHTS
    with _reading(path), safe_open(path, framework="pt") as weights:
        weights.keys()


def saved_statistics(folder: Path, prefix: str, features: Iterable[str]) -> dict[str, dict[str, torch.Tensor]]:
    """The statistics that LeRobot before 0.4 kept among the weights, by feature and name (mean, std, min, max).

    Args:
        folder: Folder of the checkpoint.
        prefix: `INPUTS` or `OUTPUTS`.
        features: Features to look for.

    Raises: ConfigError, if the weights are missing or damaged.
    """
    path = folder / WEIGHTS
    starts = {f"{prefix}buffer_{key.replace('.', '_')}.": key for key in features}
    stats: dict[str, dict[str, torch.Tensor]] = {}
    with _reading(path), safe_open(path, framework="pt") as weights:
        for name in weights.keys():  # noqa: SIM118, it is not a mapping
            start, _, statistic = name.rpartition(".")
            if key := starts.get(f"{start}."):
                stats.setdefault(key, {})[statistic] = weights.get_tensor(name)
    return stats


def load_weights(network: torch.nn.Module, folder: Path) -> None:
    """Loads the weights in `folder` into `network`, and leaves it in evaluation mode without gradients.

    Statistics that LeRobot before 0.4 kept among the weights are skipped. Raises: ConfigError, if the weights are
    missing or damaged, or do not fit the network.
    """
    path = folder / WEIGHTS
    with _reading(path):
        saved = load_file(path)
    tensors = {name.replace(COMPILED, ""): each for name, each in saved.items() if not name.startswith(OLD)}
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
            f"{path} is damaged or was not written to its end ({one_line(error)}); copy it again, or take an "
            "earlier one"
        ) from error


def _check(given: dict[str, torch.Tensor], needed: dict[str, torch.Tensor], path: Path) -> None:
    missing, unknown = sorted(set(needed) - set(given)), sorted(set(given) - set(needed))
    other = [name for name in needed if name in given and given[name].shape != needed[name].shape]
    kinds = [name for name in needed if name in given and _numbers(given[name]) != _numbers(needed[name])]
    wrong = [
        *(f"{name} is missing" for name in missing),
        *(f"{name} is not known" for name in unknown),
        *(f"{name} is {tuple(given[name].shape)} and not {tuple(needed[name].shape)}" for name in other),
        *(f"{name} has {_numbers(given[name])} and not {_numbers(needed[name])}" for name in kinds),
    ]
    if wrong:
        more = f", and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        raise ConfigError(
            f"{path} does not fit config.json ({', '.join(wrong[:MOST_NAMED])}{more}); take both from one checkpoint"
        )


def _numbers(tensor: torch.Tensor) -> str:
    return "floating-point numbers" if tensor.is_floating_point() else "integers"

"""Normalisation read from the processors that a checkpoint was saved with.

    policy_preprocessor.json    normalises observations      (LeRobot's NormalizerProcessorStep)
    policy_postprocessor.json   un-normalises the action     (UnnormalizerProcessorStep)

Each names a .safetensors file with its statistics. The files are read but not run, so LeRobot is not needed, and each
feature is normalised in one call. A step that would change numbers in another way is refused. LeRobot before 0.4 wrote
neither file: there the statistics are among the weights, and config.json has the normalisation modes.

Threads: setup only.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from rollahead.errors import ConfigError, one_line
from rollahead.policies.lerobot.features import ACTION, STATE
from rollahead.policies.lerobot.normalise import EPS, IDENTITY, Affine, Normalisers, Stats, affine
from rollahead.policies.lerobot.weights import INPUTS, OUTPUTS, WEIGHTS, saved_statistics

PREPROCESSOR, POSTPROCESSOR = "policy_preprocessor.json", "policy_postprocessor.json"
NORMALISER, UNNORMALISER = "normalizer_processor", "unnormalizer_processor"
REMEDY = "copy them from where the policy was trained, or write them with LeRobot's make_pre_post_processors"
RENAMER = "rename_observations_processor"
HARMLESS = frozenset(  # steps for names, shapes, devices and text: no number changes
    {
        RENAMER,  # read by `renamed_features`
        "to_batch_processor",
        "device_processor",
        "tokenizer_processor",
        "smolvla_new_line_processor",
        "pi0_new_line_processor",
    }
)
SWITCHED = frozenset({"relative_actions_processor", "absolute_actions_processor"})  # harmless unless enabled


def read_normalisers(folder: Path, sizes: Mapping[str, int], config: Mapping[str, Any]) -> Normalisers:
    """The normalisation of the checkpoint in `folder`.

    Args:
        folder: Folder of the checkpoint.
        sizes: Number of dimensions, or of colour channels, of each input of the policy and of its `action`.
        config: Contents of its config.json, with today's keys.

    Raises: ConfigError, if a file, a step or a statistic is missing or not supported.
    """
    with _legible(folder):
        inputs = _inputs(folder, config)
        outputs = _Step.among_weights(folder, OUTPUTS, config) or _Step.read(folder, POSTPROCESSOR, UNNORMALISER)
        maps = {key: inputs.affine(key, size) for key, size in sizes.items() if key != ACTION}
        return Normalisers(maps, outputs.affine(ACTION, sizes[ACTION]))


def state_statistics(folder: Path, config: Mapping[str, Any]) -> Stats:
    """The statistics of the state in the checkpoint in `folder`, by name. Empty if it has none.

    `config`: contents of its config.json, with today's keys. Raises: ConfigError, as `read_normalisers` does.
    """
    with _legible(folder):
        return _inputs(folder, config).stats.get(STATE, {})


def renamed_features(folder: Path) -> dict[str, str]:
    """The features that LeRobot's training renamed: the policy's name by the data set's name.

    They are the `rename_map` of the checkpoint in `folder`. Raises: ConfigError, if its preprocessor cannot be read.
    """
    path = folder / PREPROCESSOR
    steps = _steps(path) if path.is_file() else []
    with _legible(folder):
        maps = [step.get("config", {}).get("rename_map") or {} for step in steps if step["registry_name"] == RENAMER]
        return {theirs: own for each in maps for theirs, own in each.items() if own != theirs}


@contextmanager
def _legible(folder: Path) -> Iterator[None]:
    """Converts the errors that malformed processors in `folder` cause into a ConfigError."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the processors in {folder} are not as LeRobot writes them ({one_line(error)}); {REMEDY}"
        ) from error


def _inputs(folder: Path, config: Mapping[str, Any]) -> "_Step":
    return _Step.among_weights(folder, INPUTS, config) or _Step.read(folder, PREPROCESSOR, NORMALISER)


@dataclass(frozen=True, slots=True)
class _Step:
    """A normalising step as it was saved. `path`: the file that names it."""

    path: Path
    config: Mapping[str, Any]
    stats: Mapping[str, Mapping[str, torch.Tensor]]

    @classmethod
    def read(cls, folder: Path, file: str, wanted: str) -> "_Step":
        """The step `wanted` in `file` of the checkpoint in `folder`."""
        path = folder / file
        steps = _steps(path)
        matching = [step for step in steps if step["registry_name"] == wanted]
        for step in steps:
            _check_harmless(step, path, {wanted})
        if len(matching) != 1:
            raise ConfigError(f"{path} has {len(matching)} steps {wanted!r}; save the processors again with one")
        return cls(path, matching[0].get("config", {}), _read_stats(folder, matching[0].get("state_file"), path))

    @classmethod
    def among_weights(cls, folder: Path, prefix: str, config: Mapping[str, Any]) -> "_Step | None":
        """The normalising step of a checkpoint of LeRobot before 0.4, or None if it is not one.

        The statistics are among the weights, under `prefix`; `config` has the normalisation modes. None if there are
        processors, or no such statistics.
        """
        if (folder / PREPROCESSOR).exists() or (folder / POSTPROCESSOR).exists():
            return None
        features = {**(config.get("input_features") or {}), **(config.get("output_features") or {})}
        stats = saved_statistics(folder, prefix, features)
        step = {"features": features, "norm_map": config.get("normalization_mapping")}
        if stats and not isinstance(step["norm_map"], Mapping):
            raise ConfigError(
                f"{folder / WEIGHTS} has statistics, and config.json no normalization_mapping, which says how they are "
                "used; copy config.json again from where the policy was trained"
            )
        return cls(folder / WEIGHTS, step, stats) if stats else None

    def affine(self, key: str, size: int) -> Affine:
        """The normalisation of feature `key`, which has `size` dimensions or colour channels."""
        kind = self.config.get("features", {}).get(key, {}).get("type")
        if kind is None:
            raise ConfigError(f"{self.path} has no feature {key!r}, and the policy has; save the processors again")
        norm = affine(
            self._mode(key, kind),
            self.stats.get(key, {}),
            f"{key} in {self.path}",
            visual=kind == "VISUAL",
            eps=self.config.get("eps", EPS),
        )
        if norm.shift.ndim and len(norm.shift) != size:
            raise ConfigError(
                f"{self.path} has statistics of {len(norm.shift)} numbers for {key!r}, and the policy has {size}; "
                "save the processors again with the statistics of its own data set"
            )
        return norm

    def _mode(self, key: str, kind: str) -> str:
        only = self.config.get("normalize_observation_keys")
        if key != ACTION and only is not None and key not in only:
            return IDENTITY
        return self.config.get("norm_map", {}).get(kind, IDENTITY)


def _steps(path: Path) -> Sequence[dict[str, Any]]:
    try:
        steps = json.loads(path.read_text())["steps"]
        return [{**step, "registry_name": step.get("registry_name") or step["class"]} for step in steps]
    except FileNotFoundError as error:
        raise ConfigError(
            f"the checkpoint has no {path}, which says how its numbers are normalised; {REMEDY}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({one_line(error, repr)}); {REMEDY}") from error


def _check_harmless(step: Mapping[str, Any], path: Path, wanted: set[str]) -> None:
    name = step["registry_name"]
    off = name in SWITCHED and not step.get("config", {}).get("enabled", False)
    if name not in HARMLESS | wanted and not off:
        raise ConfigError(
            f"{path} has a step {name!r}, which changes numbers in a way that is not known here; train a policy "
            "without it, or drive the robot with LeRobot"
        )


def _read_stats(folder: Path, file: str | None, path: Path) -> dict[str, dict[str, torch.Tensor]]:
    if file is None:
        return {}
    try:
        flat = load_file(folder / file)
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"{folder / file}, the statistics that {path} names, cannot be read ({one_line(error)}); copy it again "
            "from where the policy was trained"
        ) from error
    stats: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in flat.items():
        key, statistic = name.rsplit(".", 1)
        stats.setdefault(key, {})[statistic] = tensor
    return stats

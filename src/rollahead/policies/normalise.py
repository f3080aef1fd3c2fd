"""Normalisation, as a checkpoint's saved processors say, each feature in one call.

    policy_preprocessor.json    normalises what is seen     (LeRobot's NormalizerProcessorStep)
    policy_postprocessor.json   un-normalises the action    (UnnormalizerProcessorStep)

each with the statistics in a .safetensors file that it names. The files are read, not run: no LeRobot is needed, and a
step that would change numbers in another way is refused.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError
from safetensors.torch import load_file

from rollahead.errors import ConfigError, unknown_name, words_of

PREPROCESSOR, POSTPROCESSOR = "policy_preprocessor.json", "policy_postprocessor.json"
NORMALISER, UNNORMALISER = "normalizer_processor", "unnormalizer_processor"
HARMLESS = frozenset(  # names, shapes, devices and words: no number becomes another
    {
        "rename_observations_processor",
        "to_batch_processor",
        "device_processor",
        "tokenizer_processor",
        "smolvla_new_line_processor",
        "pi0_new_line_processor",
    }
)
SWITCHED = frozenset({"relative_actions_processor", "absolute_actions_processor"})  # harmless unless `enabled`
EPS = 1e-8
ACTION = "action"

Stats = Mapping[str, ArrayLike | torch.Tensor]  # of one feature, by name: mean, std, min, max, q01, ...


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """y = (x - shift) / scale + base, and back x = (y - base) * gain + shift.

    scale is gain but for what LeRobot adds to a standard deviation before it divides by it. All float32, and of the
    feature's shape (D,), or (C, 1, 1) for images, so that any (..., D) or (..., C, H, W) is done at once.
    """

    shift: torch.Tensor
    scale: torch.Tensor
    gain: torch.Tensor
    base: float

    def normalise(self, x: torch.Tensor) -> torch.Tensor:
        """Phase: hot."""
        return (x - self.shift) / self.scale + self.base

    def unnormalise(self, y: torch.Tensor) -> torch.Tensor:
        """Phase: hot."""
        return (y - self.base) * self.gain + self.shift

    def to(self, device: torch.device | str) -> "Affine":
        """The same on `device`."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("shift", "scale", "gain")})


def identity() -> Affine:
    """Changes nothing."""
    one = torch.ones(())
    return Affine(torch.zeros(()), one, one, 0.0)


def _deviation(mean: torch.Tensor, std: torch.Tensor, eps: float) -> Affine:
    return Affine(mean, std + eps, std, 0.0)


def _range(low: torch.Tensor, high: torch.Tensor, eps: float) -> Affine:
    """[low, high] to [-1, 1]; where they are the same, that value to -1."""
    half = torch.where(high == low, eps, high - low) / 2
    return Affine(low, half, half, -1.0)


MODES: Mapping[str, tuple[tuple[str, str], Callable[[torch.Tensor, torch.Tensor, float], Affine]]] = {
    "MEAN_STD": (("mean", "std"), _deviation),
    "MIN_MAX": (("min", "max"), _range),
    "QUANTILES": (("q01", "q99"), _range),
    "QUANTILE10": (("q10", "q90"), _range),
}
IDENTITY = "IDENTITY"


def affine(mode: str, stats: Stats, feature: str, *, visual: bool = False, eps: float = EPS) -> Affine:
    """What LeRobot's `mode` does with `stats`. feature: their name, for what is refused; visual: images, (C, H, W).

    Raises: ConfigError, if there is no such mode, or a statistic that it needs is missing or no number.
    """
    if mode == IDENTITY:
        return identity()
    if mode not in MODES:
        raise unknown_name(f"normalisation of {feature}", mode, {IDENTITY, *MODES})
    needed, make = MODES[mode]
    if missing := [name for name in needed if name not in stats]:
        raise ConfigError(
            f"{feature} is normalised by {mode} and has no {' and '.join(missing)}; save the processors again with the "
            "statistics of the data set, or set its mode to IDENTITY"
        )
    first, second = (_tensor(stats[name], f"{name} of {feature}", visual) for name in needed)
    return make(first, second, eps)


def _tensor(values: Any, what: str, visual: bool) -> torch.Tensor:
    tensor = torch.tensor(np.asarray(values, dtype=np.float32))
    if not torch.isfinite(tensor).all():
        raise ConfigError(
            f"the {what} is {tensor.flatten().tolist()}; save the processors again with finite statistics"
        )
    return tensor.reshape(-1, 1, 1) if visual and tensor.ndim == 1 else tensor


@dataclass(frozen=True, slots=True)
class Normalisers:
    """inputs: by feature, such as `observation.state`; action: of the chunk."""

    inputs: Mapping[str, Affine]
    action: Affine

    def to(self, device: torch.device | str) -> "Normalisers":
        """The same on `device`."""
        return Normalisers({key: each.to(device) for key, each in self.inputs.items()}, self.action.to(device))


def read_normalisers(folder: Path, sizes: Mapping[str, int]) -> Normalisers:
    """Of the checkpoint in `folder`. sizes: by feature, D or C, of what the policy takes and of its `action`.

    Raises: ConfigError, if a file, a step or a statistic is missing, or is not one that is known here.
    """
    seen = _Step.read(folder, PREPROCESSOR, NORMALISER)
    made = _Step.read(folder, POSTPROCESSOR, UNNORMALISER)
    inputs = {key: seen.affine(key, size) for key, size in sizes.items() if key != ACTION}
    return Normalisers(inputs, made.affine(ACTION, sizes[ACTION]))


@dataclass(frozen=True, slots=True)
class _Step:
    """A normalising step as it was saved. path: of the file that names it."""

    path: Path
    config: Mapping[str, Any]
    stats: Mapping[str, Mapping[str, torch.Tensor]]

    @classmethod
    def read(cls, folder: Path, file: str, wanted: str) -> "_Step":
        path = folder / file
        steps = _steps(path)
        found = [step for step in steps if step["registry_name"] == wanted]
        for step in steps:
            _check_harmless(step, path, {wanted})
        if len(found) != 1:
            raise ConfigError(f"{path} has {len(found)} steps {wanted!r}; save the processors again with one")
        return cls(path, found[0].get("config", {}), _read_stats(folder, found[0].get("state_file"), path))

    def affine(self, key: str, size: int) -> Affine:
        """Of feature `key`, which has `size` numbers or colours."""
        kind = self.config.get("features", {}).get(key, {}).get("type")
        if kind is None:
            raise ConfigError(f"{self.path} has no feature {key!r}, and the policy has; save the processors again")
        made = affine(
            self._mode(key, kind),
            self.stats.get(key, {}),
            f"{key} in {self.path}",
            visual=kind == "VISUAL",
            eps=self.config.get("eps", EPS),
        )
        if made.shift.ndim and len(made.shift) not in (1, size):
            raise ConfigError(
                f"{self.path} has statistics of {len(made.shift)} numbers for {key!r}, and the policy has {size}; save "
                "the processors again with the statistics of its own data set"
            )
        return made

    def _mode(self, key: str, kind: str) -> str:
        only = self.config.get("normalize_observation_keys")
        if key != ACTION and only is not None and key not in only:
            return IDENTITY
        return self.config.get("norm_map", {}).get(kind, IDENTITY)


def _steps(path: Path) -> Sequence[dict[str, Any]]:
    remedy = "copy it from where the policy was trained, or write it with LeRobot's make_pre_post_processors"
    try:
        steps = json.loads(path.read_text())["steps"]
        return [{**step, "registry_name": step.get("registry_name") or step["class"]} for step in steps]
    except FileNotFoundError as error:
        raise ConfigError(
            f"the checkpoint has no {path}, which says how its numbers are normalised; {remedy}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be read ({error!r}); {remedy}") from error


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
            f"{folder / file}, the statistics that {path} names, cannot be read ({words_of(error)}); copy it again "
            "from where the policy was trained"
        ) from error
    stats: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in flat.items():
        key, statistic = name.rsplit(".", 1)
        stats.setdefault(key, {})[statistic] = tensor
    return stats

"""Normalisation: LeRobot's modes as one affine map per feature, computed from the statistics of the data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from rollahead.errors import ConfigError, unknown_name

EPS = 1e-8
REMEDY = "save the processors again with the statistics of the data set"

Stats = Mapping[str, ArrayLike | torch.Tensor]  # statistics of one feature: mean, std, min, ...


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """An affine map: y = (x - shift) / scale + base, and its inverse x = (y - base) * gain + shift.

    `scale` equals `gain`, except for the small number that LeRobot adds to a standard deviation before it divides by
    it. All tensors are float32. Their shape is that of the feature, (D,), or (C, 1, 1) for images, so that any (..., D)
    or (..., C, H, W) is mapped at once.
    """

    shift: torch.Tensor
    scale: torch.Tensor
    gain: torch.Tensor
    base: float

    def normalise(self, x: torch.Tensor) -> torch.Tensor:
        """The normalised `x`. Phase: hot."""
        return (x - self.shift) / self.scale + self.base

    def unnormalise(self, y: torch.Tensor) -> torch.Tensor:
        """The values in original units of the normalised `y`. Phase: hot."""
        return (y - self.base) * self.gain + self.shift

    def to(self, device: torch.device | str) -> "Affine":
        """A copy of this map on `device`."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("shift", "scale", "gain")})


def identity() -> Affine:
    """A map that changes nothing."""
    one = torch.ones(())
    return Affine(torch.zeros(()), one, one, 0.0)


def _deviation(mean: torch.Tensor, std: torch.Tensor, eps: float) -> Affine:
    return Affine(mean, std + eps, std, 0.0)


def _range(low: torch.Tensor, high: torch.Tensor, eps: float) -> Affine:
    """Maps [low, high] to [-1, 1]. Where both are equal, maps that value to -1."""
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
    """The map that LeRobot's normalisation `mode` makes of `stats`.

    Args:
        mode: Name of a mode, a key of `MODES` or `IDENTITY`.
        stats: Statistics of the feature, by name.
        feature: Name of the feature, for error messages.
        visual: Whether the feature is an image, (C, H, W).
        eps: LeRobot's small number against division by zero.

    Raises: ConfigError, if there is no such mode, or a statistic that it needs is missing or not a finite number.
    """
    if mode == IDENTITY:
        return identity()
    if mode not in MODES:
        raise unknown_name(f"normalisation of {feature}", mode, {IDENTITY, *MODES})
    if not eps > 0:
        raise ConfigError(f"eps of {feature} is {eps}; {REMEDY}")
    needed, make = MODES[mode]
    if missing := [name for name in needed if name not in stats]:
        raise ConfigError(
            f"{feature} is normalised by {mode} and has no {' and '.join(missing)}; save the processors again with the "
            "statistics of the data set, or set its mode to IDENTITY"
        )
    first, second = (_tensor(stats[name], f"{name} of {feature}", visual) for name in needed)
    _check_possible(needed, first, second, _still(stats, second), feature)
    return make(first, second, eps)


def _check_possible(
    names: tuple[str, str], first: torch.Tensor, second: torch.Tensor, still: torch.Tensor, feature: str
) -> None:
    """Checks that data can have the two statistics `first` and `second`, called `names`.

    `still`: where the data never varied, so that a standard deviation of zero is right.
    """
    if first.shape != second.shape:
        words = f"the {names[0]} of {feature} has {first.numel()} numbers and the {names[1]} {second.numel()}"
        raise ConfigError(f"{words}; {REMEDY}")
    deviates = names == ("mean", "std")
    wrong = (second < 0) | ((second == 0) & ~still) if deviates else first > second
    if wrong.any():
        i = int(wrong.flatten().nonzero()[0])
        low, high = float(first.flatten()[i]), float(second.flatten()[i])
        other = "which is not positive" if deviates else f"and the {names[0]} {low:g}"
        raise ConfigError(f"the {names[1]} of {feature} is {high:g} in dimension {i}, {other}; {REMEDY}")


def _still(stats: Stats, like: torch.Tensor) -> torch.Tensor:
    """Mask of the dimensions in which the data never varied, according to min and max in `stats`.

    False everywhere if `stats` has no min and max. Its shape is that of `like`.
    """
    low, high = (np.asarray(stats.get(name, np.nan), np.float32).ravel() for name in ("min", "max"))
    same = torch.from_numpy(low == high) if len(low) == len(high) == like.numel() else torch.zeros(like.numel()) > 0
    return same.reshape(like.shape)


def _tensor(values: Any, what: str, visual: bool) -> torch.Tensor:
    tensor = torch.tensor(np.asarray(values, dtype=np.float32))
    if not torch.isfinite(tensor).all():
        raise ConfigError(
            f"the {what} is {tensor.flatten().tolist()}; save the processors again with finite statistics"
        )
    tensor = tensor.reshape(1) if tensor.ndim == 0 else tensor
    return tensor.reshape(-1, 1, 1) if visual and tensor.ndim == 1 else tensor


@dataclass(frozen=True, slots=True)
class Normalisers:
    """The normalisation of a policy.

    Attributes:
        inputs: Map of each input, by feature, such as `observation.state`.
        action: Map of the action chunk.
    """

    inputs: Mapping[str, Affine]
    action: Affine

    def to(self, device: torch.device | str) -> "Normalisers":
        """A copy of these maps on `device`."""
        return Normalisers({key: each.to(device) for key, each in self.inputs.items()}, self.action.to(device))

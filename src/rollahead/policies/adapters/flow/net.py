"""The networks of the flow policy: what a chunk is, given noise, time and condition.

    x (B, T, A) at times t (B, T), condition (B, C)  ->  (B, T, A): the velocity e - x0, or the clean chunk x0

`features` (B, W) are what a network makes of the condition alone: the last hidden layer of `Mlp`, the token of the
condition after the last layer of `Transformer`, where all rows are noise at time 1 and none of it is shown.

Each row has its own time, so that a prefix can be given clean (t = 0) while the rest is noise (training-time RTC,
arXiv 2512.05964). A network that predicts the clean chunk is shown (1 - t) x: of pure noise nothing, so that its first
step is learned from what is seen alone, as by regression, and not through noise.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from rollahead.errors import ConfigError, unknown_name
from rollahead.policies.process import PREDICTIONS

FREQUENCIES = 32  # of the embedding of a time
HEADS = 4
LEARNED = 0.02  # standard deviation of what is learned from nothing


@dataclass(frozen=True, slots=True)
class NetConfig:
    """actions: A; condition: C; horizon: T; prediction: `velocity` or `sample`; variant: `mlp` or `transformer`; width:
    of its layers, depth: how many."""

    actions: int
    condition: int
    horizon: int
    prediction: str = "sample"
    variant: str = "mlp"
    width: int = 384
    depth: int = 3

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise unknown_name("prediction of a flow policy", self.prediction, PREDICTIONS)
        if self.variant not in NETS:
            raise unknown_name("flow network", self.variant, NETS)
        if min(self.actions, self.condition, self.horizon, self.width, self.depth) < 1:
            raise ConfigError(f"{self} has a number below 1; every size of a network is at least 1")
        if self.variant == "transformer" and self.width % HEADS:
            raise ConfigError(f"width is {self.width}; a transformer needs a multiple of its {HEADS} heads")


class Net(nn.Module):
    """Base class of the networks of a flow policy."""

    @abstractmethod
    def features(self, condition: torch.Tensor) -> torch.Tensor:
        """Hidden features (B, W) that the network computes from the condition (B, C) alone."""


def make_net(config: NetConfig) -> Net:
    """The network of `config`, with new weights from torch's generator."""
    return NETS[config.variant](config)


class Mlp(Net):
    """All rows at once through one stack of layers. Which rows are given clean it sees by their times."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self._shape = (config.horizon, config.actions)
        self._shown = SHOWN[config.prediction]
        size = config.horizon * config.actions
        sizes = [size + config.horizon + 2 * FREQUENCIES + config.condition, *[config.width] * config.depth]
        layers = [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(config.width, size))

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """See the module."""
        made: torch.Tensor = self.layers(self._seen(self._shown(x, t), t, condition))
        return made.view(-1, *self._shape)

    def features(self, condition: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.layers[:-1](self._seen(*_nothing_shown(condition, *self._shape), condition))
        return made

    def _seen(self, shown: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return torch.cat([shown.flatten(1), t, embedded(t.amax(1)), condition], -1)


class Transformer(Net):
    """A token per row and one for the condition; the rows see each other both ways."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        width = config.width
        self._shape = (config.horizon, config.actions)
        self._shown = SHOWN[config.prediction]
        self.rows = nn.Linear(config.actions, width)
        self.places = nn.Parameter(LEARNED * torch.randn(config.horizon, width))
        self.condition = nn.Linear(config.condition, width)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        layer = nn.TransformerEncoderLayer(
            width, HEADS, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.depth, enable_nested_tensor=False)
        self.out = nn.Linear(width, config.actions)

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """See the module."""
        made: torch.Tensor = self.out(self._tokens(self._shown(x, t), t, condition)[:, 1:])
        return made

    def features(self, condition: torch.Tensor) -> torch.Tensor:
        return self._tokens(*_nothing_shown(condition, *self._shape), condition)[:, 0]

    def _tokens(self, shown: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """(B, 1 + T, W), after the last layer: of the condition, and of each row."""
        known = self.condition(condition)[:, None]
        tokens = self.rows(shown) + self.places + self.time(embedded(t)) + known
        made: torch.Tensor = self.layers(torch.cat([known, tokens], 1))
        return made


def _nothing_shown(condition: torch.Tensor, horizon: int, actions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, T, A) zeros and (B, T) ones: rows at time 1, without their noise."""
    return condition.new_zeros(len(condition), horizon, actions), condition.new_ones(len(condition), horizon)


SHOWN: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "velocity": lambda x, t: x,
    "sample": lambda x, t: (1 - t)[..., None] * x,
}


def embedded(t: torch.Tensor) -> torch.Tensor:
    """(..., 2 F), sines and cosines of times in [0, 1] at F frequencies (arXiv 1706.03762, section 3.5)."""
    rates = torch.exp(torch.arange(FREQUENCIES, device=t.device) * (-math.log(1000.0) / (FREQUENCIES - 1)))
    angles = 10.0 * t[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


NETS: Mapping[str, Callable[[NetConfig], Net]] = {"mlp": Mlp, "transformer": Transformer}

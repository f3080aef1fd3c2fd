"""The networks of the flow policy, which predict a chunk from a noisy chunk, times and a condition.

    x (B, T, A) at times t (B, T), condition (B, C)  ->  (B, T, A): the velocity e - x0, or the clean chunk x0

`features` (B, W) are hidden features computed from the condition alone, with zeros for all rows at time 1: the last
hidden layer of `Mlp`, or the token of the condition after the last layer of `Transformer`.

Each row has its own time, so that a prefix can be given clean (t = 0) while the rest is noise (training-time RTC,
arXiv 2512.05964). The input of a network that predicts the clean chunk is (1 - t) x, which is 0 for pure noise: its
first step is learned from the condition alone, as in regression, and does not depend on the noise.
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

FREQUENCIES = 32  # number of frequencies in the embedding of a time
HEADS = 4
LEARNED = 0.02  # standard deviation of the initial position embeddings


@dataclass(frozen=True, slots=True)
class NetConfig:
    """Configuration of a network.

    Attributes:
        actions: A, dimensions of an action.
        condition: C, dimensions of the condition.
        horizon: T, rows of a chunk.
        prediction: What the network predicts, `velocity` or `sample`.
        variant: Kind of network, `mlp` or `transformer`.
        width: Width of the layers.
        depth: Number of layers.

    Raises: ConfigError, if a size is below 1, or a value is none of its choices.
    """

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
    """Makes the network of `config`, with new weights from torch's generator."""
    return NETS[config.variant](config)


class Mlp(Net):
    """A multilayer perceptron over all rows at once; the times of the rows tell it which rows are given clean."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self._shape = (config.horizon, config.actions)
        self._shown = SHOWN[config.prediction]
        size = config.horizon * config.actions
        sizes = [size + config.horizon + 2 * FREQUENCIES + config.condition, *[config.width] * config.depth]
        layers = [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(config.width, size))

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Prediction (B, T, A) for chunks `x` (B, T, A) at times `t` (B, T) and condition (B, C)."""
        made: torch.Tensor = self.layers(self._seen(self._shown(x, t), t, condition))
        return made.view(-1, *self._shape)

    def features(self, condition: torch.Tensor) -> torch.Tensor:
        """Last hidden layer (B, W) for the condition (B, C) alone."""
        made: torch.Tensor = self.layers[:-1](self._seen(*_nothing_shown(condition, *self._shape), condition))
        return made

    def _seen(self, shown: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return torch.cat([shown.flatten(1), t, embedded(t.amax(1)), condition], -1)


class Transformer(Net):
    """A transformer with one token per row and one for the condition, without a causal mask."""

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
        """Prediction (B, T, A) for chunks `x` (B, T, A) at times `t` (B, T) and condition (B, C)."""
        made: torch.Tensor = self.out(self._tokens(self._shown(x, t), t, condition)[:, 1:])
        return made

    def features(self, condition: torch.Tensor) -> torch.Tensor:
        """Token (B, W) of the condition (B, C) alone, after the last layer."""
        return self._tokens(*_nothing_shown(condition, *self._shape), condition)[:, 0]

    def _tokens(self, shown: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Tokens (B, 1 + T, W) of the condition and of each row, after the last layer."""
        known = self.condition(condition)[:, None]
        tokens = self.rows(shown) + self.places + self.time(embedded(t)) + known
        made: torch.Tensor = self.layers(torch.cat([known, tokens], 1))
        return made


def _nothing_shown(condition: torch.Tensor, horizon: int, actions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Input without a chunk: zeros (B, T, A) in place of noise, and the times 1 (B, T)."""
    return condition.new_zeros(len(condition), horizon, actions), condition.new_ones(len(condition), horizon)


SHOWN: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "velocity": lambda x, t: x,
    "sample": lambda x, t: (1 - t)[..., None] * x,
}


def embedded(t: torch.Tensor) -> torch.Tensor:
    """Embedding (..., 2 F) of times in [0, 1]: sines and cosines at F frequencies (arXiv 1706.03762, section 3.5)."""
    rates = torch.exp(torch.arange(FREQUENCIES, device=t.device) * (-math.log(1000.0) / (FREQUENCIES - 1)))
    angles = 10.0 * t[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


NETS: Mapping[str, Callable[[NetConfig], Net]] = {"mlp": Mlp, "transformer": Transformer}

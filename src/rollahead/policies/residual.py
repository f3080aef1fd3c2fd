"""Training a head that corrects the rows of a policy tick by tick (A2C2, arXiv 2509.23224, section 4; base frozen).

    chunks   the base's, made at frames of a data set, from what was seen up to `offsets` frames before, and stored
    example  row i of a chunk made at frame t, and the state and environment of frame t + i - lag
    target   the action of frame t + i less that row

Threads: the caller's. Everything random is drawn from a seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rollahead.errors import ConfigError
from rollahead.policies.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.frames import Frames
from rollahead.policies.policy import Policy
from rollahead.policies.samplers import Sampler
from rollahead.runtime.arrays import FloatArray, frozen
from rollahead.runtime.corrector import Head, HeadCard, features
from rollahead.runtime.messages import Observation
from rollahead.runtime.seeds import generator
from rollahead.runtime.spec import indices_of

REMEDY = "give a data set that has it"
LEAST = 1e-6  # of a scale
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """width, depth: of the hidden layers; every: frames from chunk to chunk; fresh, lag: as of `HeadCard`."""

    width: int = 256
    depth: int = 3
    every: int = 4
    fresh: bool = True
    lag: int = 0

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.every) < 1 or self.lag < 0:
            raise ConfigError(f"{self} has a number that is too small; give sizes of at least 1, and no negative lag")


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Chunks of a base. frame: (n,), where each was made; seen: (n,), the frame of what it saw of the scene; rows:
    (n, H, A), in the policy's order of names."""

    frame: Ints
    seen: Ints
    rows: FloatArray


def stored_chunks(
    policy: Policy, sampler: Sampler, frames: Frames, config: HeadConfig, lead: int, seed: int
) -> Iterator[tuple[int, int, FloatArray]]:
    """Frame, frame seen and rows (H, A) of each chunk of `policy`. lead: frames at the start of each episode at which
    none is made.

    Raises: ConfigError, if the data set does not have what the policy sees.
    """
    state, environment = (
        indices_of(what, wanted, frames.names.get(feature, ()), "data set", REMEDY)
        for what, wanted, feature in (
            ("state", policy.spec.state, STATE),
            ("environment", policy.spec.environment, ENVIRONMENT),
        )
    )
    rng = generator("stored chunks", seed)
    for start, stop in pairwise(frames.bounds.tolist()):
        for t in range(start + lead, stop, config.every):
            delay = min(int(rng.integers(policy.trained.offsets + 1)), t - start)
            seen = Observation(t, frozen(frames.state[t, state]), frozen(frames.environment[t - delay, environment]))
            context = policy.bind(policy.encode([{}] * policy.spec.n_obs, ""), [seen] * policy.spec.n_obs, delay)
            drawn = sampler(policy, context, _noise(policy, rng))
            yield t, t - delay, policy.rows(drawn.chunks[0])


def _noise(policy: Policy, rng: np.random.Generator) -> Callable[[], torch.Tensor]:
    return lambda: torch.from_numpy(rng.standard_normal((1, *policy.shape), dtype=np.float32))


class HeadTraining:
    """A head that learns to correct `stored`. held: the share of episodes that is kept to measure with."""

    def __init__(
        self, policy: Policy, frames: Frames, stored: Stored, config: HeadConfig, base: str, *, seed: int, held: float
    ) -> None:
        self._card = HeadCard(
            action=policy.spec.action,
            state=policy.spec.state,
            environment=policy.spec.environment,
            horizon=policy.spec.horizon,
            fresh=config.fresh,
            base=base,
            lag=config.lag,
        )
        self._frames, self._stored = frames, stored
        spec = policy.spec
        own = {STATE: spec.state, ENVIRONMENT: spec.environment, ACTION: spec.action}
        self._columns = {
            feature: indices_of(feature, names, frames.names.get(feature, ()), "data set", REMEDY)
            for feature, names in own.items()
        }
        self._rng = generator("head", seed)
        pairs = _pairs(frames, stored, config.lag, policy.spec.horizon)
        episode = np.searchsorted(frames.bounds, stored.frame[pairs[:, 0]], side="right") - 1
        apart = episode < max(round(held * frames.episodes), 1)
        self._pairs, self._held = pairs[~apart], pairs[apart]
        if not len(self._pairs):
            raise ConfigError(f"{frames.episodes} demonstrations are too few to train a head and measure it; give more")
        seen, residual = self._batch(self._rng.permutation(self._pairs)[:20_000])
        self._shift, self._scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), LEAST)
        self._gain = np.maximum(residual.std(axis=0), LEAST)
        torch.manual_seed(seed)
        sizes = [seen.shape[1], *[config.width] * config.depth, residual.shape[1]]
        self._layers = [nn.Linear(i, o) for i, o in pairwise(sizes)]
        nn.init.zeros_(self._layers[-1].weight)  # at first it corrects nothing
        nn.init.zeros_(self._layers[-1].bias)
        self._net = nn.Sequential(*[part for layer in self._layers for part in (layer, nn.ReLU())][:-1])

    def run(self, steps: int, batch: int, learning_rate: float) -> Iterator[int]:
        """Trains; gives each step once it is done."""
        optimizer = torch.optim.AdamW(self._net.parameters(), lr=learning_rate, weight_decay=1e-5)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for step in range(steps):
            picked = self._pairs[self._rng.integers(len(self._pairs), size=batch)]
            seen, residual = self._batch(picked)
            made = self._net(torch.from_numpy(((seen - self._shift) / self._scale).astype(np.float32)))
            wanted = torch.from_numpy((residual / self._gain).astype(np.float32))
            loss = (made - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            yield step + 1

    def error(self) -> tuple[float, float]:
        """The root mean square of what is left of the residuals held out, with the head and without, normalised."""
        seen, residual = self._batch(self._held)
        left = (residual - self.head().residual(seen)) / self._gain
        return float(np.sqrt(np.square(left).mean())), float(np.sqrt(np.square(residual / self._gain).mean()))

    def head(self) -> Head:
        """As it is now."""
        parts = [(layer.weight.detach().T, layer.bias.detach()) for layer in self._layers]
        copied = [(weights.double().numpy().copy(), bias.double().numpy().copy()) for weights, bias in parts]
        return Head(self._card, copied, self._shift, self._scale, self._gain)

    def _batch(self, pairs: Ints) -> tuple[FloatArray, FloatArray]:
        """Features (B, F) and residuals (B, A) of (chunk, place) pairs (B, 2)."""
        frames, stored, chunk, place = self._frames, self._stored, pairs[:, 0], pairs[:, 1]
        now = stored.frame[chunk] + place
        fresh = np.maximum(now - self._card.lag, stored.frame[chunk])
        rows = stored.rows[chunk, place]
        scene = fresh if self._card.fresh else stored.seen[chunk]
        state = frames.state[fresh][:, self._columns[STATE]].astype(np.float64)
        environment = frames.environment[scene][:, self._columns[ENVIRONMENT]].astype(np.float64)
        seen = features(state, environment, rows, place, self._card.horizon)
        return seen, frames.action[now][:, self._columns[ACTION]].astype(np.float64) - rows


def _pairs(frames: Frames, stored: Stored, lag: int, horizon: int) -> Ints:
    """(n, 2): each chunk with each of its places that is within the episode."""
    stop = frames.bounds[np.searchsorted(frames.bounds, stored.frame, side="right")]
    chunks, places = np.meshgrid(np.arange(len(stored.frame)), np.arange(horizon), indexing="ij")
    inside = stored.frame[:, None] + places < stop[:, None]
    return np.stack([chunks[inside], places[inside]], axis=1)

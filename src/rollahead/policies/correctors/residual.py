"""Training a head that corrects the rows of a policy tick by tick (A2C2, arXiv 2509.23224, section 4; base frozen).

    chunks   the base's, made at frames of a data set, from what was seen up to `offsets` frames before, and stored
    example  row i of a chunk made at frame t, the state and environment of frame t + i - lag, and, if it takes them,
             the features of the base with which the chunk was made
    target   the action of frame t + i less that row

Chunks of demonstrations are mostly right, and a head that has seen no others believes them. So the rows of a share of
the examples, the strays, are of any other chunk: as when something has happened since, or the robot is elsewhere.

A head that sees images learns together with its eye (`policies.correctors.image_encoder`). The images of an example are
of frame t + i - lag or up to `image_age` frames before it, drawn anew each time: how old they will be depends on the
machine, and the head is told.

Threads: the caller's. Everything random is drawn from a seed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rollahead.errors import ConfigError
from rollahead.policies.correctors.image_encoder import arrays_of, make_net
from rollahead.policies.data.frames import Frames
from rollahead.policies.denoising.samplers import Sampler
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.policy import Featured, Policy
from rollahead.runtime.control.corrector import Head, HeadCard, features
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, nothing
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import indices_of

REMEDY = "give a data set that has it"
LEAST = 1e-6  # of a scale
QUIET = 0.1  # the least scale of a feature of the base, as a share of the largest
MOST_LAG = GuardConfig().stale_ticks
BLOCK = 512  # of images that are measured at a time
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """width, depth: of the hidden layers; every: frames from chunk to chunk; negative_fraction: the share of the
    examples whose row is of another chunk, with the features of that chunk; features: whether it takes the base's;
    fresh, lag, cameras, latent, image_age: as of `HeadCard`, the last two of no use without cameras."""

    width: int = 256
    depth: int = 3
    every: int = 4
    negative_fraction: float = 0.75
    features: bool = False
    fresh: bool = True
    lag: int = 0
    cameras: Sequence[str] = ()
    latent: int = 16
    image_age: int = 12

    def __post_init__(self) -> None:
        least = {"width": 1, "depth": 1, "every": 1, "latent": 1, "lag": 0, "image_age": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"corrector.{name} is {getattr(self, name)}; give at least {bound}")
        if not 0 <= self.negative_fraction <= 1:
            raise ConfigError(f"corrector.negative_fraction is {self.negative_fraction}; give a share from 0 to 1")
        if self.lag > MOST_LAG:
            raise ConfigError(f"corrector.lag is {self.lag}; give at most {MOST_LAG} ticks: an older state is stale")


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Chunks of a base. frame: (n,), where each was made; seen: (n,), the frame of what it saw of the scene; rows:
    (n, H, A), in the policy's order of names; features: (n, Z) of the base, (n, 0) if they are not taken."""

    frame: Ints
    seen: Ints
    rows: FloatArray
    features: FloatArray


def stored_chunks(
    policy: Policy, sampler: Sampler, frames: Frames, config: HeadConfig, lead: int, seed: int
) -> Iterator[tuple[int, int, FloatArray, FloatArray]]:
    """Frame, frame seen, rows (H, A) and features (Z,) of each chunk of `policy`. lead: frames at the start of each
    episode at which none is made.

    Raises: ConfigError, if the data set does not have what the policy sees, or the policy gives no features.
    """
    featured = featured_by(policy) if config.features else None
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
            seen = [
                Observation(
                    k, frozen(frames.state[k, state]), frozen(frames.environment[max(k - delay, start), environment])
                )
                for k in (max(t - back, start) for back in reversed(range(policy.spec.n_obs)))
            ]
            context = policy.bind(policy.encode([{}] * policy.spec.n_obs, ""), seen, delay)
            drawn = sampler(policy, context, _noise(policy, rng))
            features = nothing() if featured is None else featured.features(context)
            yield t, t - delay, policy.rows(drawn.chunks[0]), features


def featured_by(policy: Policy) -> Featured:
    """`policy`, which gives features. Raises: ConfigError, if it gives none."""
    if not isinstance(policy, Featured):
        raise ConfigError(
            f"corrector.features is true, and {policy.name} gives none; use a flow policy, or set it to false"
        )
    return policy


def _noise(policy: Policy, rng: np.random.Generator) -> Callable[[], torch.Tensor]:
    device = getattr(policy, "device", "cpu")
    return lambda: torch.from_numpy(rng.standard_normal((1, *policy.shape), dtype=np.float32)).to(device)


class HeadTraining:
    """A head that learns to correct `stored`. held: the share of episodes that is kept to measure with; pictures: of a
    head that sees images, those of all frames (N, ...), as `shrunk` makes them; device: where it is trained."""

    def __init__(
        self,
        policy: Policy,
        frames: Frames,
        stored: Stored,
        config: HeadConfig,
        base: str,
        *,
        seed: int,
        held: float,
        pictures: torch.Tensor | None = None,
        device: str = "cpu",
    ) -> None:
        seeing = bool(config.cameras)
        self._card = HeadCard(
            action=policy.spec.action,
            state=policy.spec.state,
            environment=policy.spec.environment,
            horizon=policy.spec.horizon,
            fresh=config.fresh,
            base=base,
            lag=config.lag,
            cameras=tuple(config.cameras),
            latent=config.latent if seeing else 0,
            image_age=config.image_age if seeing else 0,
            policy_features=stored.features.shape[1],
        )
        self._frames, self._stored = frames, stored
        spec = policy.spec
        own = {STATE: spec.state, ENVIRONMENT: spec.environment, ACTION: spec.action}
        self._columns = {
            feature: indices_of(feature, names, frames.names.get(feature, ()), "data set", REMEDY)
            for feature, names in own.items()
        }
        self._rng = generator("head", seed)
        pairs = _pairs(frames, stored, policy.spec.horizon)
        episode = np.searchsorted(frames.bounds, stored.frame[pairs[:, 0]], side="right") - 1
        apart = episode < max(round(held * frames.episodes), 1)
        self._pairs, self._held = pairs[~apart], pairs[apart]
        if not len(self._pairs):
            raise ConfigError(f"{frames.episodes} demonstrations are too few to train a head and measure it; give more")
        self._negative_fraction = config.negative_fraction
        seen, residual, _ = self._batch(self._rng.permutation(self._pairs)[:20_000], self._negative_fraction)
        self._shift, self._scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), LEAST)
        if stored.features.shape[1]:  # a unit that hardly ever fires in demonstrations may elsewhere
            spread = self._scale[self._features]
            self._scale[self._features] = np.maximum(spread, QUIET * spread.max())
        if seeing:  # what images come to and their age are of the order of 1 already, and the age may never vary
            self._shift[self._image_age], self._scale[self._image_age] = 0.0, 1.0
        self._gain = np.maximum(residual.std(axis=0), LEAST)
        torch.manual_seed(seed)
        sizes = [seen.shape[1], *[config.width] * config.depth, residual.shape[1]]
        self._layers = [nn.Linear(i, o) for i, o in pairwise(sizes)]
        nn.init.zeros_(self._layers[-1].weight)  # at first it corrects nothing
        nn.init.zeros_(self._layers[-1].bias)
        self._skip = nn.Linear(seen.shape[1], residual.shape[1], bias=False)  # so that a wrong row is easily taken back
        nn.init.zeros_(self._skip.weight)
        self._net = nn.Sequential(*[part for layer in self._layers for part in (layer, nn.ReLU())][:-1])
        self._pictures = pictures
        self._image_encoder = make_net(len(config.cameras), config.latent) if seeing else None
        self._device = torch.device(device)
        for part in (self._net, self._skip, self._image_encoder):
            if part is not None:
                part.to(self._device)

    def run(self, steps: int, batch: int, learning_rate: float) -> Iterator[int]:
        """Trains; gives each step once it is done."""
        weights = [
            *self._net.parameters(),
            *self._skip.parameters(),
            *(self._image_encoder.parameters() if self._image_encoder else ()),
        ]
        optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=1e-5)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for step in range(steps):
            picked = self._pairs[self._rng.integers(len(self._pairs), size=batch)]
            seen, residual, images = self._batch(picked, self._negative_fraction)
            normalised = self._put(((seen - self._shift) / self._scale).astype(np.float32))
            x = self._with_latent(normalised, images)
            made = self._net(x) + self._skip(x)
            wanted = self._put((residual / self._gain).astype(np.float32))
            loss = (made - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            yield step + 1

    def error(self) -> tuple[float, float]:
        """The root mean square of what is left of the residuals held out, with the head and without, normalised."""
        seen, residual, images = self._batch(self._held)
        with torch.no_grad():
            parts = [
                self._with_latent(torch.from_numpy(seen[at : at + BLOCK]), images[at : at + BLOCK]).numpy()
                for at in range(0, len(seen), BLOCK)
            ]
        left = (residual - self.head().residual(np.concatenate(parts))) / self._gain
        return float(np.sqrt(np.square(left).mean())), float(np.sqrt(np.square(residual / self._gain).mean()))

    def head(self) -> Head:
        """As it is now."""
        parts = [(layer.weight.detach().cpu().T, layer.bias.detach().cpu()) for layer in self._layers]
        copied = [(weights.double().numpy().copy(), bias.double().numpy().copy()) for weights, bias in parts]
        skip = self._skip.weight.detach().cpu().T.double().numpy().copy()
        return Head(self._card, copied, self._shift, self._scale, self._gain, skip)

    def save(self, path: Path) -> None:
        """The head as it is now, with its eye, if it has one."""
        self.head().save(path, None if self._image_encoder is None else arrays_of(self._image_encoder))

    @property
    def _features(self) -> slice:
        """Where in what the head sees the features of its base stand."""
        start = self._card.seen - self._card.policy_features - (self._card.latent + 1 if self._card.latent else 0)
        return slice(start, start + self._card.policy_features)

    @property
    def _image_age(self) -> slice:
        """Where in the features what is of images stands: Z numbers, and their age."""
        return slice(-self._card.latent - 1, None)

    def _with_latent(self, seen: torch.Tensor, images: Ints) -> torch.Tensor:
        """`seen` (B, F), with what the images of frames `images` (B,) come to in its place, if the head sees any."""
        if self._image_encoder is None:
            return seen
        assert self._pictures is not None, "given with cameras"
        latent = self._image_encoder(self._pictures[images].to(self._device).float() / 255)
        others, age = seen[:, : self._image_age.start], seen[:, -1:]
        return torch.cat([others, latent.to(seen), age], dim=1)

    def _put(self, values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def _batch(self, pairs: Ints, negative_fraction: float = 0.0) -> tuple[FloatArray, FloatArray, Ints]:
        """Features (B, F) and residuals (B, A) of (chunk, place) pairs (B, 2), and the frames (B,) of their images:
        what these come to is still 0 among the features. negative_fraction: the share whose row is of another chunk."""
        frames, stored, chunk, place = self._frames, self._stored, pairs[:, 0], pairs[:, 1]
        now = stored.frame[chunk] + place
        fresh = self._before(now, self._card.lag)
        negative = self._rng.random(len(pairs)) < negative_fraction
        source = np.where(negative, self._rng.integers(len(stored.rows), size=len(pairs)), chunk)
        rows = stored.rows[source, place]
        scene = fresh if self._card.fresh else stored.seen[chunk]
        state = frames.state[fresh][:, self._columns[STATE]].astype(np.float64)
        environment = frames.environment[scene][:, self._columns[ENVIRONMENT]].astype(np.float64)
        images = self._images(now)
        latent = np.zeros((len(pairs), self._card.latent)) if self._card.cameras else None
        horizon = self._card.horizon
        seen = features(state, environment, rows, place, horizon, latent, now - images, stored.features[source])
        return seen, frames.action[now][:, self._columns[ACTION]].astype(np.float64) - rows, images

    def _images(self, now: Ints) -> Ints:
        """(B,), the frames of the images that are seen at frames `now` (B,), in the same episode."""
        if not self._card.cameras:
            return now
        return self._before(now, self._card.lag + self._rng.integers(self._card.image_age + 1, size=len(now)))

    def _before(self, now: Ints, ticks: Ints | int) -> Ints:
        """(B,), the frames so many `ticks` before frames `now` (B,), in the same episode."""
        start = self._frames.bounds[np.searchsorted(self._frames.bounds, now, side="right") - 1]
        made: Ints = np.maximum(now - ticks, start)
        return made


def _pairs(frames: Frames, stored: Stored, horizon: int) -> Ints:
    """(n, 2): each chunk with each of its places that is within the episode."""
    stop = frames.bounds[np.searchsorted(frames.bounds, stored.frame, side="right")]
    chunks, places = np.meshgrid(np.arange(len(stored.frame)), np.arange(horizon), indexing="ij")
    inside = stored.frame[:, None] + places < stop[:, None]
    return np.stack([chunks[inside], places[inside]], axis=1)

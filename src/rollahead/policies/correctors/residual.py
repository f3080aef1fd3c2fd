"""Training of a corrector for the rows of a policy (A2C2, arXiv 2509.23224, section 4; the policy is frozen).

    chunks   made by the policy at frames of a data set, from inputs seen up to `offsets` frames earlier, and stored
    example  row i of a chunk made at frame t, the state and environment of frame t + i - lag, and, if used, the
             policy's features of that chunk
    target   the action of frame t + i minus that row

Chunks on demonstrations are mostly right, and a corrector that was trained on them alone learns to correct nothing. So
in a share of the examples, the negatives, the row is taken from another chunk: as if an event had happened since, or
the robot were elsewhere.

A corrector that takes images learns together with its image encoder (`policies.correctors.image_encoder`). The images
of an example are those of frame t + i - lag, or up to `image_age` frames earlier, drawn each time: their age in a run
depends on the machine, and the corrector gets it as an input.

Threads: the caller's. All random numbers are drawn from a seed.
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
from rollahead.policies.policy import EncoderInput, Featured, Policy
from rollahead.runtime.control.corrector import Head, HeadCard, features
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, nothing
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import indices_of

REMEDY = "give a data set that has it"
LEAST = 1e-6  # the least scale of an input or a residual
QUIET = 0.1  # the least scale of a policy feature, as a share of the largest
MOST_LAG = GuardConfig().stale_ticks
BLOCK = 512  # examples whose images are encoded at a time when the error is measured
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class CorrectorTrainingConfig:
    """Options of a corrector and its training.

    Attributes:
        width: Units of each hidden layer.
        depth: Number of hidden layers.
        every: Frames between the stored chunks.
        negative_fraction: Share of the examples whose row, with its features, is from another chunk.
        features: Whether the corrector takes the policy's features.
        fresh: Whether it takes the newest environment; if not, the one that the chunk was made from.
        lag: Age of its inputs, in ticks.
        cameras: Cameras whose images it takes.
        latent: Z, latent features of the images. Used with cameras only.
        image_age: Largest additional age of the images, in ticks. Used with cameras only.
    """

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
    """Chunks that the policy made on a data set.

    Attributes:
        frame: (n,), the frame at which each chunk was made.
        seen: (n,), the frame of the environment that it was made from.
        rows: (n, H, A), in the policy's order of names.
        features: (n, Z), the policy's features; (n, 0) if they are not used.
    """

    frame: Ints
    seen: Ints
    rows: FloatArray
    features: FloatArray


def stored_chunks(
    policy: Policy, sampler: Sampler, frames: Frames, config: CorrectorTrainingConfig, lead: int, seed: int
) -> Iterator[tuple[int, int, FloatArray, FloatArray]]:
    """Yields the chunks of a policy on a data set: frame, frame seen, rows (H, A) and features (Z,).

    Args:
        policy: The policy.
        sampler: Its sampler.
        frames: The data set.
        config: Options of the corrector.
        lead: Frames at the start of each episode at which no chunk is made.
        seed: Seed of delays and noise.

    Raises: ConfigError, if the data set lacks an input of the policy, or the policy gives no features.
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
            context = policy.bind(policy.encode(EncoderInput.of(seen)), seen, delay)
            drawn = sampler(policy, context, _noise(policy, rng))
            features = nothing() if featured is None else featured.features(context)
            yield t, t - delay, policy.rows(drawn.chunks[0]), features


def featured_by(policy: Policy) -> Featured:
    """The `policy`, if it gives features. Raises: ConfigError, if it does not."""
    if not isinstance(policy, Featured):
        raise ConfigError(
            f"corrector.features is true, and {policy.name} gives none; use a flow policy, or set it to false"
        )
    return policy


def _noise(policy: Policy, rng: np.random.Generator) -> Callable[[], torch.Tensor]:
    device = getattr(policy, "device", "cpu")
    return lambda: torch.from_numpy(rng.standard_normal((1, *policy.shape), dtype=np.float32)).to(device)


class CorrectorTraining:
    """A corrector in training on stored chunks.

    Args:
        policy: The policy to correct.
        frames: The data set.
        stored: Chunks of the policy on the data set.
        config: Options of the corrector.
        base: Name of the policy, for the corrector's card.
        seed: Seed of weights and examples.
        held: Share of the episodes that is held out to measure on.
        pictures: Images of all frames (N, ...), as `shrunk` makes them, if the corrector takes images.
        device: Torch device of the training.
    """

    def __init__(
        self,
        policy: Policy,
        frames: Frames,
        stored: Stored,
        config: CorrectorTrainingConfig,
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
        is_held = episode < max(round(held * frames.episodes), 1)
        self._pairs, self._held = pairs[~is_held], pairs[is_held]
        if not len(self._pairs):
            raise ConfigError(
                f"{frames.episodes} demonstrations are too few to train a corrector and measure it; give more"
            )
        self._negative_fraction = config.negative_fraction
        seen, residual, _ = self._batch(self._rng.permutation(self._pairs)[:20_000], self._negative_fraction)
        self._shift, self._scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), LEAST)
        if stored.features.shape[1]:  # a feature that hardly varies in demonstrations may vary in a run
            spread = self._scale[self._features]
            self._scale[self._features] = np.maximum(spread, QUIET * spread.max())
        if seeing:  # latent features and age are near 1 already, and the age may be constant
            self._shift[self._image_age], self._scale[self._image_age] = 0.0, 1.0
        self._gain = np.maximum(residual.std(axis=0), LEAST)
        torch.manual_seed(seed)
        sizes = [seen.shape[1], *[config.width] * config.depth, residual.shape[1]]
        self._layers = [nn.Linear(i, o) for i, o in pairwise(sizes)]
        nn.init.zeros_(self._layers[-1].weight)  # so that it corrects nothing at first
        nn.init.zeros_(self._layers[-1].bias)
        # A linear path past the layers, so that a wrong row is easily undone.
        self._skip = nn.Linear(seen.shape[1], residual.shape[1], bias=False)
        nn.init.zeros_(self._skip.weight)
        self._net = nn.Sequential(*[part for layer in self._layers for part in (layer, nn.ReLU())][:-1])
        self._pictures = pictures
        self._image_encoder = make_net(len(config.cameras), config.latent) if seeing else None
        self._device = torch.device(device)
        for part in (self._net, self._skip, self._image_encoder):
            if part is not None:
                part.to(self._device)

    def run(self, steps: int, batch: int, learning_rate: float) -> Iterator[int]:
        """Trains, and yields the number of each step when it is done."""
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
            predicted = self._net(x) + self._skip(x)
            wanted = self._put((residual / self._gain).astype(np.float32))
            loss = (predicted - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            yield step + 1

    def error(self) -> tuple[float, float]:
        """Root mean square residual on the held-out episodes, with the corrector and without, normalised."""
        seen, residual, images = self._batch(self._held)
        with torch.no_grad():
            parts = [
                self._with_latent(torch.from_numpy(seen[at : at + BLOCK]), images[at : at + BLOCK]).numpy()
                for at in range(0, len(seen), BLOCK)
            ]
        left = (residual - self.corrector().residual(np.concatenate(parts))) / self._gain
        return float(np.sqrt(np.square(left).mean())), float(np.sqrt(np.square(residual / self._gain).mean()))

    def corrector(self) -> Head:
        """The corrector with its current weights."""
        parts = [(layer.weight.detach().cpu().T, layer.bias.detach().cpu()) for layer in self._layers]
        copied = [(weights.double().numpy().copy(), bias.double().numpy().copy()) for weights, bias in parts]
        skip = self._skip.weight.detach().cpu().T.double().numpy().copy()
        return Head(self._card, copied, self._shift, self._scale, self._gain, skip)

    def save(self, path: Path) -> None:
        """Writes the corrector with its current weights, and its image encoder if it has one."""
        self.corrector().save(path, None if self._image_encoder is None else arrays_of(self._image_encoder))

    @property
    def _features(self) -> slice:
        """The policy's features within the corrector's input."""
        start = self._card.seen - self._card.policy_features - (self._card.latent + 1 if self._card.latent else 0)
        return slice(start, start + self._card.policy_features)

    @property
    def _image_age(self) -> slice:
        """The latent features of the images, and their age, within the corrector's input: the last Z + 1 numbers."""
        return slice(-self._card.latent - 1, None)

    def _with_latent(self, seen: torch.Tensor, images: Ints) -> torch.Tensor:
        """`seen` (B, F) with the latent features of the images of frames `images` (B,), if images are used."""
        if self._image_encoder is None:
            return seen
        assert self._pictures is not None, "they are given if there are cameras"
        latent = self._image_encoder(self._pictures[images].to(self._device).float() / 255)
        others, age = seen[:, : self._image_age.start], seen[:, -1:]
        return torch.cat([others, latent.to(seen), age], dim=1)

    def _put(self, values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def _batch(self, pairs: Ints, negative_fraction: float = 0.0) -> tuple[FloatArray, FloatArray, Ints]:
        """Inputs (B, F), residuals (B, A) and frames of the images (B,) for (chunk, row) pairs (B, 2).

        The latent features of the images are still 0 in the inputs. `negative_fraction`: share whose row is from
        another chunk.
        """
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
        """(B,), the frames of the images that are used at frames `now` (B,), in the same episode."""
        if not self._card.cameras:
            return now
        return self._before(now, self._card.lag + self._rng.integers(self._card.image_age + 1, size=len(now)))

    def _before(self, now: Ints, ticks: Ints | int) -> Ints:
        """(B,), the frames `ticks` before frames `now` (B,), in the same episode."""
        start = self._frames.bounds[np.searchsorted(self._frames.bounds, now, side="right") - 1]
        frames: Ints = np.maximum(now - ticks, start)
        return frames


def _pairs(frames: Frames, stored: Stored, horizon: int) -> Ints:
    """(n, 2), each chunk with each of its rows that is within the episode."""
    stop = frames.bounds[np.searchsorted(frames.bounds, stored.frame, side="right")]
    chunks, places = np.meshgrid(np.arange(len(stored.frame)), np.arange(horizon), indexing="ij")
    inside = stored.frame[:, None] + places < stop[:, None]
    return np.stack([chunks[inside], places[inside]], axis=1)

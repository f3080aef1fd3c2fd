"""Per-tick correction: a small network reads the newest state and amends the tick's action (A2C2, arXiv 2509.23224).

    a = base row + clip(residual(state, environment, base row, row's position in the chunk, policy features,
                                 image latent, its age))

The network is a multilayer perceptron in NumPy, a few dozen microseconds, so that it runs in every tick of the
executor. The plan stays uncorrected; what was sent, and so rolling, contains the correction. Camera images are encoded
to a few numbers (an `ImageLatent`) in a second worker (`rollahead.runtime.drivers.encoder_worker`); without a usable
latent the row is sent as it is.

Threads: the executor's alone. Hot path: `Head.residual` and `HeadCorrector.__call__`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.transport.mailbox import Channel
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.chunk import Chunk
from rollahead.runtime.types.messages import Failure, ImageLatent
from rollahead.runtime.types.options import call
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import RobotSpec, indices_of, names_of

ENCODER = "eye."  # prefix, in a head's file, of the names of the image encoder's arrays
OLD_FIELDS = {"sight": "image_age"}  # of cards that an earlier version wrote
REMEDY = "make one for this robot with rollahead train-corrector"


class Corrector(Protocol):
    """A function that amends the action of each tick with the newest reading."""

    def __call__(self, row: FloatArray, k: int, chunk: Chunk, seen: Reading) -> FloatArray:
        """Returns `row` (A,), the action of tick `k` from `chunk`, amended with the newest reading `seen`.

        Phase: hot.
        """
        ...


@dataclass(frozen=True, slots=True)
class HeadCard:
    """Description of a head: what it was trained for, and which inputs it takes.

    Attributes:
        action: Names of the action dimensions, in the head's order.
        state: Names of the state dimensions.
        environment: Names of the numbers about the scene.
        horizon: H, rows of a chunk of the base policy.
        fresh: Whether the head reads the environment as it is now; otherwise as it was when the chunk was requested.
        base: Name of the policy that it was trained on.
        lag: Age in ticks of its input in training.
        cameras: Names of the cameras whose images it uses.
        latent: Z, the length of the image latent; 0 without cameras.
        image_age: Largest number of ticks by which images were older than the rest of the input in training.
        policy_features: Z', the number of features from the base policy's network that come with each chunk (the
            paper's z). They have a meaning with that base policy alone.

    Raises ConfigError if the numbers are negative or do not fit the cameras.
    """

    action: Sequence[str]
    state: Sequence[str]
    environment: Sequence[str]
    horizon: int
    fresh: bool = True
    base: str = ""
    lag: int = 0
    cameras: Sequence[str] = ()
    latent: int = 0
    image_age: int = 0
    policy_features: int = 0

    def __post_init__(self) -> None:
        if self.policy_features < 0:
            raise ConfigError(f"a head takes {self.policy_features} policy features; give 0 or more")
        if bool(self.cameras) != (self.latent > 0) or self.image_age < 0:
            raise ConfigError(
                f"a head of {len(self.cameras)} cameras has latent {self.latent} and image_age {self.image_age}; give "
                "latent at least 1 where there are cameras, 0 where there are none, and no negative image_age"
            )

    @property
    def seen(self) -> int:
        """Number F of input features, see `features`."""
        numbers = len(self.state) + len(self.environment) + len(self.action) + 3 + self.policy_features
        return numbers + (self.latent + 1 if self.latent else 0)


def features(
    state: FloatArray,
    environment: FloatArray,
    row: FloatArray,
    place: NDArray[Any] | int,
    horizon: int,
    latent: FloatArray | None = None,
    age: NDArray[Any] | int = 0,
    policy_features: FloatArray | None = None,
) -> FloatArray:
    """Input features (..., F) of a head.

    F is S + E + A + 3, plus Z' with `policy_features`, plus Z + 1 with `latent`. The row's position in its chunk is
    given as the sine and cosine of an angle, which is the same at both ends, and as a share, which is not.

    Args:
        state: (..., S), the newest state.
        environment: (..., E), numbers about the scene.
        row: (..., A), the row to amend.
        place: (...), index of the row in its chunk.
        horizon: H, rows of a chunk.
        latent: (..., Z), the image latent; None without cameras.
        age: (...), age of the images in ticks, which becomes a share of H.
        policy_features: (..., Z'), features from the policy's network; None for none.
    """
    share = np.asarray(place, np.float64)[..., None] / horizon
    angle = 2 * math.pi * share
    base = [] if policy_features is None else [policy_features]
    from_images = [] if latent is None else [latent, np.asarray(age, np.float64)[..., None] / horizon]
    return np.concatenate([state, environment, row, np.sin(angle), np.cos(angle), share, *base, *from_images], axis=-1)


class Head:
    """A multilayer perceptron with ReLU that computes a residual for an action.

    Args:
        card: What the head was trained for.
        layers: Weights (in, out) and biases (out,) of each layer.
        shift: (F,), subtracted from the input.
        scale: (F,), divides the shifted input.
        gain: (A,), multiplies the output.
        skip: (F, A), weights from the input past all layers; None for none.
    """

    def __init__(
        self,
        card: HeadCard,
        layers: Sequence[tuple[FloatArray, FloatArray]],
        shift: FloatArray,
        scale: FloatArray,
        gain: FloatArray,
        skip: FloatArray | None = None,
    ) -> None:
        self.card = card
        self.layers = layers
        self.skip = skip
        self.shift, self.scale, self.gain = shift, scale, gain

    def residual(self, seen: FloatArray) -> FloatArray:
        """Residual (..., A) of the features `seen` (..., F). Phase: hot."""
        x = first = (seen - self.shift) / self.scale
        for weights, bias in self.layers[:-1]:
            x = np.maximum(x @ weights + bias, 0.0)
        weights, bias = self.layers[-1]
        made: FloatArray = x @ weights + bias
        return (made if self.skip is None else made + first @ self.skip) * self.gain

    def save(self, path: Path, image_encoder: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Writes the head as one .npz file.

        Args:
            path: Path of the file.
            image_encoder: Arrays of the image encoder that it was trained with, by name.
        """
        named: dict[str, Any] = {"shift": self.shift, "scale": self.scale, "gain": self.gain}
        for i, (weights, bias) in enumerate(self.layers):
            named |= {f"layer{i}_w": weights, f"layer{i}_b": bias}
        named |= {} if self.skip is None else {"skip": self.skip}
        named |= {f"{ENCODER}{name}": array for name, array in (image_encoder or {}).items()}
        named["card"] = np.frombuffer(json.dumps(asdict(self.card)).encode(), np.uint8)
        np.savez(path, **named)


def read_head(path: str | Path) -> Head:
    """Reads a head from the file `path`. Raises ConfigError if there is none, or it is damaged."""
    try:
        with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if not name.startswith(ENCODER)}
        written = json.loads(arrays.pop("card").tobytes())
        card = call(HeadCard, {OLD_FIELDS.get(name, name): value for name, value in written.items()}, "card")
        count = sum(name.endswith("_w") for name in arrays)
        layers = [(arrays[f"layer{i}_w"], arrays[f"layer{i}_b"]) for i in range(count)]
        head = Head(card, layers, arrays["shift"], arrays["scale"], arrays["gain"], arrays.get("skip"))
        fits = head.residual(np.zeros(card.seen)).shape == (len(card.action),) and head.shift.shape == (card.seen,)
        if not (layers and fits and all(np.isfinite(array).all() for array in arrays.values())):
            raise ValueError("arrays of other shapes, or with NaN or infinite values")
        return head
    except OSError as error:
        raise ConfigError(f"there is no corrector at {path}; give the file of one, or {REMEDY}") from error
    except (BadZipFile, EOFError, IndexError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise ConfigError(f"{path} is no corrector, or a damaged one; give the file of one, or {REMEDY}") from error


class HeadCorrector:
    """A corrector that applies `head` to a robot of `spec`.

    Args:
        head: The trained network.
        spec: Spec of the robot.
        horizon: H, rows of a chunk.
        max_residual: Largest correction of an action, as a share of half its range.
        image_latents: Channel from the image encoder.
    """

    def __init__(
        self,
        head: Head,
        spec: RobotSpec,
        horizon: int,
        max_residual: float = 1.0,
        image_latents: Channel[ImageLatent | Failure] | None = None,
    ) -> None:
        """Checks that `head` fits the robot, its chunks and its cameras. Raises ConfigError if it does not."""
        card = head.card
        if card.horizon != horizon:
            raise ConfigError(
                f"the corrector was trained on chunks of {card.horizon} rows, and these have {horizon}; {REMEDY}"
            )
        indices_of("camera", card.cameras, [camera.name for camera in spec.cameras], "robot", REMEDY)
        if card.cameras and image_latents is None:
            raise ConfigError(
                f"the corrector sees images of {', '.join(card.cameras)}, and nothing encodes them here; drive the "
                "robot with rollahead run, or take a head without cameras"
            )
        self._head = head
        self._image_latents = image_latents if card.cameras else None
        self._action = indices_of("action", card.action, names_of(spec.action), "robot", REMEDY)
        self._state = indices_of("state", card.state, names_of(spec.state), "robot", REMEDY)
        self._environment = indices_of("environment", card.environment, names_of(spec.environment), "robot", REMEDY)
        dims = [spec.action[i] for i in self._action]
        low, high = (np.array([getattr(dim, end) for dim in dims]) for end in ("low", "high"))
        self._low, self._high = low, high
        self._max_residual = np.where(np.isfinite(high - low), max_residual * (high - low) / 2, np.inf)

    def __call__(self, row: FloatArray, k: int, chunk: Chunk, seen: Reading) -> FloatArray:
        """Returns `row` (A,) with the head's residual added, within the range of each action. Phase: hot."""
        latent, age = None, 0
        if self._image_latents is not None:
            image_latent = self._image_latents.peek()
            if not isinstance(image_latent, ImageLatent) or not self._usable(image_latent, k, chunk):
                return row
            latent, age = image_latent.values, k - image_latent.tick
        environment = seen.environment if self._head.card.fresh else chunk.environment
        own = row[self._action]
        place = k - chunk.origin
        horizon = self._head.card.horizon
        state, scene = seen.state[self._state], environment[self._environment]
        made = features(state, scene, own, place, horizon, latent, age, chunk.policy_features)
        residual = np.clip(self._head.residual(made), -self._max_residual, self._max_residual)
        amended = row.copy()
        amended[self._action] = np.clip(own + residual, self._low, self._high)
        return amended

    def _usable(self, image_latent: ImageLatent, k: int, chunk: Chunk) -> bool:
        """Whether the image latent is of the chunk's epoch or a later one, and not older than in training."""
        card = self._head.card
        return image_latent.epoch >= chunk.epoch and k - image_latent.tick <= card.lag + card.image_age

"""Inputs and outputs of LeRobot's policies: normalised states, cached image features, and actions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rollahead.errors import InferenceError
from rollahead.policies.checkpoints.card import Card
from rollahead.policies.lerobot.features import ENVIRONMENT, STATE, Features, camera_name
from rollahead.policies.lerobot.normalise import Affine, Normalisers
from rollahead.policies.policy import EncoderInput
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Normalises the state and the environment of observations.

    Attributes:
        normalisers: Normalisers on the policy's device.
        card: Card of the checkpoint.
        device: Device of the policy.
    """

    normalisers: Normalisers
    card: Card
    device: torch.device

    def state(self, observations: Sequence[Observation]) -> torch.Tensor:
        """Normalised states (n, S). Phase: hot."""
        return self._normalised(STATE, [seen.state for seen in observations])

    def environment(self, observations: Sequence[Observation], delay: int) -> torch.Tensor | None:
        """Normalised environments (n, E); None if the policy takes none. Phase: hot.

        `delay` in ticks is the last dimension if the policy receives it as an input. It is limited to the range that
        the policy was trained for.
        """
        if not self.card.environment:
            return None
        told = [min(max(delay, 0), self.card.trained.offsets)] if self.card.trained.delay_input else []
        return self._normalised(ENVIRONMENT, [np.append(seen.environment, told) for seen in observations])

    def _normalised(self, key: str, rows: Sequence[NDArray[np.float64]]) -> torch.Tensor:
        raw = torch.from_numpy(np.stack(rows).astype(np.float32)).to(self.device)
        return self.normalisers.inputs[key].normalise(raw)


@dataclass(frozen=True, slots=True)
class Actions:
    """Converts chunks of a network to rows in robot units, and back.

    Attributes:
        normaliser: Normaliser of actions on the policy's device.
        names: A, dimensions of the robot's action.
        shape: Shape (T, W) of a chunk.
        device: Device of the policy.
        past: Number of rows for ticks before now, which are left out.
    """

    normaliser: Affine
    names: int
    shape: tuple[int, int]
    device: torch.device
    past: int = 0

    @torch.no_grad()
    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """Rows (H, A) of a normalised chunk (T, W), in robot units. Phase: hot."""
        return frozen(self.normaliser.unnormalise(chunk[self.past :, : self.names]).cpu().double().numpy())

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """Normalised rows (n, W) of rows (n, A) in robot units. Phase: hot.

        They are padded with zeros, as in the training of LeRobot's policies.
        """
        known = self.normaliser.normalise(torch.tensor(rows, dtype=torch.float32).to(self.device))
        return torch.nn.functional.pad(known, (0, self.shape[1] - self.names))


class Vision:
    """Computes the features of each camera's images, and caches those of the newest images.

    The cache is keyed by camera and capture stamp, and is emptied in a new epoch.

    Args:
        encoders: Encoder of each camera, from normalised images (n, C, H, W) to features (n, ...).
        features: Features of the checkpoint, with its cameras in the order of `encoders`.
        normalisers: Normalisers on the policy's device.
        device: Device of the policy.
        resizes: Whether the encoders resize images, and so take any size.

    Threads: one.
    """

    def __init__(
        self,
        encoders: Sequence[Callable[[torch.Tensor], torch.Tensor]],
        features: Features,
        normalisers: Normalisers,
        device: torch.device,
        *,
        resizes: bool = False,
    ) -> None:
        self._resizes = resizes
        self._epoch: int | None = None
        self._encoders = dict(zip(features.cameras, encoders, strict=True))
        self._features = features
        self._normalisers = normalisers
        self._device = device
        self._known: dict[str, dict[int, torch.Tensor]] = {key: {} for key in features.cameras}  # by stamp

    def __call__(self, seen: EncoderInput, newest: int | None = None) -> list[list[torch.Tensor]]:
        """Features (1, ...) by observation, oldest first, and by camera in the policy's order. Phase: hot.

        Args:
            seen: Images and capture stamps.
            newest: Number of newest observations to encode; None for all.

        Raises: InferenceError, if an image has a size that the policy does not take.
        """
        if seen.epoch != self._epoch:
            self._known = {key: {} for key in self._known}
            self._epoch = seen.epoch
        start = 0 if newest is None else len(seen.images) - newest
        taken = list(zip(seen.stamps[start:], seen.images[start:], strict=True))
        made = []
        for key in self._known:
            name = camera_name(key)
            made.append(self._camera(key, [(stamps[name], images[name]) for stamps, images in taken]))
        return [[camera[i] for camera in made] for i in range(len(taken))]

    def _camera(self, key: str, images: Sequence[tuple[int, Image]]) -> list[torch.Tensor]:
        """Features of `images`, each given with its stamp. New ones are encoded in one batch, as LeRobot does."""
        made = self._known[key]
        new = {stamp: image for stamp, image in images if stamp not in made}
        if new:
            encoded = self._encode(key, list(new.values()))
            made = made | {stamp: encoded[i : i + 1] for i, stamp in enumerate(new)}
        self._known[key] = {stamp: made[stamp] for stamp, _ in images}
        return [made[stamp] for stamp, _ in images]

    def _encode(self, key: str, images: Sequence[Image]) -> torch.Tensor:
        """Features (n, ...) of (H, W, C) uint8 images, which are scaled to [0, 1] and normalised as in LeRobot."""
        for image in images:
            self._check(key, image)
        pixels = torch.from_numpy(np.stack(images)).to(self._device).permute(0, 3, 1, 2).contiguous().float() / 255
        return self._encoders[key](self._normalisers.inputs[key].normalise(pixels))

    def _check(self, key: str, image: Image) -> None:
        wanted, given = self._features.cameras[key], (image.shape[2], *image.shape[:2])
        if given != wanted and not (self._resizes and given[0] == wanted[0]):
            raise InferenceError(
                f"camera {camera_name(key)!r} gives images of {'x'.join(map(str, image.shape))}, and the policy takes "
                f"{'x'.join(map(str, (*wanted[1:], wanted[0])))}; set the camera to that"
            )

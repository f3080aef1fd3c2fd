"""What is observed, as LeRobot's policies take it: normalised tensors, and image features that are made once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rollahead.errors import InferenceError
from rollahead.policies.checkpoints.card import Card
from rollahead.policies.lerobot.features import ENVIRONMENT, STATE, Features, camera_name
from rollahead.policies.lerobot.normalise import Normalisers
from rollahead.runtime.types.messages import Images, Observation

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The state and the environment of observations. normalisers: on the policy's device."""

    normalisers: Normalisers
    card: Card
    device: torch.device

    def state(self, observations: Sequence[Observation]) -> torch.Tensor:
        """(n, S), normalised. Phase: hot."""
        return self._normalised(STATE, [seen.state for seen in observations])

    def environment(self, observations: Sequence[Observation], delay: int) -> torch.Tensor | None:
        """(n, E), normalised; None if the policy takes none. delay: in ticks, put last where the policy is told it, and
        then as many as it was trained for at most. Phase: hot."""
        if not self.card.environment:
            return None
        told = [min(max(delay, 0), self.card.trained.offsets)] if self.card.trained.delay_input else []
        return self._normalised(ENVIRONMENT, [np.append(seen.environment, told) for seen in observations])

    def _normalised(self, key: str, rows: Sequence[NDArray[np.float64]]) -> torch.Tensor:
        raw = torch.from_numpy(np.stack(rows).astype(np.float32)).to(self.device)
        return self.normalisers.inputs[key].normalise(raw)


class Vision:
    """Computes the features of each camera's images with `encoders`, from (1, C, H, W), normalised. The features of the
    newest images are cached by array object; arrays in messages never change (`rollahead.runtime.control.images`).

    Threads: one.
    """

    def __init__(
        self,
        encoders: Sequence[Callable[[torch.Tensor], torch.Tensor]],
        features: Features,
        normalisers: Normalisers,
        device: torch.device,
    ) -> None:
        self._encoders = dict(zip(features.cameras, encoders, strict=True))
        self._features = features
        self._normalisers = normalisers
        self._device = device
        self._known: dict[str, list[tuple[Image, torch.Tensor]]] = {key: [] for key in features.cameras}

    def __call__(self, images: Sequence[Images]) -> list[list[torch.Tensor]]:
        """Of each observation, in their order, for each camera in the policy's order: (1, ...). Phase: hot."""
        made = [self._camera(key, [each[camera_name(key)] for each in images]) for key in self._known]
        return [[camera[i] for camera in made] for i in range(len(images))]

    def _camera(self, key: str, images: Sequence[Image]) -> list[torch.Tensor]:
        """Those that are new in one go, as LeRobot does."""
        made = {id(image): features for image, features in self._known[key]}
        new = {id(image): image for image in images if id(image) not in made}
        if new:
            encoded = self._encode(key, list(new.values()))
            made |= {which: encoded[i : i + 1] for i, which in enumerate(new)}
        self._known[key] = [(image, made[id(image)]) for image in images]
        return [features for _, features in self._known[key]]

    def _encode(self, key: str, images: Sequence[Image]) -> torch.Tensor:
        """(n, ...) of (H, W, C) uint8: as LeRobot, [0, 1] and then as the processors say."""
        for image in images:
            self._check(key, image)
        pixels = torch.from_numpy(np.stack(images)).to(self._device).permute(0, 3, 1, 2).contiguous().float() / 255
        return self._encoders[key](self._normalisers.inputs[key].normalise(pixels))

    def _check(self, key: str, image: Image) -> None:
        wanted = self._features.cameras[key]
        if (image.shape[2], *image.shape[:2]) != wanted:
            raise InferenceError(
                f"camera {camera_name(key)!r} gives images of {'x'.join(map(str, image.shape))}, and the policy takes "
                f"{'x'.join(map(str, (*wanted[1:], wanted[0])))}; set the camera to that"
            )

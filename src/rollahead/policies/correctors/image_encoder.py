"""The image encoder of a corrector: a small convolutional network, trained with the corrector and saved in its file.

    images (H, W, 3) -> resized to 64 by 64, channels of all cameras concatenated -> convolutions -> (Z,)

Threads: the encoder worker's in a run; the caller's in training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rollahead.errors import ConfigError
from rollahead.policies.data.frames import Frames
from rollahead.policies.data.pictures import Pictures, scaled
from rollahead.runtime.control.corrector import ENCODER, REMEDY, read_head
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Images

SIDE = 64  # height and width of the network's input, in pixels
CHANNELS = (16, 32, 64, 64)
BLOCK = 64  # frames decoded at a time


def make_net(cameras: int, latent: int) -> nn.Sequential:
    """An untrained encoder from (B, 3 cameras, SIDE, SIDE) in [0, 1] to (B, Z).

    The features before the last layer are normalised, so that no image leads to a large correction.
    """
    sizes = (3 * cameras, *CHANNELS)
    convolutions = [nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in pairwise(sizes)]
    left = CHANNELS[-1] * (SIDE // 2 ** len(CHANNELS)) ** 2
    layers = [part for layer in convolutions for part in (layer, nn.ReLU())]
    return nn.Sequential(*layers, nn.Flatten(), nn.LayerNorm(left), nn.Linear(left, latent))  # a tanh would saturate


def shrunk(pictures: Sequence[torch.Tensor]) -> torch.Tensor:
    """Images resized to (B, 3 cameras, SIDE, SIDE) uint8. Each pixel is the mean of its area.

    `pictures`: of each camera, (B, 3, H, W) in [0, 1].
    """
    small = [nn.functional.interpolate(each, (SIDE, SIDE), mode="area") for each in pictures]
    return (torch.cat(small, dim=1) * 255).round().to(torch.uint8)


def shrunk_frames(frames: Frames, cameras: Sequence[str]) -> Iterator[torch.Tensor]:
    """The resized images of all `frames`, `BLOCK` frames at a time. `cameras`: those to use."""
    own = replace(
        frames,
        cameras={name: frames.cameras[name] for name in cameras},
        sizes={name: frames.sizes[name] for name in cameras},
    )
    pictures = Pictures(own, most_mb=0.0)  # no cache, because each image is asked for once
    for start in range(0, len(frames), BLOCK):
        block = pictures.of(np.arange(start, min(start + BLOCK, len(frames))))
        yield shrunk([scaled(block[name]) for name in cameras])


class TrainedImageEncoder:
    """A trained encoder for the images of `cameras`. `net`: a network as `make_net` makes it."""

    def __init__(self, net: nn.Module, cameras: Sequence[str]) -> None:
        self._net = net
        self._cameras = cameras

    @torch.no_grad()
    def __call__(self, images: Images) -> FloatArray:
        """The latent features of `images`, (Z,) float64. Phase: hot, in the encoder worker."""
        pictures = [torch.tensor(images[name]).permute(2, 0, 1)[None].float() / 255 for name in self._cameras]
        latent: FloatArray = self._net(shrunk(pictures).float() / 255)[0].double().numpy()
        return latent


def arrays_of(net: nn.Module) -> Mapping[str, NDArray[Any]]:
    """The weights of `net` as NumPy arrays, as `Head.save` takes them."""
    return {name: weight.cpu().numpy() for name, weight in net.state_dict().items()}


def read_image_encoder(path: str | Path) -> TrainedImageEncoder:
    """The image encoder of the corrector in the file `path`.

    Raises: ConfigError, if the file is not a corrector, is damaged, or has no image encoder.
    """
    card = read_head(path).card
    try:
        if not card.cameras:
            raise KeyError("cameras")
        net = make_net(len(card.cameras), card.latent)
        with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            named = [name for name in file.files if name.startswith(ENCODER)]
            net.load_state_dict({name.removeprefix(ENCODER): torch.from_numpy(file[name]) for name in named})
    except (OSError, BadZipFile, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{path} has no image encoder, or a damaged one; {REMEDY} corrector.cameras=[...]") from error
    return TrainedImageEncoder(net, card.cameras)

"""The eye of a head that corrects by images too: a small convolutional network, trained with the head, in its file.

    images (H, W, 3) -> shrunk to 64 by 64, the cameras' colours one after the other -> convolutions -> (Z,)

Threads: the lookout's, where a robot is driven; the caller's, where it is trained.
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

SIDE = 64  # of what the network sees, in pixels
CHANNELS = (16, 32, 64, 64)
BLOCK = 64  # pictures that are decoded at a time


def make_net(cameras: int, latent: int) -> nn.Sequential:
    """Of (B, 3 cameras, SIDE, SIDE) in [0, 1] it makes (B, Z), of features that are normalised: no image drives a head
    far off."""
    sizes = (3 * cameras, *CHANNELS)
    convolutions = [nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in pairwise(sizes)]
    left = CHANNELS[-1] * (SIDE // 2 ** len(CHANNELS)) ** 2
    layers = [part for layer in convolutions for part in (layer, nn.ReLU())]
    return nn.Sequential(*layers, nn.Flatten(), nn.LayerNorm(left), nn.Linear(left, latent))  # no tanh: it saturates


def shrunk(pictures: Sequence[torch.Tensor]) -> torch.Tensor:
    """(B, 3 cameras, SIDE, SIDE) uint8, of each camera's (B, 3, H, W) in [0, 1]: each pixel the mean of its area."""
    small = [nn.functional.interpolate(each, (SIDE, SIDE), mode="area") for each in pictures]
    return (torch.cat(small, dim=1) * 255).round().to(torch.uint8)


def shrunk_frames(frames: Frames, cameras: Sequence[str]) -> Iterator[torch.Tensor]:
    """`shrunk` of all `frames`, `BLOCK` by `BLOCK`. cameras: of those that they have."""
    own = replace(
        frames,
        cameras={name: frames.cameras[name] for name in cameras},
        sizes={name: frames.sizes[name] for name in cameras},
    )
    pictures = Pictures(own, most_mb=0.0)  # each is asked for once
    for start in range(0, len(frames), BLOCK):
        block = pictures.of(np.arange(start, min(start + BLOCK, len(frames))))
        yield shrunk([scaled(block[name]) for name in cameras])


class TrainedImageEncoder:
    """`net`, as `make_net` makes it, on the images of `cameras`."""

    def __init__(self, net: nn.Module, cameras: Sequence[str]) -> None:
        self._net = net
        self._cameras = cameras

    @torch.no_grad()
    def __call__(self, images: Images) -> FloatArray:
        """(Z,). Phase: hot, in the lookout."""
        pictures = [torch.tensor(images[name]).permute(2, 0, 1)[None].float() / 255 for name in self._cameras]
        latent: FloatArray = self._net(shrunk(pictures).float() / 255)[0].double().numpy()
        return latent


def arrays_of(net: nn.Module) -> Mapping[str, NDArray[Any]]:
    """The weights of `net`, as `Head.save` takes them."""
    return {name: weight.cpu().numpy() for name, weight in net.state_dict().items()}


def read_image_encoder(path: str | Path) -> TrainedImageEncoder:
    """The eye of the head in the file `path`. Raises: ConfigError, if it is no head, or damaged, or has no eye."""
    card = read_head(path).card
    try:
        if not card.cameras:
            raise KeyError("cameras")
        net = make_net(len(card.cameras), card.latent)
        with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            named = [name for name in file.files if name.startswith(ENCODER)]
            net.load_state_dict({name.removeprefix(ENCODER): torch.from_numpy(file[name]) for name in named})
    except (OSError, BadZipFile, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{path} has no image encoder, or a damaged one; {REMEDY}, policy.cameras=[...]") from error
    return TrainedImageEncoder(net, card.cameras)

"""One encoding of images for several examples of a batch (VLASH, arXiv 2512.01031, its shared observation).

    batch      k examples in a row share their images, each with a state, a delay and action rows of its own
    encoder    sees the images of the first of each k, and what it makes of them is repeated k times

Losses and gradients are those of the same batch encoded example by example, up to rounding.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def share_encoding(encoder: nn.Module, examples: int, images: int) -> None:
    """Makes `encoder` encode once what is the same for `examples` k examples in a row. images: how many images of one
    example come in a row, all in one call.

    These are hooks of this very module: a copy that was made before, and what is saved, know nothing of them.
    """

    def first(module: nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (x,) = given
        return (x.reshape(-1, examples, images, *x.shape[1:])[:, 0].flatten(0, 1),)

    def repeated(module: nn.Module, given: tuple[torch.Tensor], made: Any) -> Any:
        if isinstance(made, Mapping):
            return {name: repeat(values) for name, values in made.items()}
        return repeat(made)

    def repeat(made: torch.Tensor) -> torch.Tensor:
        return made.reshape(-1, images, *made.shape[1:]).repeat_interleave(examples, dim=0).flatten(0, 1)

    encoder.register_forward_pre_hook(first)
    encoder.register_forward_hook(repeated)

"""One image encoding for several examples of a batch (VLASH, arXiv 2512.01031, shared observation).

    batch      k examples in a row share their images; each has its own state, delay and action rows
    encoder    encodes the images of the first of every k examples; its output is repeated k times

Losses and gradients equal those of encoding every example, up to rounding.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def share_encoding(encoder: nn.Module, examples: int, images: int) -> None:
    """Makes `encoder` encode the images that `examples` examples in a row share only once.

    `images`: number of images of one example, which come in a row in one call. The hooks belong to this module object:
    a copy made before, and a saved policy, do not have them.
    """

    def first(module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (x,) = inputs
        return (x.reshape(-1, examples, images, *x.shape[1:])[:, 0].flatten(0, 1),)

    def repeated(module: nn.Module, inputs: tuple[torch.Tensor], output: Any) -> Any:
        if isinstance(output, Mapping):
            return {name: repeat(values) for name, values in output.items()}
        return repeat(output)

    def repeat(output: torch.Tensor) -> torch.Tensor:
        return output.reshape(-1, images, *output.shape[1:]).repeat_interleave(examples, dim=0).flatten(0, 1)

    encoder.register_forward_pre_hook(first)
    encoder.register_forward_hook(repeated)

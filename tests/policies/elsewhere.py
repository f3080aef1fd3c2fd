"""A device that is not the CPU, for tests on a machine without one.

    with elsewhere():
        x = torch.zeros(3).to("meta")       is elsewhere, with values; x + torch.zeros(3) raises, as on a GPU
        x.cpu(), x.sum().item()             as on a GPU

Tensors of the device `meta` carry their values in a tensor of the CPU beside them. An operation between a tensor that
is elsewhere and one of the CPU is refused, unless one has no dimensions, or the tensor of the CPU is an index.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ELSEWHERE = torch.device("meta")
CPU = torch.device("cpu")
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
INDEXES = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default)


class Elsewhere(torch.Tensor):
    """A tensor that says it is elsewhere; its values are in `inner`."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "Elsewhere":
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=ELSEWHERE
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatched(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """Sees the operations that make tensors, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatched(func, args, kwargs or {})


def _dispatched(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    flat = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
    away = [each for each in flat if isinstance(each, Elsewhere)]
    mixed = [each for each in flat if not isinstance(each, Elsewhere) and each.ndim]
    if away and mixed and func not in (*MOVES, *INDEXES):
        raise RuntimeError(f"{func} between a tensor that is elsewhere and one of the CPU")
    device = kwargs.get("device")
    to = device if device is not None else (ELSEWHERE if away else CPU)
    if func is torch.ops.aten.copy_.default:
        to = ELSEWHERE if isinstance(args[0], Elsewhere) else CPU
    inner = tree_map(lambda each: each.inner if isinstance(each, Elsewhere) else each, (args, kwargs))
    if device is not None:
        inner[1]["device"] = CPU
    made = func(*inner[0], **inner[1])
    known = {id(each.inner): each for each in away}

    def wrapped(each: Any) -> Any:
        if not isinstance(each, torch.Tensor) or torch.device(to).type != ELSEWHERE.type:
            return each
        return known[id(each)] if id(each) in known else Elsewhere(each)

    return tree_map(wrapped, made)


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """The device, while it is there."""
    with _Mode():
        yield ELSEWHERE

"""Read-only arrays for messages, which are shared between threads without a copy or a lock."""

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)


def immutable(array: NDArray[Any]) -> bool:
    """Whether `array` and every array that it is a view of are read-only, and the last of these owns its memory.

    A view may be read-only while its owner writes to the memory; memory that is no array's own (a mapped file, shared
    memory, a driver's buffer) may be written to at any time. Phase: hot.
    """
    while not array.flags.writeable:
        base = array.base
        if base is None:
            return array.flags.owndata
        if not isinstance(base, np.ndarray):
            return False
        array = base
    return False


def unchanging(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """`array` if it is `immutable`, else a read-only copy. Phase: hot."""
    if not immutable(array):
        array = array.copy()
        array.flags.writeable = False
    return array


def frozen(values: ArrayLike) -> FloatArray:
    """A float64 array of `values` that nobody writes to; copied unless it is one already."""
    return unchanging(np.asarray(values, dtype=np.float64))


def unknown(n: int) -> FloatArray:
    """(n,), NaN: nothing was measured or sent yet."""
    return frozen(np.full(n, np.nan))


def finite(values: FloatArray) -> bool:
    """Whether no element of `values` (n,) is NaN or infinite. By number, not by array: a few dozen numbers cost an
    executor that has just slept, whose caches are cold, a quarter of what numpy's reductions do. Phase: hot."""
    return all(map(math.isfinite, values.tolist()))

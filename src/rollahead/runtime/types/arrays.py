"""Read-only arrays for messages, which are shared between threads without a copy or a lock."""

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)


def immutable(array: NDArray[Any]) -> bool:
    """Whether nobody can write to the memory of `array`.

    That is so if it and all arrays that it is a view of are read-only, and the last of these owns the memory. A
    read-only view does not suffice, since its base may be writable. Memory that no array owns (a mapped file, shared
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
    """Returns `array` itself if it is `immutable`, a read-only copy otherwise. Phase: hot."""
    if not immutable(array):
        array = array.copy()
        array.flags.writeable = False
    return array


def frozen(values: ArrayLike) -> FloatArray:
    """Returns `values` as a float64 array that nobody can write to; a copy, unless `values` is such an array."""
    return unchanging(np.asarray(values, dtype=np.float64))


def unknown(n: int) -> FloatArray:
    """Vector of `n` NaN: nothing was measured or sent yet."""
    return frozen(np.full(n, np.nan))


def finite(values: FloatArray) -> bool:
    """Whether no element of `values` (n,) is NaN or infinite.

    The elements are tested in Python: a few dozen numbers cost an executor that has just slept, whose caches are cold,
    a quarter of what numpy's reductions cost. Phase: hot.
    """
    return all(map(math.isfinite, values.tolist()))

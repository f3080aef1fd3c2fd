"""Arrays that cross a seam: float64, read-only, so that a message can be shared without a copy or a lock."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def frozen(values: ArrayLike) -> FloatArray:
    """A read-only float64 array of `values`; copied unless it is one already."""
    array = np.asarray(values, dtype=np.float64)
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def unknown(n: int) -> FloatArray:
    """(n,), NaN: nothing was measured or sent yet."""
    return frozen(np.full(n, np.nan))


def finite(values: FloatArray) -> bool:
    """Whether no element of `values` (n,) is NaN or infinite. By number, not by array: a few dozen numbers cost an
    executor that has just slept, whose caches are cold, a quarter of what numpy's reductions do. Phase: hot."""
    return all(map(math.isfinite, values.tolist()))

"""Arrays that cross a seam: float64, read-only, so that a message can be shared without a copy or a lock."""

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

"""Selection of diffusion steps, out of the K that a policy was trained with, from noise to action.

K = 100, 5 steps     leading    80 60 40 20  0     the default of diffusers, and so of LeRobot
                     trailing   99 79 59 39 19
                     linspace   99 74 50 25  0     (arXiv 2305.08891, table 2)
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError, unknown_name

Spacing = Callable[[int, int], NDArray[Any]]  # from n and K to n of the K steps, integers

SPACINGS: Mapping[str, Spacing] = {  # in the floating-point arithmetic of diffusers, for equal rounding
    "leading": lambda n, k: (np.arange(n) * (k // n))[::-1],
    "trailing": lambda n, k: np.round(np.arange(k, 0, -k / n))[:n] - 1,
    "linspace": lambda n, k: np.linspace(0, k - 1, n).round()[::-1],
}


def spaced(trained: int, steps: int, spacing: str) -> tuple[int, ...]:
    """(steps,), the selected steps, decreasing. `trained`: K; `spacing`: a key of `SPACINGS`.

    Raises: ConfigError, if there is no such spacing, or `steps` is out of range.
    """
    if spacing not in SPACINGS:
        raise unknown_name("spacing", spacing, SPACINGS)
    if not 1 <= steps <= trained:
        raise ConfigError(f"sampler.steps is {steps} and the policy was trained with {trained}; give 1 to {trained}")
    times = tuple(int(t) for t in SPACINGS[spacing](steps, trained))
    if times == (0,) and trained > 1:
        raise ConfigError(
            f"sampler.steps is 1, which spacing={spacing} puts at t = 0 of {trained}, where there is no noise to take "
            "away; use spacing=trailing, or at least 2 steps"
        )
    return times


def checked(trained: int, timesteps: Sequence[int], option: str = "timesteps") -> tuple[int, ...]:
    """`timesteps` as a tuple. `trained`: K; `option`: name of the option, for the message.

    Raises: ConfigError, if they do not decrease, or are not among the `trained` steps.
    """
    times = tuple(timesteps)
    if not times or not all(0 <= t < trained for t in times) or any(later >= t for t, later in pairwise(times)):
        raise ConfigError(
            f"sampler.{option} is {timesteps!r} and the policy was trained with {trained}; give falling whole numbers "
            f"from {trained - 1} to 0"
        )
    return times

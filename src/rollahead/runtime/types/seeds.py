"""Independent streams of random numbers from one seed: each consumer has its own."""

import zlib

import numpy as np

from rollahead.errors import ConfigError

MOST_SEED = 2**31


def generator(consumer: str, *numbers: int) -> np.random.Generator:
    """The stream of `consumer` for `numbers`, such as a seed and a tick; the same ones always give the same stream. A
    consumer always gives as many: zeros at the end would not tell."""
    return np.random.default_rng((zlib.crc32(consumer.encode()), *numbers))


def check_seed(seed: int, episodes: int = 1) -> None:
    """Raises: ConfigError, if not all of `episodes` with the seeds from `seed` on can have their seeds."""
    if not 0 <= seed <= MOST_SEED - episodes:
        raise ConfigError(f"seed is {seed}; give 0 to {max(MOST_SEED - episodes, 0)}")

"""Independent streams of random numbers from one seed, one for each consumer."""

import zlib

import numpy as np

from rollahead.errors import ConfigError

MOST_SEED = 2**31


def generator(consumer: str, *numbers: int) -> np.random.Generator:
    """Random generator of `consumer` for `numbers`, such as a seed and a tick; equal arguments give equal streams.

    A consumer always gives the same count of numbers, since zeros at the end do not change the stream.
    """
    return np.random.default_rng((zlib.crc32(consumer.encode()), *numbers))


def check_seed(seed: int, episodes: int = 1) -> None:
    """Checks that `episodes` episodes can have the seeds from `seed` on. Raises ConfigError if one is out of range."""
    if not 0 <= seed <= MOST_SEED - episodes:
        raise ConfigError(f"seed is {seed}; give 0 to {max(MOST_SEED - episodes, 0)}")

"""Independent streams of random numbers from one seed: each consumer has its own."""

import zlib

import numpy as np


def generator(consumer: str, *numbers: int) -> np.random.Generator:
    """The stream of `consumer` for `numbers`, such as a seed and a tick; the same ones always give the same stream. A
    consumer always gives as many: zeros at the end would not tell."""
    return np.random.default_rng((zlib.crc32(consumer.encode()), *numbers))

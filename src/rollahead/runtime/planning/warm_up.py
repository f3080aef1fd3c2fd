"""Requests that warm up a planner before the first tick.

In a run every request differs from the one before: its images are new, its tick is later, and part of the last chunk
is planned ahead. A planner may cache the features of an image, or start from its last chunk, so repeating one request
would not cost what the requests of a run cost. `following` makes each request of the warm-up from the one before:

    asked at tick 0, nothing planned  ->  at tick 1, the last rows but the first planned, other images  ->  ...

Threads: the worker's.
"""

from dataclasses import replace
from itertools import count

import numpy as np

from rollahead.runtime.types.arrays import FloatArray, unchanging
from rollahead.runtime.types.messages import NEVER, Images, Observation, Request

STAMPS = count(NEVER)  # capture stamps of the images of warm-ups, which no camera gives


def following(request: Request, n: int, rows: FloatArray) -> Request:
    """The `n`-th request of a warm-up, n ticks after `request`, with images that were in no request before.

    `rows`: (H, A), the answer to the request before it.
    """
    asked = request.asked
    planned, covered = rows[1:], len(rows) - 1
    planned = np.concatenate([planned, np.repeat(rows[-1:], max(len(asked.planned) - covered, 0), axis=0)])
    seen = tuple(_later(each, n, n * len(asked.observations) + i) for i, each in enumerate(asked.observations))
    planned = unchanging(planned[: len(asked.planned)])
    asked = replace(asked, tick=asked.tick + n, observations=seen, planned=planned, covered=min(covered, len(planned)))
    return replace(
        request,
        asked=asked,
        origin=_later_tick(request.origin, n),
        start=_later_tick(request.start, n),
        roll_to=_later_tick(request.roll_to, n),
    )


def unseen(images: Images, n: int) -> Images:
    """Copies of `images`, each shifted by `n` rows of pixels, so that they differ as much as the images of a run."""
    return {name: unchanging(np.roll(image, n, axis=0)) for name, image in images.items()}


def _later(seen: Observation, ticks: int, moved: int) -> Observation:
    at = {name: tick + ticks for name, tick in seen.image_ticks.items()}
    images, stamps = unseen(seen.images, moved), {name: next(STAMPS) for name in seen.images}
    return replace(seen, tick=seen.tick + ticks, images=images, image_ticks=at, image_stamps=stamps)


def _later_tick(tick: int | None, n: int) -> int | None:
    return None if tick is None else tick + n

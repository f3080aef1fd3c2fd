"""The encoder_worker: a second worker, that makes a few numbers of the newest images, for a head that corrects every
tick.

    executor -- Snapshot (with images) --> encoder_worker: eye -- ImageLatent (Z,) --> corrector, in the executor

A convolutional network is too slow for a tick, and torch is not for the executor. So images are seen apart, the newest
only; what they came to is read in every tick, and how old they are is part of it.

Threads: the lookout's own, in the process of whoever started the runtime; it owns the eye.
"""

import math
import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rollahead.errors import ConfigError, InferenceError, one_line
from rollahead.runtime.system.clock import Clock, Grid
from rollahead.runtime.transport.mailbox import Channel
from rollahead.runtime.types.arrays import FloatArray, finite, frozen
from rollahead.runtime.types.messages import Failure, ImageLatent, Images, Snapshot, news

AFTER_HEAD = 0.25  # of a tick: its snapshot is out by then


class ImageEncoder(Protocol):
    """The seam."""

    def __call__(self, images: Images) -> FloatArray:
        """(Z,), what `images` come to, one (H, W, 3) uint8 of each camera. Phase: hot, in the lookout."""
        ...


class MeanImageEncoder:
    """The fake: of each of `cameras` the mean brightness, from 0 to 1."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self._cameras = cameras

    def __call__(self, images: Images) -> FloatArray:
        """(Z,), Z as many as there are cameras."""
        return np.array([images[name].mean() / 255 for name in self._cameras])


class EncoderWorker:
    """Looks at what `cameras` have seen in the snapshots of `outbox`, and puts the `latent` numbers that
    `image_encoder` makes of it into `image_latents`. It takes nothing out of the outbox, and rings no bell."""

    def __init__(
        self,
        image_encoder: ImageEncoder,
        cameras: Sequence[str],
        latent: int,
        outbox: Channel[Snapshot],
        image_latents: Channel[ImageLatent | Failure],
    ) -> None:
        self.error: Exception | None = None
        self.image_latents = image_latents
        self._image_encoder = image_encoder
        self._cameras = cameras
        self._latent = latent
        self._outbox = outbox
        self._before: Snapshot | None = None  # whose images it has seen last
        self._ending = threading.Event()

    def warm(self, times: int) -> None:
        """Looks `times` times at the images that lie there, and puts nothing. Phase: warm. Raises: InferenceError, if a
        camera has given none."""
        snapshot = self._outbox.peek()
        if snapshot is None or not news(snapshot, None, self._cameras):
            raise InferenceError(f"there is no image of {', '.join(self._cameras)} yet; look at the cameras")
        self._before = snapshot
        for _ in range(times):
            self._seen(snapshot)

    def run(self, clock: Clock, grid: Grid) -> None:
        """Looks once a tick, or as often as it can, until `end`, or until the eye fails: then the executor is told, and
        `error` is why."""
        try:
            while not self._ending.is_set():
                if not self.step():
                    clock.sleep_until_ns(_next_ns(clock.now_ns(), grid))
        except BaseException as error:  # a library may raise SystemExit
            told = InferenceError(f"the image encoder ended with {one_line(error, repr)}")
            self.error = error if isinstance(error, Exception) else told
            self.image_latents.put(Failure(one_line(self.error)))

    def end(self) -> None:
        """Asks `run` to return, within a tick or after the look that is under way."""
        self._ending.set()

    def step(self) -> bool:
        """Looks, if there is something new; whether there was. Phase: hot."""
        image_latent = self.look()
        if image_latent is not None:
            self.image_latents.put(image_latent)
        return image_latent is not None

    def look(self) -> ImageLatent | None:
        """What the newest images come to; None if they were seen before, or are not all there. Phase: hot."""
        snapshot = self._outbox.peek()
        if snapshot is None or not news(snapshot, self._before, self._cameras):
            return None
        self._before = snapshot
        return self._seen(snapshot)

    def _seen(self, snapshot: Snapshot) -> ImageLatent:
        seen = snapshot.observation
        try:
            values = np.asarray(self._image_encoder({name: seen.images[name] for name in self._cameras}), np.float64)
        except Exception as error:
            raise InferenceError(
                f"the image encoder raised {type(error).__name__} ({one_line(error)}) at the images of tick "
                f"{snapshot.tick}"
            ) from error
        if values.shape != (self._latent,) or not finite(values):
            raise InferenceError(
                f"the image encoder gave numbers of shape {values.shape}, or NaN, and the corrector takes "
                f"{self._latent} finite ones; give it the image encoder that it was trained with"
            )
        return ImageLatent(min(seen.image_ticks[name] for name in self._cameras), snapshot.epoch, frozen(values))


def _next_ns(now_ns: int, grid: Grid) -> int:
    """When the next snapshot is out."""
    ticks = (now_ns - grid.start_ns) * 1e-9 * grid.rate_hz
    return grid.due_ns(math.floor(ticks - AFTER_HEAD) + 1 + AFTER_HEAD)


class LockstepEncoder:
    """A lookout in simulated time: what the images of tick k come to is there at `k + ticks`, and then it looks
    again."""

    def __init__(self, encoder_worker: EncoderWorker, ticks: int) -> None:
        if ticks < 0:
            raise ConfigError(f"sight_ticks is {ticks}; give 0 or more ticks from images to what they come to")
        self._encoder_worker = encoder_worker
        self._ticks = ticks
        self._made: ImageLatent | None = None
        self._due = 0

    def needs_images(self, k: int) -> bool:
        """Whether it looks at the images of tick `k`, if they are new."""
        return self._made is None or k >= self._due

    def tick(self, k: int) -> None:
        """What is due in tick `k`, once its snapshot is out and before its action."""
        self._deliver(k)
        if self._made is None:
            self._made, self._due = self._encoder_worker.look(), k + self._ticks
            self._deliver(k)

    def _deliver(self, k: int) -> None:
        if self._made is not None and k >= self._due:
            self._encoder_worker.image_latents.put(self._made)
            self._made = None

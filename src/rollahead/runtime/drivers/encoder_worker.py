"""The encoder worker: a second worker, which encodes the newest images for a corrector.

    executor -- Snapshot (with images) --> encoder worker: ImageEncoder -- ImageLatent (Z,) --> corrector (executor)

A convolutional network is too slow for a tick, and the executor must not use torch. So only the newest images are
encoded, in a thread of their own; the corrector reads the newest latent features and their age in every tick.

Threads: the encoder worker's own, in the process that started the runtime; it owns the image encoder.
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

AFTER_HEAD = 0.25  # ticks from the head of a tick until its snapshot is surely published


class ImageEncoder(Protocol):
    """Interface of a function that computes latent features from the newest image of each camera."""

    def __call__(self, images: Images) -> FloatArray:
        """Latent features (Z,) of `images`, one (H, W, 3) uint8 per camera. Phase: hot, in the encoder worker."""
        ...


class MeanImageEncoder:
    """Image encoder for tests and examples: the mean brightness of each of `cameras`, from 0 to 1."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self._cameras = cameras

    def __call__(self, images: Images) -> FloatArray:
        """Mean brightness (Z,), where Z is the number of cameras."""
        return np.array([images[name].mean() / 255 for name in self._cameras])


class EncoderWorker:
    """Encodes the newest images in the executor's snapshots, and puts the latent features into a channel.

    It takes nothing out of the outbox, and wakes no other thread.

    Args:
        image_encoder: Encoder of the images.
        cameras: Names of the cameras whose images are encoded.
        latent: Z, number of latent features.
        outbox: Channel of the executor's snapshots.
        image_latents: Channel for the latent features, or for the failure of the encoder.
    """

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
        self._before: Snapshot | None = None  # snapshot whose images were encoded last
        self._ending = threading.Event()

    def warm(self, times: int) -> None:
        """Encodes the images of the newest snapshot `times` times, without putting the result into the channel.

        Raises: InferenceError, if a camera has given no image yet. Phase: warm.
        """
        snapshot = self._outbox.peek()
        if snapshot is None or not news(snapshot, None, self._cameras):
            raise InferenceError(f"there is no image of {', '.join(self._cameras)} yet; look at the cameras")
        self._before = snapshot
        for _ in range(times):
            self._seen(snapshot)

    def run(self, clock: Clock, grid: Grid) -> None:
        """Encodes new images once per tick, or as often as it can, until `end` is called or the encoder fails.

        If the encoder fails, `error` is set and the executor receives a `Failure`.
        """
        try:
            while not self._ending.is_set():
                if not self.step():
                    clock.sleep_until_ns(_next_ns(clock.now_ns(), grid))
        except BaseException as error:  # a library may raise SystemExit
            told = InferenceError(f"the image encoder ended with {one_line(error, repr)}")
            self.error = error if isinstance(error, Exception) else told
            self.image_latents.put(Failure(one_line(self.error)))

    def end(self) -> None:
        """Asks `run` to return, within a tick or after the encoding that is under way."""
        self._ending.set()

    def step(self) -> bool:
        """Encodes the newest images if they are new, and returns whether they were. Phase: hot."""
        image_latent = self.look()
        if image_latent is not None:
            self.image_latents.put(image_latent)
        return image_latent is not None

    def look(self) -> ImageLatent | None:
        """Latent features of the newest images; None if no image is new, or a camera has given none. Phase: hot."""
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
    """Time in ns at which the next snapshot is published."""
    ticks = (now_ns - grid.start_ns) * 1e-9 * grid.rate_hz
    return grid.due_ns(math.floor(ticks - AFTER_HEAD) + 1 + AFTER_HEAD)


class LockstepEncoder:
    """An encoder worker in simulated time: the latent features of the images of tick k are delivered at `k + ticks`.

    Until they are delivered, no other images are encoded.

    Raises: ConfigError, if `ticks` is negative.
    """

    def __init__(self, encoder_worker: EncoderWorker, ticks: int) -> None:
        if ticks < 0:
            raise ConfigError(f"ticks is {ticks}; give 0 or more ticks from the images to their latent features")
        self._encoder_worker = encoder_worker
        self._ticks = ticks
        self._made: ImageLatent | None = None
        self._due = 0

    def needs_images(self, k: int) -> bool:
        """Whether the images of tick `k` will be encoded, if they are new."""
        return self._made is None or k >= self._due

    def tick(self, k: int) -> None:
        """Delivers latent features that are due in tick `k`, and encodes its images if none are under way.

        It is called after the snapshot of the tick is published and before its action.
        """
        self._deliver(k)
        if self._made is None:
            self._made, self._due = self._encoder_worker.look(), k + self._ticks
            self._deliver(k)

    def _deliver(self, k: int) -> None:
        if self._made is not None and k >= self._due:
            self._encoder_worker.image_latents.put(self._made)
            self._made = None

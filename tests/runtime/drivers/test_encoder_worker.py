"""The encoder_worker: which images it looks at, what it tells the executor, and that it disturbs nobody."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from every import every
from rollahead.errors import InferenceError
from rollahead.runtime.drivers.encoder_worker import AFTER_HEAD, EncoderWorker, MeanImageEncoder
from rollahead.runtime.system.clock import FakeClock, Grid, MonotonicClock
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Failure, ImageLatent, Images, Observation, Request, Snapshot

CAMERAS = ("top", "wrist")
PERIOD_NS = 100_000_000
GRID = Grid(7 * PERIOD_NS, 10.0)


def image(level: int) -> np.ndarray:
    return np.full((2, 3, 3), level, np.uint8)


def snapshot(tick: int, images: Images, ages: Sequence[int] = (0, 0), epoch: int = 0) -> Snapshot:
    none = frozen(np.zeros((0, 1)))
    ticks = {name: tick - age for name, age in zip(CAMERAS, ages, strict=True) if name in images}
    stamps = {name: int(image[0, 0, 0]) for name, image in images.items()}
    seen = Observation(tick, frozen([0.0]), images=images, image_ticks=ticks, image_stamps=stamps)
    return Snapshot(tick, (seen,), none, none, epoch, 0)


class Desk:
    """A lookout between two mailboxes."""

    def __init__(self, image_encoder: object = None, latent: int = 2) -> None:
        self.outbox: Mailbox[Snapshot] = Mailbox()
        self.image_latents: Mailbox[ImageLatent | Failure] = Mailbox()
        self.encoder_worker = EncoderWorker(
            image_encoder or MeanImageEncoder(CAMERAS), CAMERAS, latent, self.outbox, self.image_latents
        )  # type: ignore[arg-type]

    def image_latent(self) -> ImageLatent:
        image_latent = self.image_latents.peek()
        assert isinstance(image_latent, ImageLatent)
        return image_latent


def test_it_makes_numbers_of_the_newest_images_as_old_as_the_oldest_of_them() -> None:
    desk = Desk()
    assert not desk.encoder_worker.step()
    for tick in (3, 4):
        desk.outbox.put(snapshot(tick, {"top": image(51 * (tick - 3)), "wrist": image(255)}, ages=(1, 2), epoch=5))
    assert desk.encoder_worker.step()
    image_latent = desk.image_latent()
    assert (image_latent.tick, image_latent.epoch, image_latent.values.tolist()) == (2, 5, pytest.approx([0.2, 1.0]))
    assert not image_latent.values.flags.writeable


def test_images_are_looked_at_once_in_each_epoch() -> None:
    desk, images = Desk(), {"top": image(1), "wrist": image(2)}
    desk.outbox.put(snapshot(3, images))
    assert desk.encoder_worker.step()
    assert not desk.encoder_worker.step()
    desk.outbox.put(snapshot(4, {"top": image(1), "wrist": image(2)}, ages=(0, 1)))  # by their stamps the same ones
    assert not desk.encoder_worker.step()
    desk.outbox.put(snapshot(5, images, ages=(2, 2), epoch=1))
    assert desk.encoder_worker.step()
    assert (desk.image_latent().tick, desk.image_latent().epoch) == (3, 1)
    desk.outbox.put(snapshot(6, {**images, "wrist": image(9)}, ages=(3, 0), epoch=1))  # one of them is new
    assert desk.encoder_worker.step()


def test_without_an_image_of_each_camera_it_waits() -> None:
    desk = Desk()
    desk.outbox.put(snapshot(3, {"top": image(1)}))
    assert not desk.encoder_worker.step()
    assert desk.image_latents.peek() is None


def test_a_request_that_it_has_seen_is_still_there_for_the_worker() -> None:
    desk = Desk()
    asked = snapshot(3, {"top": image(1), "wrist": image(2)})
    asked = asked.with_request(Request(asked, 5, 5, None, 2))
    desk.outbox.put(asked)
    assert desk.encoder_worker.step()
    assert desk.outbox.peek() is asked


def test_warming_up_tells_nobody_and_what_it_looked_at_is_not_looked_at_again() -> None:
    seen: list[Images] = []

    def image_encoder(images: Images) -> FloatArray:
        seen.append(images)
        return np.zeros(2)

    desk = Desk(image_encoder)
    desk.outbox.put(snapshot(0, {"top": image(1), "wrist": image(2)}))
    desk.encoder_worker.warm(3)
    assert len(seen) == 3
    assert not desk.encoder_worker.step()  # it may be seconds old by now, and says tick 0
    assert desk.image_latents.peek() is None


def test_without_an_image_it_cannot_be_warmed_up_and_says_what_to_look_at() -> None:
    desk = Desk()
    desk.outbox.put(snapshot(0, {"top": image(1)}))
    with pytest.raises(InferenceError, match="there is no image of top, wrist yet; look at the cameras"):
        desk.encoder_worker.warm(1)


def broken(images: Images) -> FloatArray:
    raise ZeroDivisionError("by the eye")


class Unspeakable(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no words")


def unspeakable(images: Images) -> FloatArray:
    raise Unspeakable


def unwritable(images: Images) -> FloatArray:
    raise OSError("no file \udcff")


def leaving(images: Images) -> FloatArray:
    raise SystemExit(3)


@every(
    "image_encoder, words",
    [
        (broken, r"the image encoder raised ZeroDivisionError \(by the eye\) at the images of tick 3"),
        (unspeakable, r"the image encoder raised Unspeakable \(it cannot be put into words\) at the images of tick 3"),
        (unwritable, r"the image encoder raised OSError \(no file \\udcff\) at the images of tick 3"),
        (leaving, r"the image encoder ended with SystemExit\(3\)"),
        (lambda images: np.zeros(3), r"shape \(3,\), or NaN, and the corrector takes 2 finite ones"),
        (lambda images: np.array([0.0, np.nan]), r"or NaN, and the corrector takes 2 finite ones"),
    ],
)
def test_an_eye_that_fails_ends_it_with_words_for_the_executor(image_encoder: object, words: str) -> None:
    desk = Desk(image_encoder)
    desk.outbox.put(snapshot(3, {"top": image(1), "wrist": image(2)}))
    desk.encoder_worker.run(FakeClock(GRID.start_ns), GRID)
    failure, error = desk.image_latents.peek(), desk.encoder_worker.error
    assert isinstance(failure, Failure)
    assert failure.message == str(error)
    with pytest.raises(InferenceError, match=words):
        raise error or AssertionError


@every("began", [-3.0, -0.5, 0.0, 0.2, 0.25, 0.3, 4.9])
def test_while_there_is_nothing_new_it_sleeps_until_the_next_snapshot_is_out(began: float) -> None:
    clock, desk, woke = FakeClock(GRID.due_ns(began)), Desk(), []

    def sleep(deadline_ns: int) -> None:
        woke.append((deadline_ns - GRID.start_ns) / PERIOD_NS)
        clock._now_ns = deadline_ns
        if len(woke) == 3:
            desk.encoder_worker.end()

    clock.sleep_until_ns = sleep  # type: ignore[method-assign]
    desk.encoder_worker.run(clock, GRID)
    first = np.floor(began - AFTER_HEAD) + 1 + AFTER_HEAD
    assert woke == pytest.approx([first, first + 1, first + 2])
    assert first > began


def test_in_a_thread_it_sees_what_is_published_and_ends_when_told() -> None:
    desk, clock = Desk(), MonotonicClock()
    thread = threading.Thread(target=desk.encoder_worker.run, args=(clock, Grid(clock.now_ns(), 1000.0)))
    thread.start()
    desk.outbox.put(snapshot(3, {"top": image(0), "wrist": image(255)}))
    while desk.image_latents.peek() is None:
        assert thread.is_alive()
    desk.encoder_worker.end()
    thread.join(30)
    assert not thread.is_alive()
    assert desk.image_latent().values.tolist() == [0.0, 1.0]

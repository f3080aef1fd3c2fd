"""Camera readers: give the newest image of a LeRobot camera without waiting for the next one.

    LatestFrame     a camera that keeps its newest image itself, and when it was taken
    PollingCamera   a camera that can only be waited for: a thread waits, and keeps the newest image

The same image is given, older each time, until there is a newer one.

Threads: `look` and `close` are the executor's; each `PollingCamera` has a thread of its own. Assumes: nothing about the
arrays that a camera returns; it may reuse its memory. A `PollingCamera` copies each image in its own thread; an image
of a `LatestFrame` is copied when it goes into a message.
"""

import inspect
import threading
import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import RobotError
from rollahead.runtime.system.patience import PATIENCE_S, error_text
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.types.arrays import unchanging

AGAIN_S = 0.1  # pause before a camera that failed is read again
FOREVER_MS = 10**9  # no limit: the age of an image is reported, and the guard judges it

Image = NDArray[np.uint8]
Look = tuple[Image, float]  # an image, and its time of capture in s, on the clock of `time.perf_counter`


class CameraReader(Protocol):
    """Gives the newest image of one camera."""

    def look(self) -> Look:
        """Newest image, and when it was taken. Raises the camera's error. Phase: hot."""
        ...

    def close(self) -> None:
        """Ends the reader's thread, if it has one; the camera is not touched any more."""
        ...


def camera_reader_of(camera: Any, first: Image) -> CameraReader:
    """Makes the reader for `camera`. first: an image of it."""
    return LatestFrame(camera) if _keeps_newest(camera) else PollingCamera(camera, first)


def _keeps_newest(camera: Any) -> bool:
    """Whether `read_latest` does not wait; that of LeRobot's abstract camera does."""
    owners = [kind for kind in type(camera).__mro__ if "read_latest" in vars(kind)]
    return bool(owners) and not inspect.isabstract(owners[0]) and hasattr(camera, "latest_timestamp")


class LatestFrame:
    """Reads a `camera` whose `read_latest` does not wait, and which has `latest_timestamp`."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera

    def look(self) -> Look:
        """Newest image, and when it was taken. Phase: hot."""
        at_s: float = self._camera.latest_timestamp  # read first: the image may be newer than this, never older
        return self._camera.read_latest(max_age_ms=FOREVER_MS), at_s

    def close(self) -> None:
        """Does nothing."""


class PollingCamera:
    """Reads, in a thread, a `camera` whose `async_read` waits for the next image. first: the image to begin with."""

    def __init__(self, camera: Any, first: Image) -> None:
        self._camera = camera
        self._newest: Mailbox[Look] = Mailbox()
        self._newest.put((unchanging(np.asarray(first)), time.perf_counter()))
        self._failure: BaseException | None = None
        self._again = threading.Event()  # set when it ends
        self._thread = threading.Thread(target=self._run, name="rollahead camera", daemon=True)
        self._thread.start()

    def look(self) -> Look:
        """Newest image, and when it came. Raises RobotError if the camera failed. Phase: hot."""
        if self._failure is not None:
            raise RobotError(f"a camera failed ({error_text(self._failure)}); look at its cable and its power")
        newest = self._newest.peek()
        assert newest is not None
        return newest

    def close(self) -> None:
        """Ends the thread; one that hangs is left behind."""
        self._again.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        while not self._again.is_set():
            try:
                image = self._camera.async_read()
                self._newest.put((unchanging(np.asarray(image)), time.perf_counter()))
            except TimeoutError:
                continue  # nothing new; the kept image grows older
            except BaseException as error:  # a driver may raise SystemExit
                self._failure = error
                self._again.wait(AGAIN_S)
            else:
                self._failure = None

"""Layout of messages in shared memory, and the channels between an executor and a worker in two processes.

Images are sent with a request. If there is an encoder worker, the images of its cameras are also sent in a mailbox of
their own, whenever there are new ones.

A request holds the snapshot at which it was made. The worker reads only the newest snapshot and may miss that one, so
the request is sent in a mailbox of its own, and a snapshot only names the request that is open. A result names the
request that it answers, which the executor has kept.

Threads: see `rollahead.runtime.transport.mailbox`. Hot path: `put`, `peek`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.transport.shared import SharedMailbox
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import (
    NEVER,
    Commands,
    Failure,
    ImageLatent,
    Observation,
    Request,
    Result,
    Snapshot,
    StageTimes,
    news,
)
from rollahead.runtime.types.spec import Camera, RobotSpec

MOST_TEXT = 1000  # largest size in bytes of the text of a task or a failure
SILENT = "it gave no reason"  # text of a failure without a message
_MADE = ("calls", "steps", "made")  # integer fields of a result
_REQUEST = [("tick", "i8"), ("epoch", "i8"), ("origin", "i8"), ("start", "i8"), ("roll_to", "i8"), ("delay", "i8")]


def check_task(task: str) -> str:
    """Returns `task`, if it fits into a message.

    Raises: ConfigError, if it has more than `MOST_TEXT` bytes, or has NUL or a surrogate.
    """
    if bad := next((each for each in task if each == "\0" or "\ud800" <= each <= "\udfff"), None):
        raise ConfigError(f"the task text has {bad!r}, which no text in UTF-8 can have; give it without")
    if len(task.encode()) > MOST_TEXT:
        raise ConfigError(f"the task text has {len(task.encode())} bytes; give at most {MOST_TEXT}")
    return task


def encoded(text: str) -> bytes:
    """Encodes `text` as UTF-8, cut after the last character that fits into `MOST_TEXT` bytes. Phase: hot.

    Surrogates, and NUL, with which numpy pads, become escapes. It never raises.
    """
    raw = text.replace("\0", "\\x00").encode(errors="backslashreplace")
    return raw if len(raw) <= MOST_TEXT else raw[:MOST_TEXT].decode(errors="ignore").encode()


@dataclass(frozen=True, slots=True)
class SnapshotCodec:
    """Layout of a snapshot in shared memory.

    An array that may be partly filled has a field with the number of its valid rows.

    Attributes:
        spec: Spec of the robot.
        horizon: H, the largest number of planned rows; up to 2 H sent rows are stored.
        n_obs: The largest number of observations.
        cameras: Cameras whose images are stored.
    """

    spec: RobotSpec
    horizon: int
    n_obs: int
    cameras: tuple[Camera, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Structured type of one snapshot, with the numbers of its request."""
        cameras = [(camera.name, "u1", (camera.height, camera.width, 3)) for camera in self.cameras]
        observation: list[Any] = [
            ("tick", "i8"),
            ("state", "f8", (len(self.spec.state),)),
            ("environment", "f8", (len(self.spec.environment),)),
            ("state_age", "i8"),
            ("seen", "i8", (len(cameras),)),  # tick of each camera's image; NEVER if there is none yet
            ("stamps", "i8", (len(cameras),)),  # capture stamp of each camera's image
            ("images", cameras),
            ("task", f"S{MOST_TEXT}"),
        ]
        action = len(self.spec.action)
        return np.dtype([
            ("tick", "i8"),
            ("epoch", "i8"),
            ("seed", "i8"),
            ("observations", observation, (self.n_obs,)),
            ("n_observations", "i8"),
            ("sent", "f8", (2 * self.horizon, action)),
            ("n_sent", "i8"),
            ("planned", "f8", (self.horizon, action)),
            ("n_planned", "i8"),
            ("covered", "i8"),
            ("request", _REQUEST),
        ])  # fmt: skip

    def write(self, slot: NDArray[Any], message: Snapshot) -> None:
        """Writes a snapshot and the numbers of its request into `slot`. Phase: hot."""
        slot["tick"], slot["epoch"], slot["seed"] = message.tick, message.epoch, message.seed
        slot["n_observations"], slot["covered"] = len(message.observations), message.covered
        for place, seen in zip(slot["observations"], message.observations, strict=False):
            self._write_observation(place, seen)
        for name, rows in (("sent", message.sent), ("planned", message.planned)):
            slot[name][: len(rows)] = rows
            slot[f"n_{name}"] = len(rows)
        asked = message.request
        slot["request"] = (NEVER,) * len(_REQUEST) if asked is None else _numbers(asked)

    def _write_observation(self, place: Any, seen: Observation) -> None:
        place["tick"], place["state_age"], place["task"] = seen.tick, seen.state_age, seen.task.encode()
        place["state"], place["environment"] = seen.state, seen.environment
        for i, camera in enumerate(self.cameras):
            image = seen.images.get(camera.name)
            place["seen"][i] = NEVER if image is None else seen.image_ticks[camera.name]
            if image is not None:
                place["stamps"][i] = seen.image_stamps[camera.name]
                place["images"][camera.name] = image

    def read(self, slot: NDArray[Any]) -> Snapshot:
        """Reads the snapshot in `slot`, without its request. Phase: hot."""
        slot.flags.writeable = False
        return Snapshot(
            tick=int(slot["tick"]),
            observations=tuple(map(self._observation, slot["observations"][: int(slot["n_observations"])])),
            sent=slot["sent"][: int(slot["n_sent"])],
            planned=slot["planned"][: int(slot["n_planned"])],
            epoch=int(slot["epoch"]),
            seed=int(slot["seed"]),
            covered=int(slot["covered"]),
        )

    def _observation(self, place: Any) -> Observation:
        there = [(i, camera.name) for i, camera in enumerate(self.cameras) if place["seen"][i] != NEVER]
        return Observation(
            tick=int(place["tick"]),
            state=place["state"],
            environment=place["environment"],
            images={name: place["images"][name] for _, name in there},
            image_ticks={name: int(place["seen"][i]) for i, name in there},
            image_stamps={name: int(place["stamps"][i]) for i, name in there},
            task=bytes(place["task"]).decode(),
            state_age=int(place["state_age"]),
        )


@dataclass(frozen=True, slots=True)
class _AskedCodec:
    """Layout of a request: its snapshot with the request's numbers."""

    snapshots: SnapshotCodec

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.snapshots.dtype

    def write(self, slot: NDArray[Any], message: Request) -> None:
        self.snapshots.write(slot, replace(message.asked, request=message))

    def read(self, slot: NDArray[Any]) -> Request:
        *_, origin, start, roll_to, delay = slot["request"].item()
        asked = self.snapshots.read(slot)
        return Request(asked, _known(origin), _known(start), _known(roll_to), delay)


@dataclass(frozen=True, slots=True)
class _NewestCodec:
    """Layout of a snapshot that is read with the key of its open request."""

    snapshots: SnapshotCodec

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.snapshots.dtype

    def write(self, slot: NDArray[Any], message: Snapshot) -> None:
        self.snapshots.write(slot, message)

    def read(self, slot: NDArray[Any]) -> tuple[Snapshot, tuple[int, int]]:
        asked = slot["request"]
        return self.snapshots.read(slot), (int(asked["epoch"]), int(asked["tick"]))


def _numbers(request: Request) -> tuple[int, ...]:
    addressed = (NEVER if number is None else number for number in (request.origin, request.start, request.roll_to))
    return (request.tick, request.epoch, *addressed, request.delay)


def _known(number: int) -> int | None:
    return None if number == NEVER else number


def _key(request: Request) -> tuple[int, int]:
    return request.epoch, request.tick


class SharedOutbox:
    """Channel of snapshots from an executor to a worker in another process.

    Images are copied only with a request, which is the only use of them: copying 2 MB would take most of a tick.

    Args:
        spec: Spec of the robot.
        horizon: H, rows of a chunk.
        n_obs: Observations per request.
        watched: Cameras of an encoder worker, which reads the mailbox `watched`.
    """

    def __init__(self, spec: RobotSpec, horizon: int, n_obs: int, watched: Sequence[Camera] = ()) -> None:
        self.watched = SharedMailbox(SnapshotCodec(spec, 0, 1, tuple(watched)))
        self._cameras = tuple(camera.name for camera in watched)
        self._shown: Snapshot | None = None  # the newest snapshot in `watched`
        self._requests = SharedMailbox(_AskedCodec(SnapshotCodec(spec, horizon, n_obs, spec.cameras)))
        self._snapshots = SharedMailbox(_NewestCodec(SnapshotCodec(spec, horizon, n_obs)))
        self._joined: tuple[object, Snapshot] | None = None
        self._asked: Request | None = None  # the newest request
        self.unanswered: deque[Request] = deque()

    def put(self, message: Snapshot) -> None:
        """Publishes a snapshot, with its request and images if they are new. Executor only. Phase: hot."""
        request = message.request
        if request is not None and request is not self._asked:
            if self._asked is not None and _key(self._asked) == _key(request):
                self.unanswered.remove(self._asked)  # the request of the warm-up, made again at the first tick
            self._asked = request
            self.unanswered.append(request)
            self._requests.put(request)
        self._snapshots.put(message)
        if self._cameras and news(message, self._shown, self._cameras):
            none = message.sent[:0]
            self._shown = replace(
                message, observations=message.observations[-1:], sent=none, planned=none, request=None
            )
            self.watched.put(self._shown)

    def peek(self) -> Snapshot | None:
        """Returns the newest snapshot with its request; None before the first. Worker only. Phase: hot.

        If the request in its mailbox is another one than the snapshot names, the snapshot returned before is returned
        again: the executor is between its two puts, or was killed there.
        """
        newest = self._snapshots.peek()
        if newest is not None and (self._joined is None or self._joined[0] is not newest):
            snapshot, key = newest
            asked = None if key[1] == NEVER else self._requests.peek()
            if asked is None or _key(asked) == key:
                self._joined = newest, snapshot if asked is None else snapshot.with_request(asked)
        return None if self._joined is None else self._joined[1]


@dataclass(frozen=True, slots=True)
class _AnswerCodec:
    """Layout of a failure, or of a result without its request, which the reader has kept."""

    action_dim: int
    state_dim: int
    horizon: int
    features: int

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype([
            ("failure", f"S{MOST_TEXT}"),
            ("epoch", "i8"),
            ("tick", "i8"),
            ("rows", "f8", (self.horizon, self.action_dim)),
            ("n_rows", "i8"),
            ("state_tick", "i8"),
            ("anchor", "f8", (self.state_dim,)),
            ("cost", "f8"),
            *((name, "i8") for name in _MADE),
            ("policy_features", "f8", (self.features,)),
            ("stages", "i8", (len(StageTimes._fields),)),
        ])  # fmt: skip

    def write(self, slot: NDArray[Any], message: Result | Failure) -> None:
        if isinstance(message, Failure):
            slot["failure"] = encoded(message.message or SILENT)
            return
        slot["epoch"], slot["tick"] = _key(message.request)
        slot["rows"][: len(message.rows)], slot["n_rows"] = message.rows, len(message.rows)
        slot["state_tick"] = message.state_tick
        for name in _MADE:
            slot[name] = getattr(message, name)
        slot["anchor"], slot["cost"] = message.anchor, message.cost
        slot["policy_features"], slot["stages"] = message.policy_features, message.stages

    def read(self, slot: NDArray[Any]) -> tuple[tuple[int, int], Callable[[Request], Result]] | Failure:
        slot.flags.writeable = False
        if failure := slot["failure"].item():
            return Failure(failure.decode())
        rows: FloatArray = slot["rows"][: int(slot["n_rows"])]
        cost = float(slot["cost"])
        calls, steps, made = (int(slot[name]) for name in _MADE)
        stages = StageTimes(*slot["stages"].tolist())
        fields = (
            rows,
            int(slot["state_tick"]),
            slot["anchor"],
            cost,
            calls,
            steps,
            made,
            slot["policy_features"],
            stages,
        )
        return (int(slot["epoch"]), int(slot["tick"])), lambda request: Result(request, *fields)


class SharedInbox:
    """Channel of results from a worker to an executor in another process.

    Args:
        spec: Spec of the robot.
        horizon: H, rows of a chunk.
        outbox: The executor's outbox, which keeps the requests that are not answered yet.
        features: Z, number of policy features in a result.
    """

    def __init__(self, spec: RobotSpec, horizon: int, outbox: SharedOutbox, features: int = 0) -> None:
        self._answers = SharedMailbox(_AnswerCodec(len(spec.action), len(spec.state), horizon, features))
        self._outbox = outbox
        self._joined: tuple[object, Result | Failure | None] = (None, None)

    def put(self, message: Result | Failure) -> None:
        """Publishes a result or a failure. Worker only."""
        self._answers.put(message)

    def peek(self) -> Result | Failure | None:
        """Returns the newest result with its request, or the failure; None if there is none. Executor only.

        A result whose request is no longer kept gives None. Phase: hot.
        """
        answer = self._answers.peek()
        if answer is not None and answer is not self._joined[0]:
            self._joined = answer, answer if isinstance(answer, Failure) else self._join(*answer)
        return self._joined[1]

    def _join(self, key: tuple[int, int], result: Callable[[Request], Result]) -> Result | None:
        unanswered = self._outbox.unanswered
        while unanswered and _key(unanswered[0]) != key:
            unanswered.popleft()  # a request of an earlier epoch, which the worker missed or left out
        return result(unanswered[0]) if unanswered else None


@dataclass(frozen=True, slots=True)
class ImageLatentCodec:
    """Layout of latent image features, or of a failure. `latent`: Z, the number of features."""

    latent: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Structured type of one message."""
        return np.dtype([("failure", f"S{MOST_TEXT}"), ("tick", "i8"), ("epoch", "i8"), ("values", "f8", self.latent)])

    def write(self, slot: NDArray[Any], message: ImageLatent | Failure) -> None:
        """Writes latent features or a failure into `slot`. Phase: hot, in the encoder worker."""
        if isinstance(message, Failure):
            slot["failure"] = encoded(message.message or SILENT)
        else:
            slot["tick"], slot["epoch"], slot["values"] = message.tick, message.epoch, message.values

    def read(self, slot: NDArray[Any]) -> ImageLatent | Failure:
        """Reads the latent features or the failure in `slot`. Phase: hot."""
        slot.flags.writeable = False
        if failure := slot["failure"].item():
            return Failure(failure.decode())
        return ImageLatent(int(slot["tick"]), int(slot["epoch"]), slot["values"])


@dataclass(frozen=True, slots=True)
class CommandsCodec:
    """Layout of commands to the executor."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Structured type of one message."""
        numbers = [("paused", "?"), ("estops", "i8"), ("resets", "i8"), ("latched", "?")]
        return np.dtype([*numbers, ("task", f"S{MOST_TEXT}")])

    def write(self, slot: NDArray[Any], message: Commands) -> None:
        """Writes commands into `slot`. Phase: hot."""
        *numbers, task = astuple(message)
        slot[...] = (*numbers, task.encode())

    def read(self, slot: NDArray[Any]) -> Commands:
        """Reads the commands in `slot`. Phase: hot."""
        paused, estops, resets, latched, task = slot.item()
        return Commands(paused, estops, resets, latched, task.decode())

"""How the messages lie in shared memory, and the two mailboxes between an executor and a worker in two processes.

Images go with a request; and, if there is a lookout, those of its cameras in a mailbox of their own, as often as there
are new ones.

A request holds the snapshot at which it was asked, and the worker, who looks at the newest snapshot alone, may come too
late for that one. So it lies in a mailbox of its own, and a snapshot only says which request is open. A result says
which request it answers; the executor, who made it, still has it.

Threads: as `rollahead.runtime.transport.mailbox`. Hot path: `put`, `peek`.
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

MOST_TEXT = 1000  # bytes of a task or a failure
SILENT = "it gave no reason"  # text of a failure without one
_MADE = ("calls", "steps", "made")  # of a result
_REQUEST = [("tick", "i8"), ("epoch", "i8"), ("origin", "i8"), ("start", "i8"), ("roll_to", "i8"), ("delay", "i8")]


def check_task(task: str) -> str:
    """Returns `task`, if it fits into a message. Raises: ConfigError, if it is too long, or has NUL or a surrogate."""
    if bad := next((each for each in task if each == "\0" or "\ud800" <= each <= "\udfff"), None):
        raise ConfigError(f"the task text has {bad!r}, which no text in UTF-8 can have; give it without")
    if len(task.encode()) > MOST_TEXT:
        raise ConfigError(f"the task text has {len(task.encode())} bytes; give at most {MOST_TEXT}")
    return task


def encoded(text: str) -> bytes:
    """Encodes `text` as UTF-8, cut after the last character that fits into `MOST_TEXT` bytes. Surrogates, and NUL, with
    which numpy pads, become escapes. Never raises. Phase: hot."""
    raw = text.replace("\0", "\\x00").encode(errors="backslashreplace")
    return raw if len(raw) <= MOST_TEXT else raw[:MOST_TEXT].decode(errors="ignore").encode()


@dataclass(frozen=True, slots=True)
class SnapshotCodec:
    """Snapshots of a robot. horizon: H, the most rows planned; 2 H are kept of those sent; cameras: those whose images
    are in it. Arrays that are not full say how many rows count."""

    spec: RobotSpec
    horizon: int
    n_obs: int
    cameras: tuple[Camera, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """One snapshot, with its request's numbers."""
        cameras = [(camera.name, "u1", (camera.height, camera.width, 3)) for camera in self.cameras]
        observation: list[Any] = [
            ("tick", "i8"),
            ("state", "f8", (len(self.spec.state),)),
            ("environment", "f8", (len(self.spec.environment),)),
            ("state_age", "i8"),
            ("seen", "i8", (len(cameras),)),  # the tick of each image; NEVER if it has none yet
            ("stamps", "i8", (len(cameras),)),  # the capture stamp of each image
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
        """Phase: hot."""
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
        """Without its request. Phase: hot."""
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
    """A snapshot with the numbers of the request that was asked at it, as a request."""

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
    """A snapshot, and the key of the request that is open in it."""

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
    """Snapshots from an executor to a worker in another process. Images go only with a request, which is all that they
    are for: 2 MB a tick would be most of its work. watched: the cameras of a lookout, who reads the mailbox of that
    name."""

    def __init__(self, spec: RobotSpec, horizon: int, n_obs: int, watched: Sequence[Camera] = ()) -> None:
        self.watched = SharedMailbox(SnapshotCodec(spec, 0, 1, tuple(watched)))
        self._cameras = tuple(camera.name for camera in watched)
        self._shown: Snapshot | None = None  # in there
        self._requests = SharedMailbox(_AskedCodec(SnapshotCodec(spec, horizon, n_obs, spec.cameras)))
        self._snapshots = SharedMailbox(_NewestCodec(SnapshotCodec(spec, horizon, n_obs)))
        self._joined: tuple[object, Snapshot] | None = None
        self._asked: Request | None = None  # the newest
        self.unanswered: deque[Request] = deque()

    def put(self, message: Snapshot) -> None:
        """Executor only. Phase: hot."""
        request = message.request
        if request is not None and request is not self._asked:
            if self._asked is not None and _key(self._asked) == _key(request):
                self.unanswered.remove(self._asked)  # it was for warming up
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
        """Returns the newest snapshot with its request. A snapshot whose request was already replaced by a newer one is
        left out, and the one returned before is returned again: the executor is between its two puts, or was killed
        there. Worker only. Phase: hot."""
        newest = self._snapshots.peek()
        if newest is not None and (self._joined is None or self._joined[0] is not newest):
            snapshot, key = newest
            asked = None if key[1] == NEVER else self._requests.peek()
            if asked is None or _key(asked) == key:
                self._joined = newest, snapshot if asked is None else snapshot.with_request(asked)
        return None if self._joined is None else self._joined[1]


@dataclass(frozen=True, slots=True)
class _AnswerCodec:
    """A result without its request, which the reader has, or a failure."""

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
    """Results from a worker to an executor in another process, who has kept its requests in `outbox`. features: Z, the
    policy features in each."""

    def __init__(self, spec: RobotSpec, horizon: int, outbox: SharedOutbox, features: int = 0) -> None:
        self._answers = SharedMailbox(_AnswerCodec(len(spec.action), len(spec.state), horizon, features))
        self._outbox = outbox
        self._joined: tuple[object, Result | Failure | None] = (None, None)

    def put(self, message: Result | Failure) -> None:
        """Worker only."""
        self._answers.put(message)

    def peek(self) -> Result | Failure | None:
        """Executor only. Phase: hot."""
        answer = self._answers.peek()
        if answer is not None and answer is not self._joined[0]:
            self._joined = answer, answer if isinstance(answer, Failure) else self._join(*answer)
        return self._joined[1]

    def _join(self, key: tuple[int, int], result: Callable[[Request], Result]) -> Result | None:
        unanswered = self._outbox.unanswered
        while unanswered and _key(unanswered[0]) != key:
            unanswered.popleft()  # of an epoch that is over: the worker never saw it, or was told to leave it
        return result(unanswered[0]) if unanswered else None


@dataclass(frozen=True, slots=True)
class ImageLatentCodec:
    """What images came to, as `latent` numbers, or a failure."""

    latent: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """One field each."""
        return np.dtype([("failure", f"S{MOST_TEXT}"), ("tick", "i8"), ("epoch", "i8"), ("values", "f8", self.latent)])

    def write(self, slot: NDArray[Any], message: ImageLatent | Failure) -> None:
        """Phase: hot, in the lookout."""
        if isinstance(message, Failure):
            slot["failure"] = encoded(message.message or SILENT)
        else:
            slot["tick"], slot["epoch"], slot["values"] = message.tick, message.epoch, message.values

    def read(self, slot: NDArray[Any]) -> ImageLatent | Failure:
        """Phase: hot."""
        slot.flags.writeable = False
        if failure := slot["failure"].item():
            return Failure(failure.decode())
        return ImageLatent(int(slot["tick"]), int(slot["epoch"]), slot["values"])


@dataclass(frozen=True, slots=True)
class CommandsCodec:
    """Commands, as numbers and a text."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """One field each."""
        numbers = [("paused", "?"), ("estops", "i8"), ("resets", "i8"), ("latched", "?")]
        return np.dtype([*numbers, ("task", f"S{MOST_TEXT}")])

    def write(self, slot: NDArray[Any], message: Commands) -> None:
        """Phase: hot."""
        *numbers, task = astuple(message)
        slot[...] = (*numbers, task.encode())

    def read(self, slot: NDArray[Any]) -> Commands:
        """Phase: hot."""
        paused, estops, resets, latched, task = slot.item()
        return Commands(paused, estops, resets, latched, task.decode())

"""Robots that note what is done to them, and fail when told. In a module, so that another process can make one."""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.transport.shared import Ring
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec

RATE_HZ = 50.0
SPEC = RobotSpec(
    (Dim("x", drives="x"), Dim("v", kind=Kind.VELOCITY, rate_limit=25.0)),  # v brakes by 0.5 per tick
    (Dim("x"), Dim("v")),
    RATE_HZ,
)
FILMED = replace(SPEC, cameras=(Camera("top", 4, 6), Camera("wrist", 2, 2)))
BRIGHT = 0.4  # what its cameras see, from 0 to 1
DAWDLE_S = 0.6
CONNECT, WRITE, STOP, DISCONNECT, READ = range(5)


@dataclass(frozen=True)
class Fault:
    """In call number `at` of `part`, and in all later ones, the robot does `how`: raise, hang, dawdle, repeat, nan,
    kill, exit (the program); in that one alone: hiccup, which is to dawdle once; in every seventh from there: packet,
    which is to raise."""

    part: str
    at: int
    how: str


class Notes:
    """What was done to a robot, in order."""

    def __init__(self) -> None:
        self.ring = Ring([("what", "i8"), ("x", "f8"), ("v", "f8"), ("at_ns", "i8")], 5000, shared=True)

    @property
    def all(self) -> Any:
        """Everything but the reads."""
        newest = self.ring.newest()
        return newest[newest["what"] != READ]

    @property
    def sent(self) -> list[list[float]]:
        """The setpoints."""
        return [[float(note["x"]), float(note["v"])] for note in self.ring.newest() if note["what"] == WRITE]

    def count(self, what: int) -> int:
        """How often it was done."""
        return int((self.ring.newest()["what"] == what).sum())

    @property
    def order(self) -> list[int]:
        """What was done, repetitions left out."""
        kinds = self.all["what"].tolist()
        return [kind for i, kind in enumerate(kinds) if i == 0 or kinds[i - 1] != kind]


class NotedRobot(NullRobot):
    """Its state is the last setpoint, unless `fault` says otherwise."""

    def __init__(self, notes: Ring, fault: Fault | None = None, spec: RobotSpec = SPEC) -> None:
        super().__init__(spec)
        self._notes = notes
        self._fault = fault
        self._calls = dict.fromkeys(("connect", "read", "write", "stop", "disconnect"), 0)

    def _note(self, what: int, setpoint: FloatArray | None = None) -> None:
        import time

        x, v = (0.0, 0.0) if setpoint is None else setpoint[:2].tolist()
        self._notes.append((what, x, v, time.monotonic_ns()))

    def _meet(self, part: str) -> str:
        fault, call = self._fault, self._calls[part]
        self._calls[part] += 1
        if fault is None or fault.part != part or call < fault.at:
            return ""
        if fault.how == "raise" or (fault.how == "packet" and call % 7 == 0):
            raise OSError(f"no answer to {part}")
        if fault.how in ("hang", "dawdle") or (fault.how == "hiccup" and call == fault.at):
            threading.Event().wait(None if fault.how == "hang" else DAWDLE_S)
        if fault.how == "exit":
            sys.exit(f"no licence for {part}")
        if fault.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return fault.how

    def connect(self) -> None:
        """Notes it."""
        self._meet("connect")
        self._note(CONNECT)

    def read(self) -> Reading:
        """The last setpoint, or the first that was read, or NaN."""
        how = self._meet("read")
        self._note(READ)
        if how == "nan":
            return Reading(frozen([np.nan, 0.0]))
        if how == "repeat":
            return Reading(frozen([0.0, 0.0]))
        return super().read()

    def write(self, setpoint: FloatArray) -> None:
        """Notes it, once it is through."""
        self._meet("write")
        super().write(setpoint)
        self._note(WRITE, setpoint)

    def stop(self) -> None:
        """Notes it."""
        self._meet("stop")
        super().stop()
        self._note(STOP)

    def disconnect(self) -> None:
        """Notes it."""
        self._meet("disconnect")
        self._note(DISCONNECT)


class FilmedRobot(NotedRobot):
    """It has cameras, and a new image from each in every tick."""

    def __init__(self, notes: Ring) -> None:
        super().__init__(notes, spec=FILMED)

    def frames(self) -> Mapping[str, Frame]:
        """All `BRIGHT`."""
        level = round(BRIGHT * 255)
        images = {camera.name: np.full((camera.height, camera.width, 3), level, np.uint8) for camera in FILMED.cameras}
        return {name: Frame(image, time.monotonic_ns()) for name, image in images.items()}


class FrozenRobot(FilmedRobot):
    """Its first camera gives no new image from read number `at` on."""

    def __init__(self, notes: Ring, at: int) -> None:
        super().__init__(notes)
        self._at = at

    def frames(self) -> Mapping[str, Frame]:
        """The first camera's image is as old as it is."""
        frames = super().frames()
        reads = min(self._calls["read"], self._at)
        return {**frames, "top": Frame(frames["top"].image, reads, max(self._calls["read"] - self._at, 0))}


class ShuffledRobot(NotedRobot):
    """In any process but the one that it was first made in, it names its dimensions the other way round, as a driver
    does that lists them from a set."""

    def __init__(self, notes: Ring, at_home: int) -> None:
        here = os.getpid() == at_home
        spec = SPEC if here else replace(SPEC, action=SPEC.action[::-1], state=SPEC.state[::-1])
        super().__init__(notes, spec=spec)


class OddRobot(FilmedRobot):
    """Its first camera gives images of float."""

    def frames(self) -> Mapping[str, Frame]:
        """From 0 to 1, as some drivers do."""
        top: Any = np.full((4, 6, 3), BRIGHT, np.float32)
        return {**super().frames(), "top": Frame(top, 0)}

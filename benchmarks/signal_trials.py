"""Trials with signals at random moments: is the robot brought to rest, stopped, disconnected, and the user informed?

    trial(isolation, signals, delays, seed)    runs a program that drives a robot, and judges the outcome
    drawn(seed)                                draws the arguments of a trial

A trial is a process of its own and gets real signals. Its robot writes each call to a file with a single system call,
so that no note is lost however the program ends.

Run as a module it is that program: python -m benchmarks.signal_trials <isolation> <file>
"""

import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rollahead.errors import ControlError
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

ROOT = Path(__file__).parents[1]
CLOSE = "CLOSE"  # in place of a signal's name: closes the terminal, which sends SIGHUP
NAMES = ("INT", "TERM", "HUP")
RATE_HZ, H, TICKS = 50.0, 16, 25
RATE_LIMIT = 25.0
BRAKING = RATE_LIMIT / RATE_HZ  # largest change of the velocity in a tick
SPEC = RobotSpec(
    (Dim("x", drives="x"), Dim("v", kind=Kind.VELOCITY, rate_limit=RATE_LIMIT)), (Dim("x"), Dim("v")), RATE_HZ
)
LASTS_S = {"thread": 0.9, "process": 2.0}  # duration of the program from just before the `with`, roughly
AFTER_S = 0.1  # time for which the program goes on after the `with`
PATIENCE_S = 60.0  # for the program to begin, and to end
NOTICED_NS = 5_000_000  # a signal sent so long before the end of the `with` must raise KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        told: Whether the user was informed of the signal.
        notes: The notes of robot and program, in order.
        status: Exit status of the program, negative if a signal killed it.
    """

    at_rest: bool
    stopped: bool
    disconnected: bool
    told: bool
    notes: tuple[str, ...]
    status: int

    @property
    def safe(self) -> bool:
        """Whether the robot was brought to rest, stopped and disconnected, and the user informed."""
        return self.at_rest and self.stopped and self.disconnected and self.told


def drawn(seed: int, isolation: str | None = None) -> tuple[str, tuple[str, ...], tuple[float, ...], int]:
    """Draws the arguments of a trial: one or two signals, the second 0 to 300 us, or up to 0.3 s, after the first."""
    rng = random.Random(seed)
    isolation = isolation or rng.choice(("thread", "process"))
    signals = tuple(rng.choice((*NAMES, CLOSE) if i == 0 else NAMES) for i in range(rng.choice((1, 2, 2))))
    apart = rng.uniform(0.0, rng.choice((300e-6, 300e-6, 0.3)))
    return isolation, signals, (rng.uniform(0.0, LASTS_S[isolation]), apart)[: len(signals)], seed


def trial(isolation: str, signals: Sequence[str], delays: Sequence[float], seed: int) -> Outcome:
    """Starts a program that drives a robot, sends it signals, and judges the outcome.

    Args:
        isolation: Isolation of the executor.
        signals: `INT`, `TERM`, `HUP`, or `CLOSE` for its terminal.
        delays: In s: of the first signal after the program is ready to enter the `with`, of others after the one
            before.
        seed: Decides whether signals go to the program alone or to its whole process group.
    """
    whole_group = random.Random(seed).random() < 0.5
    with TemporaryDirectory() as folder:
        path = Path(folder) / "notes"
        path.touch()
        ours, theirs = pty.openpty()
        try:
            program = _begun(isolation, path, theirs)
            sent_ns = _send(program, ours, signals, delays, whole_group=whole_group)
            status = program.wait(PATIENCE_S)
            _settled(path)
        finally:
            with suppress(OSError):
                os.close(ours)
        return judged(path.read_text().splitlines(), status, sent_ns)


def _begun(isolation: str, path: Path, terminal: int) -> "subprocess.Popen[bytes]":
    """Starts the program and returns it when it is about to drive its robot.

    `terminal`: its terminal, which is closed here.
    """
    known = filter(None, [os.environ.get("PYTHONPATH")])
    program = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.signal_trials", isolation, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *known])},
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(terminal)
    until_s = time.monotonic() + PATIENCE_S
    while "begin" not in path.read_text():
        if program.poll() is not None or time.monotonic() > until_s:
            program.kill()
            raise RuntimeError(f"the program did not begin (exit status {program.wait()})")
        time.sleep(0.001)
    return program


def _send(
    program: "subprocess.Popen[bytes]",
    terminal: int,
    signals: Sequence[str],
    delays: Sequence[float],
    *,
    whole_group: bool,
) -> int:
    """Sends the signals. Returns the time of the first one in ns."""
    due_ns, first_ns = time.monotonic_ns(), 0
    kill = os.killpg if whole_group else os.kill
    for name, delay_s in zip(signals, delays, strict=True):
        due_ns += int(delay_s * 1e9)
        while (left_ns := due_ns - time.monotonic_ns()) > 0:
            time.sleep(max(left_ns - 200_000, 0) * 1e-9)  # the last 0.2 ms are spent spinning
        first_ns = first_ns or time.monotonic_ns()
        if name == CLOSE:
            os.close(terminal)
        else:
            with suppress(ProcessLookupError):
                kill(program.pid, signal.Signals[f"SIG{name}"])
    return first_ns


def _settled(path: Path) -> None:
    """Waits until no more notes are written, also by an executor that outlives the program."""
    size = -1
    while size != (size := path.stat().st_size):
        time.sleep(0.1)


def judged(notes: Sequence[str], status: int, sent_ns: int) -> Outcome:
    """Judges a trial by its `notes`, lines that begin with a time in ns.

    `status`: exit status of the program; `sent_ns`: time of the first signal.
    """
    done = [note.split(maxsplit=1)[1] for note in notes]
    kinds = [what.split()[0] for what in done]
    speeds = [float(what.split()[2]) for what in done if what.startswith("write")]
    connected, writes_end = kinds.count("connect"), len(kinds) - kinds[::-1].index("write") if "write" in kinds else 0
    steps = np.abs(np.diff([0.0, *speeds]))
    ended = [int(note.split()[0]) for note, kind in zip(notes, kinds, strict=True) if kind == "ended"]
    return Outcome(
        at_rest=not speeds or (speeds[-1] == 0.0 and bool((steps <= BRAKING + 1e-9).all())),
        stopped=kinds.count("stop") == connected and "stop" not in kinds[:writes_end],
        disconnected=kinds.count("disconnect") == connected and "disconnect" not in kinds[:writes_end],
        told=status < 0 or "interrupted" in kinds or bool(ended and ended[0] < sent_ns + NOTICED_NS),
        notes=tuple(done),
        status=status,
    )


# ---- the program ----------------------------------------------------------------------------------------------------


class NotingRobot(NullRobot):
    """A robot that notes each call in the file at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(SPEC)
        self._path = path

    def connect(self) -> None:
        """Notes it."""
        note(self._path, "connect")

    def write(self, setpoint: FloatArray) -> None:
        """Notes the setpoint."""
        super().write(setpoint)
        note(self._path, f"write {setpoint[0]} {setpoint[1]}")

    def stop(self) -> None:
        """Notes it."""
        note(self._path, "stop")

    def disconnect(self) -> None:
        """Notes it."""
        note(self._path, "disconnect")


def note(path: str, words: str) -> None:
    """Appends a line with the time to the file at `path`, in one system call."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(file, f"{time.monotonic_ns()} {words}\n".encode())
    os.close(file)


def moving(seen: Observation, rng: np.random.Generator) -> FloatArray:
    """Rows that move both dimensions."""
    return np.stack([seen.state[0] + 0.02 * np.arange(H), np.full(H, 1.0)], axis=1)


def main(isolation: str, path: str) -> None:
    """Drives the robot for half a second."""
    with suppress(OSError):
        os.close(os.open(os.ttyname(0), os.O_RDWR))  # makes it the controlling terminal of this session leader
    runtime = Realtime(
        Drive(StrategyConfig("vlash", s=4, d=2), H),
        partial(NotingRobot, path),
        ScriptedPlanner(moving),
        isolation=isolation,
    )
    note(path, "begin")
    try:
        with runtime:
            runtime.start(TICKS)
            runtime.wait()
        note(path, "ended")
    except KeyboardInterrupt:
        note(path, "interrupted")
    except ControlError as error:
        note(path, f"failed {error}")
    time.sleep(AFTER_S)


if __name__ == "__main__":
    main(*sys.argv[1:])

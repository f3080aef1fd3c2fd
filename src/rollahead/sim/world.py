"""A simulated world in real time: a task that moves on by the clock, in its own process, and its robot.

    with World({"name": "mole"}) as world:
        world.reset(seed)
        with Realtime(drive, world.make_robot, planner) as runtime: ...

The world does not wait, as a real robot does not: it moves once per period under the newest setpoint, even if no new
one has come. Its clock begins with the first setpoint after a reset. It moves in the middle between two of the
executor's ticks, so that either may be late by half a period and the episode is still the one that lockstep plays.

The cameras of a task run on their own, like real ones: after a move the world renders, if the next move is not due yet.
A rendering that takes longer delays the next moves; the world catches up with them before it renders again.

    move  render  .  move  render  .        fast rendering: an image of every move, ready before the next tick
    move  render render move move  .  move  render     slow rendering: images of some moves; their age says which

Threads: `_live` runs in the process; `SimulatedRobot` belongs to the executor; everything else to the caller.
"""

import multiprocessing
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rollahead.errors import RobotError
from rollahead.runtime.robots.spec_limits import Limits, limited
from rollahead.runtime.system.clock import Grid, MonotonicClock
from rollahead.runtime.system.tuning import Tuning, tuned_thread
from rollahead.runtime.transport.shared import Fields, SharedMailbox
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import RobotSpec
from rollahead.sim.task import Task, begin, make_task

PHASE = 1 / 2  # part of a period from the time at which a setpoint is due to the move of the world
PATIENCE_S = 30.0  # time for the process to start, which imports a simulator
LEAVING_S = 3.0  # time for the process to end by itself, before it is killed
GONE = "the simulated world's process is gone; see what it printed, and make another"
LOOK_S = 0.1  # interval at which a world that stands still looks for commands

Setpoints = SharedMailbox[tuple[Any, ...], Any]
Scenes = SharedMailbox[tuple[Any, ...], Any]
Images = SharedMailbox[tuple[Any, ...], Any]


@dataclass(frozen=True, slots=True)
class Links:
    """The mailboxes between a world and its robot.

    Attributes:
        setpoints: Setpoints, to the world.
        scenes: State and environment, from the world.
        images: Images, from the world; None for a robot without cameras.
        wake: Event that wakes a world that stands still.
    """

    setpoints: Setpoints
    scenes: Scenes
    images: Images | None
    wake: WakeEvent


class World:
    """The process in which a task runs in real time, and the state of its episode.

    Args:
        config: `name` and options of the task.
        limits: Limits on how fast the robot's actions may change, see `spec_limits`.
    """

    def __init__(self, config: Mapping[str, Any], limits: Limits | None = None) -> None:
        self._config = dict(config)
        self.task: Task = make_task(**config)  # for its expert and its model; the episodes are played in the process
        self.spec = spec = limited(self.task.spec, limits or {})
        setpoints: Setpoints = SharedMailbox(
            Fields([("stopped", "?"), ("action", "f8", (len(spec.action),)), ("episode", "i8"), ("sent_ns", "i8")])
        )
        scene: list[Any] = [("state", "f8", (len(spec.state),)), ("environment", "f8", (len(spec.environment),))]
        scene += [
            ("seen_ns", "i8"),
            ("episode", "i8"),
            ("ticks", "i8"),
            ("done", "?"),
            ("success", "?"),
            ("stopped", "?"),
        ]
        pixels = [(camera.name, "u1", (camera.height, camera.width, 3)) for camera in spec.cameras]
        images: Images | None = SharedMailbox(Fields([("seen_ns", "i8"), ("pixels", pixels)])) if pixels else None
        self._links = Links(setpoints, SharedMailbox(Fields(scene)), images, WakeEvent())
        self._episode = 0

    def __enter__(self) -> "World":
        self._control, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_live, args=(self._config, self._links, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process, and kills it if it hangs or is stopped (SIGSTOP).

        Otherwise the program would wait for it forever when it exits.
        """
        self._control.close()
        self._links.wake.ring()
        try:
            self._process.join(LEAVING_S)
        finally:
            self._process.kill()
            self._process.join()

    @property
    def make_robot(self) -> "partial[SimulatedRobot]":
        """A function that makes the robot of the episode that was reset last; it can be sent to another process."""
        return partial(SimulatedRobot, self.spec, self._links, self._episode)

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Begins an episode; the world stands still until the robot is sent a setpoint.

        Raises: RobotError, if the process died, or does not answer.
        """
        self._episode += 1
        try:
            self._control.send((self._episode, seed, event))
            self._links.wake.ring()
            if not self._control.poll(PATIENCE_S):
                raise RobotError(f"the simulated world did not answer within {PATIENCE_S:g} s{_why(self.process)}")
            self._control.recv()
        except (EOFError, OSError) as error:
            raise RobotError(GONE) from error
        begin(self.task, seed, event=event)

    @property
    def done(self) -> bool:
        """Whether the episode has ended."""
        return bool(self._scene["done"])

    @property
    def process(self) -> int:
        """The id of the world's process."""
        assert self._process.pid is not None, "it was entered"
        return self._process.pid

    @property
    def stopped(self) -> bool:
        """Whether the world stands still because its robot was stopped."""
        return bool(self._scene["stopped"])

    @property
    def success(self) -> bool:
        """Whether the episode has succeeded so far."""
        return bool(self._scene["success"])

    @property
    def ticks(self) -> int:
        """The number of ticks that the episode has been simulated."""
        return int(self._scene["ticks"])

    @property
    def _scene(self) -> Any:
        if not self._process.is_alive():
            raise RobotError(GONE)
        scene = self._links.scenes.reader().peek()
        assert scene is not None, "reset comes first"
        return scene


class SimulatedRobot:
    """The robot of a `World`, driven by the executor."""

    def __init__(self, spec: RobotSpec, links: Links, episode: int) -> None:
        self.spec = spec
        self._setpoints = links.setpoints.reader()
        self._scenes = links.scenes.reader()
        self._images = None if links.images is None else links.images.reader()
        self._wake = links.wake
        self._episode = episode
        self._clock = MonotonicClock()
        self._moving = False
        self._began_ns = 0  # time of the setpoint that set the world in motion
        self._last: FloatArray = frozen([0.0] * len(spec.action))

    def connect(self) -> None:
        """Checks that there is an episode. Raises: RobotError, if the world was not reset."""
        if self._scenes.peek() is None:
            raise RobotError("the simulated world stands in no episode; reset it first")

    def read(self) -> Reading:
        """The newest state and environment. Phase: hot."""
        scene: Any = self._scenes.peek()
        return Reading(scene["state"], scene["environment"], self._age(scene))

    def frames(self) -> Mapping[str, Frame]:
        """The images that the world rendered last, with the age of the scene that they show. Phase: hot."""
        shown: Any = None if self._images is None else self._images.peek()
        if shown is None:
            return {}
        stamp, age, pixels = int(shown["seen_ns"]), self._age(shown), shown["pixels"]
        return {name: Frame(pixels[name], stamp, age) for name in pixels.dtype.names}

    def _age(self, shown: Any) -> int:
        """Age in ticks of the record `shown`; 0 in a world that stands still."""
        age_ns = self._clock.now_ns() - max(int(shown["seen_ns"]), self._began_ns) if self._moving else 0
        return int(age_ns * 1e-9 * self.spec.rate_hz)

    def write(self, setpoint: FloatArray) -> None:
        """Sends `setpoint` (A,) to the world, and wakes it if it stands still. Phase: hot."""
        self._last = setpoint
        self._setpoints.put((False, setpoint, self._episode, now_ns := self._clock.now_ns()))
        if not self._moving:
            self._moving, self._began_ns = True, now_ns
            self._wake.ring()

    def stop(self) -> None:
        """Makes the world stand still until the next setpoint."""
        self._moving = False
        self._setpoints.put((True, self._last, self._episode, self._clock.now_ns()))

    def disconnect(self) -> None:
        """Does nothing: the process belongs to the `World`."""


def _why(process: int) -> str:
    """Explanation, for an error message, that the process with that id is stopped; empty if it is not."""
    stopped = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return f": its process is stopped (SIGSTOP); let it go on with kill -CONT {process}" if stopped else ""


def _live(config: dict[str, Any], links: Links, control: Connection) -> None:
    """Main function of the process: plays one episode after the other until the pipe is closed.

    It ignores an interrupt from the terminal, which the process that made the world handles.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = make_task(**config)
    while True:
        try:
            episode, seed, event = control.recv()
        except EOFError:
            return
        begin(task, seed, event=event)
        _show(task, links, episode, 0, now_ns := MonotonicClock().now_ns())
        _film(task, links, now_ns)
        control.send(task.max_ticks)
        with tuned_thread(Tuning(fifo=None)):
            _play(task, links, control, episode)


def _play(task: Task, links: Links, control: Connection, episode: int) -> None:
    """Plays one episode to its end, or until the next command from `control`."""
    clock, setpoints, wake = MonotonicClock(), links.setpoints, links.wake
    while (first := setpoints.peek()) is None or first["episode"] != episode:
        wake.wait(LOOK_S)
        if control.poll():
            return
    grid, begun, ticks = Grid(int(first["sent_ns"]), task.spec.rate_hz), 0, 0
    while not (task.done or control.poll()):
        clock.sleep_until_ns(grid.due_ns(ticks - begun + PHASE))
        newest: Any = setpoints.peek()
        if newest["stopped"]:
            _show(task, links, episode, ticks, now_ns := clock.now_ns(), stopped=True)
            _film(task, links, now_ns)
            newest = _stand_still(setpoints, wake, control)
            grid, begun = Grid(int(newest["sent_ns"]), task.spec.rate_hz), ticks
            continue
        task.advance(newest["action"])
        ticks += 1
        _show(task, links, episode, ticks, now_ns := clock.now_ns())
        if now_ns < grid.due_ns(ticks - begun + PHASE):
            _film(task, links, now_ns)


def _stand_still(setpoints: Setpoints, wake: WakeEvent, control: Connection) -> Any:
    """Waits for the next setpoint, or for a command from `control`, and returns the newest setpoint."""
    while True:
        newest: Any = setpoints.peek()
        if not newest["stopped"] or control.poll():
            return newest
        wake.wait(LOOK_S)


def _show(task: Task, links: Links, episode: int, ticks: int, now_ns: int, *, stopped: bool = False) -> None:
    links.scenes.put((task.state(), task.environment(), now_ns, episode, ticks, task.done, task.success, stopped))


def _film(task: Task, links: Links, now_ns: int) -> None:
    """Renders the scene with `now_ns` for the time of its state, if the robot has cameras."""
    if links.images is not None:
        images = task.frames()
        links.images.put((now_ns, tuple(images[camera.name] for camera in task.spec.cameras)))

"""A simulated world in real time: a task that goes on by the clock, in a process of its own, and its robot.

    with World({"name": "mole"}) as world:
        world.reset(seed)
        with Realtime(drive, world.make_robot, planner) as runtime: ...

As with a real robot, nothing waits for anybody: the world moves on every period under the newest setpoint, be it there
or not. Its clock begins with the first setpoint after a reset, and it moves in the middle between the executor's ticks:
either may be late by half a period, and what is played is still what lockstep plays.

A task's cameras run on their own, as real ones do: after a move the world renders, if the next move is not due yet. A
rendering that takes longer than that delays the next moves; the world makes them up before it renders again.

    move  render  .  move  render  .        cheap: an image of every move, there before the next tick
    move  render render move move  .  move  render     dear: an image of some moves, and its age says of which

Threads: `_live` is the process; `SimulatedRobot` is the executor's; the rest is whose who made the world.
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

PHASE = 1 / 2  # of a period after a setpoint was due, the world moves on
PATIENCE_S = 30.0  # for the process to begin, which imports a simulator
LEAVING_S = 3.0  # for the process to end by itself, before it is killed
GONE = "the simulated world's process is gone; see what it printed, and make another"
LOOK_S = 0.1  # how often a world that stands still looks for orders

Setpoints = SharedMailbox[tuple[Any, ...], Any]
Scenes = SharedMailbox[tuple[Any, ...], Any]
Images = SharedMailbox[tuple[Any, ...], Any]


@dataclass(frozen=True, slots=True)
class Links:
    """The mailboxes between a world and its robot: setpoints to the world, the scene and the images from it; `wake`
    ends the rest of a world that stands still. images: None for a robot without cameras."""

    setpoints: Setpoints
    scenes: Scenes
    images: Images | None
    wake: WakeEvent


class World:
    """The process of the task `config`, and what is to be known of it. limits: on how its actions may change."""

    def __init__(self, config: Mapping[str, Any], limits: Limits | None = None) -> None:
        self._config = dict(config)
        self.task: Task = make_task(**config)  # for its expert and its model; nothing is played here
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
        """Ends the process, and kills it if it hangs or is stopped (SIGSTOP): else the exit of the program would wait
        for it for ever."""
        self._control.close()
        self._links.wake.ring()
        try:
            self._process.join(LEAVING_S)
        finally:
            self._process.kill()
            self._process.join()

    @property
    def make_robot(self) -> "partial[SimulatedRobot]":
        """Makes the robot of the episode that was reset last, also in another process."""
        return partial(SimulatedRobot, self.spec, self._links, self._episode)

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Begins an episode; it stands still until the robot is sent something. Raises: RobotError, if the process
        died, or does not answer."""
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
        """The id of its process."""
        assert self._process.pid is not None, "it was entered"
        return self._process.pid

    @property
    def stopped(self) -> bool:
        """Whether it stands still because its robot was stopped."""
        return bool(self._scene["stopped"])

    @property
    def success(self) -> bool:
        """Whether it has succeeded."""
        return bool(self._scene["success"])

    @property
    def ticks(self) -> int:
        """How many periods it has gone on."""
        return int(self._scene["ticks"])

    @property
    def _scene(self) -> Any:
        if not self._process.is_alive():
            raise RobotError(GONE)
        scene = self._links.scenes.reader().peek()
        assert scene is not None, "reset comes first"
        return scene


class SimulatedRobot:
    """The robot of a `World`, as the executor drives it."""

    def __init__(self, spec: RobotSpec, links: Links, episode: int) -> None:
        self.spec = spec
        self._setpoints = links.setpoints.reader()
        self._scenes = links.scenes.reader()
        self._images = None if links.images is None else links.images.reader()
        self._wake = links.wake
        self._episode = episode
        self._clock = MonotonicClock()
        self._moving = False
        self._began_ns = 0  # when the world, which stood still, was told to go on
        self._last: FloatArray = frozen([0.0] * len(spec.action))

    def connect(self) -> None:
        """Raises: RobotError, if the world was not reset."""
        if self._scenes.peek() is None:
            raise RobotError("the simulated world stands in no episode; reset it first")

    def read(self) -> Reading:
        """Phase: hot."""
        scene: Any = self._scenes.peek()
        return Reading(scene["state"], scene["environment"], self._age(scene))

    def frames(self) -> Mapping[str, Frame]:
        """The images that the world rendered last, as old as the scene that they show. Phase: hot."""
        shown: Any = None if self._images is None else self._images.peek()
        if shown is None:
            return {}
        stamp, age, pixels = int(shown["seen_ns"]), self._age(shown), shown["pixels"]
        return {name: Frame(pixels[name], stamp, age) for name in pixels.dtype.names}

    def _age(self, shown: Any) -> int:
        """Ticks since what is `shown` was last so; 0 in a world that stands still."""
        age_ns = self._clock.now_ns() - max(int(shown["seen_ns"]), self._began_ns) if self._moving else 0
        return int(age_ns * 1e-9 * self.spec.rate_hz)

    def write(self, setpoint: FloatArray) -> None:
        """Phase: hot."""
        self._last = setpoint
        self._setpoints.put((False, setpoint, self._episode, now_ns := self._clock.now_ns()))
        if not self._moving:
            self._moving, self._began_ns = True, now_ns
            self._wake.ring()

    def stop(self) -> None:
        """The world stands still until something is sent again."""
        self._moving = False
        self._setpoints.put((True, self._last, self._episode, self._clock.now_ns()))

    def disconnect(self) -> None:
        """Nothing to do."""


def _why(process: int) -> str:
    """Explains, for an error message, that the process with that id is stopped; empty if it is not."""
    stopped = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return f": its process is stopped (SIGSTOP); let it go on with kill -CONT {process}" if stopped else ""


def _live(config: dict[str, Any], links: Links, control: Connection) -> None:
    """The process: plays one episode after the other until the pipe is closed. An interrupt from the terminal is the
    affair of whoever made the world."""
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
    """One episode, to its end or to the next order."""
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
    """Waits until the robot is sent something again, or there are other orders; the newest setpoint."""
    while True:
        newest: Any = setpoints.peek()
        if not newest["stopped"] or control.poll():
            return newest
        wake.wait(LOOK_S)


def _show(task: Task, links: Links, episode: int, ticks: int, now_ns: int, *, stopped: bool = False) -> None:
    links.scenes.put((task.state(), task.environment(), now_ns, episode, ticks, task.done, task.success, stopped))


def _film(task: Task, links: Links, now_ns: int) -> None:
    """Renders the scene as it has been since `now_ns`, if the robot has cameras."""
    if links.images is not None:
        images = task.frames()
        links.images.put((now_ns, tuple(images[camera.name] for camera in task.spec.cameras)))

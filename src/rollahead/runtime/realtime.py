"""The realtime driver: the core on the wall clock.

    with Realtime(drive, make_robot, planner) as runtime:    CREATED -> WARM: robot connected and read, planner warm
        runtime.start()                                      -> RUNNING: one action per tick from here on
        runtime.wait(60.0)
                                                             -> STOPPED: robot at rest, stopped, disconnected

An executor drives the robot, in a thread or in a process of its own (`isolation`); a worker thread runs the planner,
and another one the eye of a corrector that sees images (`rollahead.runtime.lookout`). They share the mailboxes of
`rollahead.runtime.messages` and nothing else. What fails in any is raised by `wait`, `stop` or at the end of the
`with`, the first failure only, and the robot has been held and stopped by then.

Threads: whoever made it calls its methods; `Worker.run`, `Lookout.run` and `Host.run` are the others. Nobody but the
executor's thread touches the robot, unless that thread hangs: then `robot.stop()` is called from here, or its process
is killed.
"""

import enum
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

from rollahead.errors import ConfigError, InferenceError, LifecycleError, RobotError, unknown_name
from rollahead.runtime.build import Drive, estimator, make_corrector, make_delay, make_strategy, seeing_head
from rollahead.runtime.clock import Clock, Grid, MonotonicClock
from rollahead.runtime.host import Ended, Go, Ready, Rested
from rollahead.runtime.inference import Inference
from rollahead.runtime.interrupts import deferred, interrupts
from rollahead.runtime.isolation import PATIENCE_S, SIDES, TRACE_S, Side
from rollahead.runtime.latency import LatencyModel
from rollahead.runtime.lookout import Eye, Lookout
from rollahead.runtime.messages import Orders
from rollahead.runtime.planner import Planner
from rollahead.runtime.robots import Robot
from rollahead.runtime.spec import RobotSpec
from rollahead.runtime.speedup import SpeedUp
from rollahead.runtime.trace import Trace
from rollahead.runtime.tuning import Tuning, tuned_process
from rollahead.runtime.wire import check_task
from rollahead.runtime.worker import Worker

WARM_UPS = 5  # inferences before the first tick
COLD = 2  # of these, the first, which are slower and do not count
LOOK_S = 0.1  # how often the state of the others is looked at; each look takes Python from the executor
THREAD_HZ = 100.0  # servo rate up to which a thread keeps its time beside a busy interpreter


class Phase(enum.Enum):
    """Where a runtime stands."""

    CREATED = "created"
    WARM = "warm"
    RUNNING = "running"
    STOPPED = "stopped"


class Realtime:
    """Drives the robot that `make_robot` makes, as `drive` says, with plans of `planner`.

    make_robot: makes a robot without touching its hardware, which `connect` does; it is called once here, for the
    spec, and once where the executor is, for which it is pickled if `isolation` is `process`. latency: makes every
    inference last as long as it says, to try a policy's latency out; eye: of a corrector that sees images, and of no
    other; connect_s: how long the robot may take to connect, and to be let go; stall_s: how much longer than two
    periods no tick may end before the executor counts as hung; trace_s: of ticks that `trace` holds, the newest.
    """

    def __init__(
        self,
        drive: Drive,
        make_robot: Callable[[], Robot],
        planner: Planner,
        *,
        isolation: str = "thread",
        latency: LatencyModel | None = None,
        eye: Eye | None = None,
        tuning: Tuning | None = None,
        connect_s: float = 30.0,
        stall_s: float = 1.0,
        trace_s: float = TRACE_S,
    ) -> None:
        if isolation not in SIDES:
            raise unknown_name("isolation", isolation, SIDES)
        check_task(drive.task)
        self.drive = drive
        self.spec: RobotSpec = make_robot().spec
        self.phase = Phase.CREATED
        self.tuned: dict[str, str] = {}
        self._planner = planner
        self._latency = latency
        self._tuning = tuning or Tuning()
        self._connect_s, self._stall_s = connect_s, stall_s + 2 * self.spec.period_s
        self._orders = Orders(task=drive.task)
        self._clock: Clock = MonotonicClock()
        self._side: Side = SIDES[isolation](drive, make_robot, self.spec, self._tuning, trace_s)
        self._ended: Ended | None = None
        self._failure: Exception | None = None
        self._launched = self._raised = self._rested = False
        self.start_ns = 0  # when tick 0 is due
        self._undo = ExitStack()
        speed_up = SpeedUp(self.spec, drive.strategy.q)
        inference = Inference(planner, speed_up, horizon=drive.horizon, action_dim=len(self.spec.action))
        links = self._side.links
        self._worker = Worker(inference, links.outbox, links.inbox, self._clock, latency, drive.seed)
        make_strategy(drive.strategy, self.spec, drive.horizon, drive.strategy.d or 0)
        make_corrector(drive.strategy, self.spec, drive.horizon, None if eye is None else links.sights)
        self._lookout = None if eye is None else self._lookout_of(eye)
        self._warn(isolation)

    @property
    def trace(self) -> Trace:
        """What happened; it may be followed while it does."""
        return self._side.links.trace

    @property
    def processes(self) -> list[int]:
        """The ids of the processes that it runs in."""
        return [os.getpid(), *self._side.processes]

    # ---- life -------------------------------------------------------------------------------------------------------

    def __enter__(self) -> "Realtime":
        """Connects the robot, reads it once, and warms the planner up. Nothing is written. Phase: warm.

        Raises: RobotError, InferenceError, if either fails; ConfigError, if the strategy cannot bear the latency
        measured.
        """
        self._expect("entered", Phase.CREATED)
        try:
            self._undo.enter_context(interrupts())
            self.tuned |= self._undo.enter_context(tuned_process(self._tuning))
            self._side.launch()
            self._launched = True
            self._undo.callback(self._side.end)
            ready = self._hear(self._connect_s)
            if ready is None:
                raise RobotError(
                    f"the robot was not connected and read within {self._connect_s:g} s; look at its power and its "
                    "cables, or give it longer (connect_s)"
                )
            if not isinstance(ready, Ready):
                raise self._failed() or RobotError("the robot's side ended before it was ready")
            self.tuned |= ready.tuned
            self._costs = self._warm()
        except BaseException:
            self._close()
            raise
        self.phase = Phase.WARM
        return self

    def start(self, ticks: int | None = None) -> None:
        """Begins to drive the robot, a period from now; ends by itself after `ticks`. Phase: setup."""
        self._expect("started", Phase.WARM)
        self.start_ns = self._clock.now_ns() + int(1e9 / self.spec.rate_hz)
        grid = Grid(self.start_ns, self.spec.rate_hz)
        bell = self._side.links.bell
        self._threads = [
            threading.Thread(target=self._worker.run, args=(bell, grid), name="rollahead worker", daemon=True)
        ]
        if self._lookout is not None:
            look, own = self._lookout.run, (self._clock, grid)
            self._threads.append(threading.Thread(target=look, args=own, name="rollahead lookout", daemon=True))
        for thread in self._threads:
            thread.start()
        with deferred():
            self._progress = (-1, time.monotonic())
            self.phase = Phase.RUNNING
            with suppress(OSError):  # the executor is gone, which is heard of next
                self._side.control.send(Go(self.start_ns, self._costs, ticks))

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until the run has ended, at most `timeout_s`; whether it has. Raises: what ended it, if that was a
        failure."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while self.phase is Phase.RUNNING and self._ended is None:
            left = LOOK_S if until is None else min(until - time.monotonic(), LOOK_S)
            if left <= 0:
                return False
            self._hear(left)
            self._watch()
        self._raise()
        return True

    def run(self, seconds: float) -> None:
        """Drives the robot for `seconds`, and brings it to rest."""
        self.start(round(seconds * self.spec.rate_hz))
        self.wait()

    def stop(self) -> None:
        """Brings the robot to rest, stops and disconnects it, and ends both threads. Raises: the first failure,
        once."""
        self._close()
        self._raise()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self.stop()
        except Exception:
            if kind is None:
                raise  # else what was raised in the block came first

    # ---- orders -----------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """The robot holds, in a new hard epoch, until `resume`."""
        self._order(paused=True)

    def resume(self) -> None:
        """Ends a pause."""
        self._order(paused=False)

    @property
    def paused(self) -> bool:
        """Whether it was told to pause."""
        return self._orders.paused

    def estop(self) -> None:
        """Stops the robot within a tick; nothing is sent until `reset`."""
        self._order(estops=self._orders.estops + 1, latched=True)

    def reset(self) -> None:
        """A hard epoch: what was planned is dropped. It ends an e-stop."""
        self._order(resets=self._orders.resets + 1, latched=False)

    def set_task(self, task: str) -> None:
        """Tells the policy to do something else; what is planned runs on until the new chunk."""
        self._order(task=check_task(task))

    def _order(self, **changes: Any) -> None:
        self._expect("given orders", Phase.WARM, Phase.RUNNING)
        self._orders = replace(self._orders, **changes)
        self._side.links.orders.put(self._orders)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _lookout_of(self, eye: Eye) -> Lookout:
        card, links = seeing_head(self.drive.strategy), self._side.links
        if card is None:
            raise ConfigError(
                "an eye was given, and no corrector that sees images; give the file of a head with cameras as "
                "strategy.corrector, or no eye"
            )
        return Lookout(eye, card.cameras, card.latent, links.watched, links.sights)

    def _warm(self) -> tuple[float, ...]:
        """What inferences cost; the strategy is checked against the delay that follows."""
        with _warming("planner"):
            costs = self._worker.warm(WARM_UPS, self.spec.rate_hz)[COLD:]
        if self._lookout is not None:
            with _warming("eye"):
                self._lookout.warm(WARM_UPS)
        config = self.drive.strategy
        if self._latency is not None:
            delay = make_delay(config, self._latency, self.drive.seed)
            costs = delay.costs
        else:
            delay = estimator(config)
            for cost in costs:
                delay.add(cost)
        make_strategy(config, self.spec, self.drive.horizon, delay.delay)
        return tuple(costs)

    def _hear(self, timeout_s: float) -> Ready | Rested | Ended | None:
        """What the executor's side says within `timeout_s`, or that it is dead."""
        control = self._side.control
        try:
            message: Ready | Rested | Ended | None = control.recv() if control.poll(timeout_s) else None
            if message is None and not self._side.alive():
                message = control.recv() if control.poll(0) else Ended("RobotError", self._side.death())
        except (EOFError, ConnectionResetError):
            message = Ended("RobotError", self._side.death())
        if isinstance(message, Ended):
            self._ended = message
        self._rested = self._rested or isinstance(message, Rested)
        return message

    def _watch(self) -> None:
        """Takes the executor for hung if no tick has ended for `stall_s`, or letting go takes over `connect_s`."""
        count, since = self._progress
        now = time.monotonic()
        if self.trace.tick_ring.count != count or self._ended is not None:
            self._progress = (self.trace.tick_ring.count, now)
            return
        limit_s = self._connect_s if self._rested else self._stall_s
        if now - since > limit_s:
            self._order(stop=True, estops=self._orders.estops + 1, latched=True)  # should it go on after all
            what = "the robot was not let go" if self._rested else "no tick has ended"
            words = f"{what} for {limit_s:g} s, so a call of the robot hangs; {self._side.stop_hung()}"
            self._ended = Ended("RobotError", words)

    def _failed(self) -> Exception | None:
        """The first failure."""
        if self._failure is None:
            seen = self._lookout.error if self._lookout else None
            self._failure = self._worker.error or seen or (self._ended.error() if self._ended else None)
        return self._failure

    def _raise(self) -> None:
        failure = self._failed()
        if failure is not None and not self._raised:
            self._raised = True
            raise failure

    def _close(self) -> None:
        """To STOPPED, from wherever it stands. Interrupts wait until the robot is stopped."""
        if self.phase is Phase.STOPPED:
            return
        try:
            with deferred():
                if self._launched and self._ended is None:
                    self._release()
                if self.phase is Phase.RUNNING:
                    self._end_thinking()
                self._failed()
        finally:
            self._undo.close()
            self.phase = Phase.STOPPED

    def _end_thinking(self) -> None:
        self._worker.end(self._side.links.bell)
        if self._lookout is not None:
            self._lookout.end()
        for what, thread in zip(("planner", "eye"), self._threads, strict=False):
            thread.join(PATIENCE_S)
            if thread.is_alive() and self._failed() is None:
                self._failure = InferenceError(
                    f"the {what} did not return within {PATIENCE_S:g} s of being told to end; the robot is stopped"
                )

    def _release(self) -> None:
        """Tells the executor's side to end, and waits until it has."""
        if self.phase is Phase.RUNNING:
            self._order(stop=True)
        else:
            with suppress(OSError):
                self._side.control.send(None)
        until = time.monotonic() + (self._connect_s if self._rested else PATIENCE_S)
        while self._ended is None and time.monotonic() < until:
            if isinstance(self._hear(LOOK_S), Rested):
                until = time.monotonic() + self._connect_s
            if self.phase is Phase.RUNNING:
                self._watch()
        if self._ended is None:
            self._ended = Ended(
                "RobotError", f"the robot did not stop within {PATIENCE_S:g} s; {self._side.stop_hung()}"
            )

    def _expect(self, what: str, *phases: Phase) -> None:
        if self.phase not in phases:
            wanted = " or ".join(phase.value for phase in phases)
            raise LifecycleError(
                f"a runtime that is {self.phase.value} cannot be {what}; that takes one that is {wanted}"
            )

    def _warn(self, isolation: str) -> None:
        servo_hz = self.spec.rate_hz * self.drive.substeps
        if isolation == "thread" and servo_hz > THREAD_HZ:
            warnings.warn(
                f"a thread is to send {servo_hz:g} setpoints per second, and beside a busy interpreter it keeps up to "
                f"{THREAD_HZ:g}: the planner's Python code makes it late; use isolation=process",
                stacklevel=3,
            )


@contextmanager
def _warming(what: str) -> Iterator[None]:
    """Says what could not be warmed up. Raises: InferenceError, then."""
    try:
        yield
    except Exception as error:
        raise InferenceError(f"the {what} could not be warmed up ({error}); nothing was sent to the robot") from error

"""The realtime driver: the core on the wall clock.

    with Realtime(drive, make_robot, planner) as runtime:    CREATED -> WARM: robot connected and read, planner warm
        runtime.start()                                      -> RUNNING: one action per tick from here on
        runtime.wait(60.0)
                                                             -> STOPPED: robot at rest, stopped, disconnected

An executor drives the robot, in a thread or in a process of its own (`isolation`); a worker thread runs the planner,
and another one the eye of a corrector that sees images (`runtime.drivers.encoder_worker`). They share the mailboxes of
`rollahead.runtime.types.messages` and nothing else. What fails in any is raised by `wait`, `stop` or at the end of the
`with`, the first failure only, and the robot has been held and stopped by then.

An interrupt, the end of the `with` block and the end of the program all turn the stop latch on. The executor then
brings the robot to rest, stops and disconnects it by itself; this module only waits for that, and raises what failed.

Threads: whoever made it enters, starts, waits and stops; the orders may come from any thread, and from a signal
handler. `Worker.run`, `EncoderWorker.run`, `ExecutorMain.run` and the `Watchdog` are the other threads. Nobody but the
executor's thread touches the robot, unless that thread hangs: then the watchdog calls `robot.stop()`, or kills its
process."""

import atexit
import enum
import multiprocessing
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from multiprocessing import util

from rollahead.errors import ConfigError, InferenceError, LifecycleError, RobotError, one_line, unknown_name
from rollahead.runtime.config.build import (
    Drive,
    estimator,
    features_taken,
    make_corrector,
    make_delay,
    make_strategy,
    seeing_head,
)
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.encoder_worker import EncoderWorker, ImageEncoder
from rollahead.runtime.drivers.executor_main import Go
from rollahead.runtime.drivers.isolation import PATIENCE_S, SIDES, TRACE_S, Isolation
from rollahead.runtime.drivers.stages import Stage, unsaid
from rollahead.runtime.drivers.watchdog import Watchdog
from rollahead.runtime.drivers.worker import Worker
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import LatencyModel
from rollahead.runtime.planning.planner import Planner
from rollahead.runtime.safety.rest_pose import RestPose
from rollahead.runtime.system.clock import Clock, Grid, MonotonicClock
from rollahead.runtime.system.interrupts import Interrupts, uninterrupted
from rollahead.runtime.system.tuning import Tuning, tuned_process
from rollahead.runtime.transport.commands import Change, CommandsWriter
from rollahead.runtime.transport.wire import check_task
from rollahead.runtime.types.messages import Commands
from rollahead.runtime.types.robot import Robot
from rollahead.runtime.types.spec import RobotSpec

WARM_UPS = 5  # inferences before the first tick
COLD = 2  # of these, the first, which are slower and do not count
WAKE_S = 0.1  # how often a thread that waits wakes
THREAD_HZ = 100.0  # servo rate up to which a thread keeps its time beside a busy interpreter
IMPORTED = (
    "a process that this program started imports the program's script again, and would drive the robot a second time; "
    'keep what drives the robot under if __name__ == "__main__":'
)


class Phase(enum.Enum):
    """Where a runtime stands."""

    CREATED = "created"
    WARM = "warm"
    RUNNING = "running"
    STOPPED = "stopped"


class Realtime:
    """Runtime that drives a robot in real time while its `with` block is open, with plans of `planner`.

    make_robot: makes a robot without touching its hardware, which `connect` does; it is called once here, for the spec,
    and once where the executor is, for which it is pickled if `isolation` is `process`. latency: makes every inference
    last as long as it says, to try a policy's latency out; image_encoder: of a corrector that sees images, and of no
    other; connect_s: how long the robot may take to connect, and to be let go; stall_s: how much longer than two
    periods no tick may end before the executor counts as hung; trace_s: of ticks that `trace` holds, the newest; stage:
    shows what goes on before the first tick."""

    def __init__(
        self,
        drive: Drive,
        make_robot: Callable[[], Robot],
        planner: Planner,
        *,
        isolation: str = "thread",
        latency: LatencyModel | None = None,
        image_encoder: ImageEncoder | None = None,
        tuning: Tuning | None = None,
        connect_s: float = 30.0,
        stall_s: float = 1.0,
        trace_s: float = TRACE_S,
        stage: Stage = unsaid,
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
        self._connect_s = connect_s
        self._stage = stage
        self._clock: Clock = MonotonicClock()
        self._side: Isolation = SIDES[isolation](drive, make_robot, self.spec, self._tuning, trace_s)
        links = self._side.links
        self._commands = CommandsWriter(links.commands, Commands(task=drive.task))
        self._interrupts = Interrupts(links.latch.signal)
        limit_s = stall_s + 2 * self.spec.period_s
        self._watchdog = Watchdog(self._side, stall_s=limit_s, connect_s=connect_s, give_up=self._give_up)
        self._failure: Exception | None = None
        self._launched = self._raised = False
        self._closing = threading.RLock()
        self._threads: list[threading.Thread] = []
        self.start_ns = 0  # when tick 0 is due
        self._undo = ExitStack()
        speed_up = SpeedUp(self.spec, drive.strategy.q)
        inference = Inference(
            planner,
            speed_up,
            horizon=drive.horizon,
            action_dim=len(self.spec.action),
            features=features_taken(drive.strategy),
        )
        self._worker = Worker(inference, links.outbox, links.inbox, self._clock, latency, drive.seed)
        make_strategy(drive.strategy, self.spec, drive.horizon, drive.strategy.d or 0)
        RestPose(self.spec, drive.rest_pose)
        make_corrector(drive.strategy, self.spec, drive.horizon, None if image_encoder is None else links.image_latents)
        self._encoder_worker = None if image_encoder is None else self._encoder_worker_of(image_encoder)
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
        measured, or this is a process that imports the program's script again.
        """
        self._expect("entered", Phase.CREATED)
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise ConfigError(IMPORTED)
        try:
            self._launch()
            with self._stage("connecting the robot"):
                self._await_robot()
            self._costs = self._warm()
        except BaseException as error:
            self._leave(error)
            raise
        self.phase = Phase.WARM
        return self

    @uninterrupted
    def start(self, ticks: int | None = None) -> None:
        """Begins to drive the robot, a period from now; ends by itself after `ticks`. Phase: setup."""
        self._expect("started", Phase.WARM)
        self.start_ns = self._clock.now_ns() + int(1e9 / self.spec.rate_hz)
        grid = Grid(self.start_ns, self.spec.rate_hz)
        wake = self._side.links.wake
        self._threads = [
            threading.Thread(target=self._worker.run, args=(wake, grid), name="rollahead worker", daemon=True)
        ]
        if self._encoder_worker is not None:
            look, own = self._encoder_worker.run, (self._clock, grid)
            self._threads.append(threading.Thread(target=look, args=own, name="rollahead encoder", daemon=True))
        for thread in self._threads:
            thread.start()
        self.phase = Phase.RUNNING
        self._watchdog.started()
        with suppress(OSError):  # the executor is gone, which is heard of next
            self._side.control.send(Go(self.start_ns, self._costs, ticks))
        self._interrupts.raise_taken()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until the run has ended, at most `timeout_s` seconds (None: without limit); whether it has ended. What
        happens to the robot does not depend on this call. Raises: what ended the run, if that was a failure."""
        if self.phase is Phase.RUNNING and not _waited(self._watchdog.over, timeout_s):
            return False
        self._raise()
        return True

    def finish(self) -> None:
        """Tells the executor to come to rest and let the robot go, and returns at once; `wait` waits for that. From any
        thread."""
        self._side.links.latch.set()

    def run(self, seconds: float) -> None:
        """Drives the robot for `seconds`, and brings it to rest."""
        self.start(round(seconds * self.spec.rate_hz))
        self.wait()

    @uninterrupted
    def stop(self) -> None:
        """Brings the robot to rest, stops and disconnects it, and ends both threads. Raises: the first failure,
        once."""
        self._leave(None)

    @uninterrupted
    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Stops the runtime, as `stop` does. If the block raised an Exception, that is raised, and a failure of the run
        is added to it as a note. If the block raised KeyboardInterrupt or SystemExit, a failure of the run is raised in
        its place: it would hide that the robot could not be stopped."""
        self._leave(error)

    # ---- orders -----------------------------------------------------------------------------------------------------

    # May be called from any thread and from a signal handler, also from one that interrupts another order.

    def pause(self) -> None:
        """The robot holds, in a new hard epoch, until `resume`. From any thread."""
        self._command(lambda commands: replace(commands, paused=True))

    def resume(self) -> None:
        """Ends a pause. From any thread."""
        self._command(lambda commands: replace(commands, paused=False))

    @property
    def paused(self) -> bool:
        """Whether a pause was ordered and not ended yet."""
        return self._commands.commands.paused

    def estop(self) -> None:
        """Stops the robot within a tick; nothing is sent until `reset`. From any thread; each call counts."""
        self._command(_estopped)

    def reset(self) -> None:
        """A hard epoch: what was planned is dropped. It ends an e-stop. From any thread."""
        self._command(lambda commands: replace(commands, resets=commands.resets + 1, latched=False))

    def set_task(self, task: str) -> None:
        """Tells the policy to do something else; what is planned runs on until the new chunk. From any thread."""
        check_task(task)
        self._command(lambda commands: replace(commands, task=task))

    @uninterrupted
    def _command(self, change: Change) -> None:
        self._expect("given orders", Phase.WARM, Phase.RUNNING)
        self._commands.give(change)
        self._interrupts.raise_taken()

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _encoder_worker_of(self, image_encoder: ImageEncoder) -> EncoderWorker:
        card, links = seeing_head(self.drive.strategy), self._side.links
        if card is None:
            raise ConfigError(
                "an image_encoder was given, and the strategy has no corrector that sees images; give the file of one "
                "with cameras as strategy.corrector, or no image_encoder"
            )
        return EncoderWorker(image_encoder, card.cameras, card.latent, links.watched, links.image_latents)

    def _warm(self) -> tuple[float, ...]:
        """Warms up the planner and the corrector's image encoder. Returns the costs of inferences in ticks, against
        which the strategy is checked."""
        with _warming("planner"):
            costs = self._worker.warm(WARM_UPS, self.spec.rate_hz, self._stage)[COLD:]
        if self._encoder_worker is not None:
            with _warming("image encoder"), self._stage("warming up the image encoder"):
                self._encoder_worker.warm(WARM_UPS)
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

    @uninterrupted
    def _launch(self) -> None:
        """Starts the executor's side and the watchdog. From now on the end of the program, for whatever reason, brings
        the robot to rest first."""
        self._interrupts.install()
        self.tuned |= self._undo.enter_context(tuned_process(self._tuning))
        self._side.launch()
        self._undo.callback(self._side.end)
        self._launched, self._pid = True, os.getpid()
        atexit.register(self._at_exit)
        self._finalizer = util.Finalize(None, self._at_exit, exitpriority=100)  # in a process of multiprocessing
        try:
            self._watchdog.launched()
        except BaseException:  # no thread can be started
            self._side.links.latch.set()
            self._watchdog.over.set()
            raise
        self._interrupts.raise_taken()

    def _await_robot(self) -> None:
        """Waits until the robot is connected and was read. Raises: RobotError, if it is not ready in `connect_s`."""
        if not self._watchdog.heard.wait(self._connect_s):
            raise RobotError(
                f"the robot was not connected and read within {self._connect_s:g} s; look at its power and its "
                "cables, or give it longer (connect_s)"
            )
        if self._watchdog.ready is None:
            raise self._failed() or RobotError("the robot's side ended before it was ready")
        self.tuned |= self._watchdog.ready.tuned

    def _give_up(self) -> None:
        """Turns the stop latch on and orders an e-stop, so that an executor that hung sends nothing if it goes on.
        Called by the watchdog."""
        self._side.links.latch.set()
        self._commands.give(_estopped)

    def _failed(self) -> Exception | None:
        """The first failure, if any. If the run was to end anyway, it is no failure that a signal told the executor's
        process to end: a signal to the whole process group reaches both."""
        if self._failure is None:
            seen, ended = self._encoder_worker.error if self._encoder_worker else None, self._watchdog.ended
            if ended is not None and ended.told and self._side.links.latch.is_set:
                ended = None
            self._failure = self._worker.error or seen or (ended.error() if ended else None)
        return self._failure

    def _raise(self) -> None:
        """Raises: the first failure, once."""
        failure = self._failed()
        if failure is not None and not self._raised:
            self._raised = True
            raise failure

    @uninterrupted
    def _leave(self, error: BaseException | None) -> None:
        """Closes the runtime after `error`, which is None, or was raised in the block. Raises: the first failure; else
        an interrupt that came meanwhile. A failure after an Exception is added to that as a note."""
        self._close()
        came, failure = self._interrupts.taken(), None if self._raised else self._failed()
        self._raised = self._raised or failure is not None
        if failure is not None and failure is not error:
            if came is not None or not isinstance(error, Exception):
                raise failure
            error.add_note(f"and after that: {failure}")
        if came is not None:
            raise came

    @uninterrupted
    def _close(self) -> None:
        """Brings the runtime to STOPPED from any phase. May be called from any thread, and repeatedly. Does nothing in
        a forked child, which inherits this object but not the run."""
        with self._closing:
            if self.phase is Phase.STOPPED or (self._launched and os.getpid() != self._pid):
                return
            try:
                try:
                    self._release()
                finally:
                    if self.phase is Phase.RUNNING:
                        self._end_workers()
                self._failed()
            finally:
                if not self._launched or self._watchdog.over.is_set():  # else `_at_exit` tries again
                    self._undo.close()
                    self._interrupts.put_back()
                    atexit.unregister(self._at_exit)
                    if self._launched:
                        self._finalizer.cancel()
                    self.phase = Phase.STOPPED

    @uninterrupted
    def _at_exit(self) -> None:
        """Closes the runtime when the program ends without having stopped it."""
        self._leave(None)

    def _end_workers(self) -> None:
        """Ends the worker and the lookout, and keeps a failure if one does not return within `PATIENCE_S`."""
        self._worker.end(self._side.links.wake)
        if self._encoder_worker is not None:
            self._encoder_worker.end()
        for what, thread in zip(("planner", "image encoder"), self._threads, strict=False):
            thread.join(PATIENCE_S)
            if thread.is_alive() and self._failed() is None:
                self._failure = InferenceError(
                    f"the {what} did not return within {PATIENCE_S:g} s of being told to end; the robot is stopped"
                )

    def _release(self) -> None:
        """Tells the executor's side to end, and waits until it has. What a signal handler of the user raises meanwhile
        is raised only after that."""
        raised = None
        if self._launched and not self._watchdog.over.is_set():
            self._side.links.latch.set()
            self._watchdog.ending()
        while self._launched and not self._watchdog.over.is_set():
            try:
                _waited(self._watchdog.over, None)
            except BaseException as error:
                raised = error
        if raised is not None:
            raise raised

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


def _waited(event: threading.Event, timeout_s: float | None) -> bool:
    """Waits for `event`, at most `timeout_s`; whether it is set. It wakes now and then: a signal that another thread
    was given is handled when the main thread runs."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    while not event.is_set():
        left = WAKE_S if until is None else min(until - time.monotonic(), WAKE_S)
        if left <= 0:
            return False
        event.wait(left)
    return True


def _estopped(commands: Commands) -> Commands:
    return replace(commands, estops=commands.estops + 1, latched=True)


@contextmanager
def _warming(what: str) -> Iterator[None]:
    """Says what could not be warmed up. Raises: InferenceError, then."""
    try:
        yield
    except Exception as error:
        raise InferenceError(
            f"the {what} could not be warmed up ({one_line(error)}); nothing was sent to the robot"
        ) from error

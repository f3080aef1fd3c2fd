"""The executor's loop in real time: ticks on a grid of absolute deadlines.

    wait for the head of tick k -> obey commands -> look -> act; publish, and wake the worker if a chunk was requested

The snapshot is published after the first setpoint was sent, though it describes the time before the action.

A tick whose whole period has passed is skipped; one that begins late is still sent, so that one slow tick costs one
gap. Nothing is caught up, and nothing drifts. At the end, for whatever reason, the robot is brought to rest: its plan
is dropped, and holds are sent until the last setpoint commands no motion.

Threads: the executor's alone, in whichever process it is. Hot path: all but the constructor.
"""

from collections.abc import Callable

from rollahead.errors import ControlError, RobotError
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.system.clock import Clock, Grid
from rollahead.runtime.system.patience import error_text
from rollahead.runtime.transport.latch import Latch
from rollahead.runtime.transport.mailbox import Channel
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.types.messages import Commands, Failure

REST_S = 1.0  # time for coming to rest; more if the robot's limits need more
MOST_REST_S = 4.0  # upper bound of that time
DEAD = Failure("the worker is gone, or the executor was told to end")


class Loop:
    """Runs the ticks of `executor` on the time of `clock`.

    Args:
        executor: The executor to run.
        clock: Clock of the ticks.
        latch: Once it is on, the robot is brought to rest and the loop ends.
        commands: The user's commands, read once before and once after each reading of the robot. Commands that are
            given before the first tick are obeyed in it.
        wake: Wakes the worker.
        alive: Returns whether the worker's process is there.
        substeps: Setpoints per tick.
        task: Text of the task that the executor was made with.
    """

    def __init__(
        self,
        executor: Executor,
        clock: Clock,
        latch: Latch,
        commands: Channel[Commands],
        wake: WakeEvent,
        alive: Callable[[], bool],
        substeps: int = 1,
        task: str = "",
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._latch = latch
        self._commands = commands
        self._wake = wake
        self._alive = alive
        self._substeps = substeps
        self._obeyed = Commands(task=task)
        self._ends_at: int | None = None  # while coming to rest: the tick at which the loop ends in any case
        self._went_home = False  # whether the move to the rest pose was begun, or was not possible

    def run(self, grid: Grid, ticks: int | None = None) -> None:
        """Runs from tick 0 on until a command ends it, or for `ticks`, and then until the robot is at rest.

        Raises RobotError if the robot fails; it has been held, if that was possible, and stopped by then.
        """
        k = 0
        while not self._over(k, grid):
            if self._clock.now_ns() >= grid.due_ns(k + 1):
                self._executor.skip(k)
                if self._ends_at is not None:
                    self._ends_at += 1  # a tick that is not sent brings nothing to rest
            else:
                self._clock.sleep_until_ns(grid.due_ns(k))
                self._tick(k, grid, ticks)
            k += 1

    def _over(self, k: int, grid: Grid) -> bool:
        """Whether the loop ends before tick `k`; begins the move to the rest pose.

        It ends when the robot is at rest, in its rest pose if there is one, or when that has taken too long.
        """
        if self._ends_at is None:
            return False
        if self._latch.hurries:
            self._executor.stay()
        if k >= self._ends_at or not self._executor.at_rest:
            return k >= self._ends_at
        return not self._goes_home(k, grid)

    def _goes_home(self, k: int, grid: Grid) -> bool:
        """Begins the move to the rest pose, at most once per run; returns whether the loop goes on for it."""
        if self._went_home or self._latch.hurries:
            return False
        ticks = self._executor.go_home()
        if ticks != 0:
            self._went_home = True
        if ticks:
            self._ends_at = k + ticks + round(MOST_REST_S * grid.rate_hz)
        return ticks is not None

    def _rest_ticks(self, grid: Grid) -> int:
        """Number of ticks that coming to rest may take from here."""
        rest_s = min(max(REST_S, self._executor.rest_s), MOST_REST_S)
        return max(round(rest_s * grid.rate_hz), 1)

    def _tick(self, k: int, grid: Grid, ticks: int | None) -> None:
        clock, n = self._clock, self._substeps

        def pace(j: int) -> bool:
            clock.sleep_until_ns(grid.due_ns(k + j / n))
            return clock.now_ns() < grid.due_ns(k + (j + 1) / n)

        try:
            self._obey(k, grid)
            self._end(k, grid, ticks)
            self._executor.look(k)
            self._obey(k, grid)  # if the read hung, the watchdog has commanded an e-stop meanwhile
            self._executor.act(k, pace, lambda: self._publish(k))
        except BaseException as error:  # a driver may raise SystemExit
            self._fail(k, error)

    def _publish(self, k: int) -> None:
        self._executor.publish(k)
        if self._executor.asked(k):
            self._wake.ring()

    def _fail(self, k: int, error: BaseException) -> None:
        what = str(error) if isinstance(error, ControlError) else error_text(error)
        try:
            self._executor.fail(k)
        except BaseException as again:
            raise RobotError(
                f"the robot failed in tick {k} ({what}), and could not be held ({error_text(again)})"
            ) from error
        raise RobotError(f"the robot failed in tick {k} ({what}); it was held and stopped") from error

    def _obey(self, k: int, grid: Grid) -> None:
        """Carries out the commands that are new since the last call."""
        if self._latch.is_set:
            self._come_to_rest(k, grid)
        executor, commands, old = self._executor, self._commands.peek() or self._obeyed, self._obeyed
        if commands is old:
            return
        self._obeyed = commands
        if commands.estops != old.estops:
            executor.estop()
        if commands.resets != old.resets and not commands.latched:
            executor.reset()
        if commands.task != old.task:
            executor.set_task(commands.task)
        if commands.paused != old.paused and self._ends_at is None:
            (executor.pause if commands.paused else executor.resume)()

    def _end(self, k: int, grid: Grid, ticks: int | None) -> None:
        """Begins to come to rest in tick `k` after a failure, after the executor's own e-stop, or after `ticks`."""
        executor = self._executor
        if executor.failure is None and not self._alive():
            executor.failure = DEAD
        ended = executor.failure is not None or executor.halted is not None
        if ended or (ticks is not None and k >= ticks):
            self._come_to_rest(k, grid)

    def _come_to_rest(self, k: int, grid: Grid) -> None:
        if self._ends_at is None:
            self._ends_at = k + self._rest_ticks(grid)
            self._executor.pause()

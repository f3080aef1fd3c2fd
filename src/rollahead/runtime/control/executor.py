"""The executor sends the robot one action per tick, whatever the planner does.

    look(k)      read the robot -> take a result if there is one
    publish(k)   the snapshot, with a request if one is due
    act(k)       the timeline's action for k, corrected, or a hold -> guard -> send it -> into history and trace

A tick consists of the three. In simulated time the snapshot is published before the action is sent, so that an instant
planner can answer in between; in real time the first setpoint is sent before, since it is due. Either way the snapshot
describes the time before the action.

Where the servo rate is above the policy rate, the action is sent as several setpoints, each at its time in the tick.

Threads: everything belongs to the executor thread, but `inbox` is written and `outbox` read by the worker, and
`image_latents` is written by the encoder worker, if there is one. Hot path: `tick` and `skip` take no lock, read no
clock, log nothing and never call torch.
"""

from collections.abc import Callable, Collection, Iterator

import numpy as np

from rollahead.errors import RobotError
from rollahead.runtime.control.corrector import Corrector
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.discrete import Discrete
from rollahead.runtime.control.history import History
from rollahead.runtime.control.lookahead import planned_rows
from rollahead.runtime.control.observation_buffer import ObservationBuffer
from rollahead.runtime.control.servo import Servo
from rollahead.runtime.control.strategy import Strategy
from rollahead.runtime.control.trace import Outcome, TickStatus, Trace, inference_record
from rollahead.runtime.control.whereabouts import Whereabouts
from rollahead.runtime.safety.guard import STALE, Guard, GuardConfig
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.safety.rest_pose import Homing, RestPose
from rollahead.runtime.system.patience import error_text
from rollahead.runtime.transport.mailbox import Channel, Mailbox
from rollahead.runtime.types.arrays import FloatArray, unknown
from rollahead.runtime.types.chunk import Chunk, Timeline
from rollahead.runtime.types.messages import Failure, ImageLatent, Observation, Request, Result, ResultFlags, Snapshot
from rollahead.runtime.types.robot import Robot
from rollahead.runtime.types.spec import Kind, mask

LEAP = 4.0  # after a hold, the ramp leads to a row that is farther away than this many of the chunk's longest steps

Pace = Callable[[int], bool]  # waits until setpoint j of the tick is due; False if j is late: setpoint j + 1 is due too
Sent = Callable[[], None]  # called once per tick: after its first setpoint, or when it is certain that none is sent


def at_once(j: int) -> bool:
    """Never waits: all setpoints of a tick are sent at its start, as in simulated time."""
    return True


def nothing() -> None:
    """Does nothing: the default callback after the first setpoint of a tick."""


class Executor:
    """Sends `robot` one action per tick from the chunks that `strategy` requests.

    Args:
        robot: The robot to drive.
        strategy: Decides when to request a chunk and how to use it.
        delay: Estimates the delay to plan for.
        trace: Where ticks and inferences are recorded.
        horizon: H, length of a chunk in ticks.
        n_obs: Number of observations per request.
        seed: Seed of the run, passed to the planner.
        task: Text of the task that the policy is told.
        guard: Options of the guard; None for the defaults.
        servo: Makes the setpoints of a tick; None for one per tick.
        corrector: Amends each action; None for none.
        inbox: Channel from the worker; None for a new one.
        outbox: Channel to the worker; None for a new one.
        image_latents: Channel from the encoder worker; None for a new one.
        cameras: Names of the cameras whose images must not be too old; None for all cameras of the robot.
        rest_pose: Pose that `go_home` moves to; None for none.
    """

    def __init__(
        self,
        robot: Robot,
        strategy: Strategy,
        delay: DelayEstimator,
        trace: Trace,
        *,
        horizon: int,
        n_obs: int = 1,
        seed: int = 0,
        task: str = "",
        guard: GuardConfig | None = None,
        servo: Servo | None = None,
        corrector: Corrector | None = None,
        inbox: Channel[Result | Failure] | None = None,
        outbox: Channel[Snapshot] | None = None,
        image_latents: Channel[ImageLatent | Failure] | None = None,
        cameras: Collection[str] | None = None,
        rest_pose: RestPose | None = None,
    ) -> None:
        spec = robot.spec
        self.inbox: Channel[Result | Failure] = Mailbox() if inbox is None else inbox
        self.outbox: Channel[Snapshot] = Mailbox() if outbox is None else outbox
        self.trace = trace
        self.image_latents: Channel[ImageLatent | Failure] = Mailbox() if image_latents is None else image_latents
        self.failure: Failure | None = None  # why the planner, or the encoder worker, stopped
        self._robot = robot
        self._strategy = strategy
        self._delay = delay
        self._hold = Hold(spec)
        self._discrete = Discrete(spec)
        self._servo = servo or Servo(spec)
        self._corrector = corrector
        limits = guard or GuardConfig()
        self._give_up_ticks = limits.give_up_ticks
        self._guard = Guard(spec, limits, substeps=self._servo.substeps)
        self._targets = mask(spec.action, Kind.POSITION)
        self._horizon = horizon
        self._n_obs = n_obs
        self._history = History(2 * horizon, len(spec.action))
        self._no_rows = self._history.tail(0)
        self._buffer = ObservationBuffer(robot, self._guard, n_obs, cameras)
        self._whereabouts = Whereabouts(spec, self._hold, self._buffer)
        self._timeline = Timeline(blend=strategy.blend)
        self._observations: tuple[Observation, ...] = ()  # the window of the tick published last
        self._seed = seed
        self._task = task
        self._epoch = 0
        self.halted: str | None = None  # why the executor itself stopped the robot, which ends the run
        self._ramp = True  # the next row of a chunk is the first of this epoch, and starts the ramp
        self._starved = False  # the last tick was a hold
        self._paused = False
        self._stopped = False  # an e-stop stopped the robot
        self._rest_pose = rest_pose
        self._homing: Homing | None = None
        self._open: Request | None = None
        self._last_request: int | None = None
        self._answered: object = None

    def asked(self, k: int) -> bool:
        """Whether a request was made in tick `k`. Phase: hot."""
        return self._open is not None and self._last_request == k

    @property
    def at_rest(self) -> bool:
        """Whether the last setpoint commands no motion and no move to the rest pose is in progress. Phase: hot."""
        last = self._history.last
        if last is None or self._stopped:
            return True
        return self._homing is None and self._guard.stands and bool((last == self._hold.still(last)).all())

    @property
    def rest_s(self) -> float:
        """Upper bound, in seconds, of the time that holds need to bring the robot to rest within its limits."""
        return self._guard.rest_s

    def tick(self, k: int, pace: Pace = at_once) -> TickStatus:
        """Reads the robot and sends the action of tick `k`. Phase: hot."""
        self.observe(k)
        return self.act(k, pace)

    def observe(self, k: int, *, images: bool = False) -> None:
        """Calls `look` and `publish` for tick `k`. images: see `publish`. Phase: hot."""
        self.look(k)
        self.publish(k, images=images)

    def look(self, k: int) -> None:
        """Reads the robot at the start of tick `k`, and takes a result that is there. Phase: hot."""
        self.trace.begin()
        self._guard.tick()
        self._buffer.look(k, self._history.last)
        self._whereabouts.look(self._history.last)
        if self._buffer.blind_ticks >= self._give_up_ticks:
            ticks = f"{self._give_up_ticks} ticks in a row"
            self._halt(f"{self._buffer.why}, after {ticks} without a usable state and images")
        if self._whereabouts.unsettled_ticks >= self._give_up_ticks:
            self._halt(f"no two readings in a row agreed on where it is for {self._give_up_ticks} ticks")
        image_latent = self.image_latents.peek()
        if isinstance(image_latent, Failure) and self.failure is None:
            self._give_up(image_latent)
        self._accept(k)

    def publish(self, k: int, *, images: bool = False) -> None:
        """Puts the snapshot of tick `k` into the outbox, with a request if one is due.

        Called after `look`, before or within `act`. images: whether the images of this tick are needed even if no
        request needs them. Phase: hot.
        """
        self._observations = self._buffer.window(k, self._task, images=images or self._needs_images(k))
        self.outbox.put(self._ask(k))

    def act(self, k: int, pace: Pace = at_once, sent: Sent = nothing) -> TickStatus:
        """Sends the action of tick `k`, or a hold. Phase: hot.

        Args:
            k: The tick.
            pace: Waits for each setpoint.
            sent: Called once, after the first setpoint or when none is sent.
        """
        self._accept(k)
        if self._stopped or not self._whereabouts.known:
            sent()
            return self._rest(k)
        chunk, row = self._decide(k)
        self._join(chunk, row)
        action, flags = self._send(k, row, pace, sent, chunk)
        if action is None:
            return self._overrun(k)
        self._history.append(k, action)
        self._whereabouts.sent()
        status = self._status(chunk)
        self._record(k, status, action, chunk, flags)
        return status

    def skip(self, k: int) -> None:
        """Notes that nothing is sent in tick `k`, because its deadline has passed.

        The history gets the action that the robot in effect carried out. Phase: hot.
        """
        self.trace.begin()
        self._guard.tick()
        self._buffer.skip(k)
        self._overrun(k)

    def _overrun(self, k: int) -> TickStatus:
        """Records tick `k`, in which no setpoint was sent because it was too late."""
        self._guard.left_out(self._servo.substeps)
        last = self._history.last
        action = unknown(len(self._robot.spec.action)) if last is None else self._hold.skipped(last)
        if last is not None:  # before the first setpoint nothing is known of the robot's motion
            self._history.append(k, action)
        self._record(k, TickStatus.OVERRUN, action, None)
        return TickStatus.OVERRUN

    def warm(self) -> None:
        """Reads the robot before the first tick and publishes a snapshot with a typical request.

        The planner warms up on it, and the result is discarded. Phase: warm. Raises RobotError if no usable state can
        be read, or if state or images do not fit the spec.
        """
        self._buffer.first_look()
        self._observations = self._buffer.window(0, self._task)
        asked = self._snapshot(0, None, ahead=self._horizon)
        self.outbox.put(asked.with_request(self._strategy.plan(asked, min(self._delay.delay, self._horizon))))
        self._buffer.forget()
        self._buffer.forget_images()

    def estop(self) -> None:
        """Calls `Robot.stop`, once, and sends nothing until `reset`.

        After the reset, motion starts at rest from the measured state.
        """
        if not self._stopped:
            self._homing = None
            self._drop()
            self._robot.stop()  # if it raises, the robot is not stopped: `fail` holds it
            self._stopped = True
            self._whereabouts.lose()

    def pause(self) -> None:
        """Starts a new hard epoch in which the robot holds and no chunk is requested, until `resume`."""
        self._drop()
        self._paused = True

    def go_home(self) -> int | None:
        """Moves the paused robot to its rest pose.

        Returns the number of ticks that this may take; 0, without moving, while state or images are not usable; None if
        there is no rest pose, or the robot is stopped.
        """
        last = self._history.last
        if self._rest_pose is None or self._stopped or last is None:
            return None
        if self._buffer.trouble:
            return 0
        self._homing = self._rest_pose.way(last)
        return self._homing.ticks + self._give_up_ticks

    def stay(self) -> None:
        """Breaks off the move to the rest pose: from the next tick on the robot holds where it is."""
        self._homing = None

    def resume(self) -> None:
        """Ends a pause in a new hard epoch.

        Motion continues from the last setpoint, or from the measured state in dimensions where the robot is far from
        it.
        """
        self._drop()
        self._whereabouts.doubt()
        self._paused = False

    def reset(self) -> None:
        """Starts a new hard epoch: all chunks, requests and results in flight are dropped. Ends an e-stop."""
        self._drop()
        self._whereabouts.doubt()
        self._stopped = False

    def set_task(self, task: str) -> None:
        """Changes the task: results in flight are dropped, and the plan runs on until the first new chunk."""
        self._new_epoch()
        self._task = task

    def fail(self, k: int) -> None:
        """Handles an error in tick `k`, after `observe`: drops the plan, sends a hold, and stops the robot."""
        self._drop()
        try:
            self.act(k, lambda j: j == 0)
        finally:
            self._robot.stop()

    def _drop(self) -> None:
        self._new_epoch()
        self._timeline = Timeline(blend=self._strategy.blend)
        self._buffer.forget()
        self._discrete.forget()
        self._ramp = True

    def _halt(self, why: str) -> None:
        """Makes the executor's own e-stop, because of `why`. Raises RobotError if the robot does not stop."""
        if self._stopped:
            return
        self.halted = f"the robot was stopped, for {why} (guard.give_up_ticks)"
        try:
            self.estop()
        except Exception as error:
            raise RobotError(f"{self.halted}, and did not stop ({error_text(error)})") from error

    def _new_epoch(self) -> None:
        self._epoch += 1
        self._open = None
        self._last_request = None

    def _decide(self, k: int) -> tuple[Chunk | None, FloatArray]:
        """Chunk used in tick `k` (None if there is none) and the action (A,): its row, or a hold."""
        covering = () if self._paused or self._buffer.trouble else self._timeline.covering(k)
        if not covering:
            return None, self._homeward(self._discrete.hold(self._next_hold()))
        row = self._timeline.blend(covering, k, k + 1)[0]
        if self._corrector is not None:
            row = self._corrector(row, k, covering[-1], self._buffer.seen)
        return covering[-1], self._discrete(row, self._history.last)

    def _homeward(self, held: FloatArray) -> FloatArray:
        """Next target (A,) on the move to the rest pose, or the hold `held` (A,).

        The hold is returned if there is no such move, or in a tick in which state or images are not usable.
        """
        if self._homing is not None and self._homing.over:
            self._homing = None
        return held if self._homing is None or self._buffer.trouble else self._homing.step()

    def _join(self, chunk: Chunk | None, row: FloatArray) -> None:
        """Prepares the guard for the action of this tick.

        Restarts dimensions that begin from the measured state, and starts the ramp at the first row of an epoch and,
        after a hold, at a row far from the last setpoint.
        """
        anew = self._whereabouts.anew
        if anew is not None:
            self._guard.rejoin(self._next_hold(), anew)
        if chunk is not None and (self._ramp or (self._starved and self._leaps(chunk, row))):
            self._guard.ease()
            self._ramp = False
        self._starved = chunk is None

    def _leaps(self, chunk: Chunk, row: FloatArray) -> bool:
        """Whether a position in `row` (A,) is more than `LEAP` of the chunk's longest steps from the last setpoint."""
        last = self._history.last
        if last is None:
            return False
        steps = np.abs(np.diff(chunk.rows, axis=0)).max(axis=0, initial=0.0)
        return bool((np.abs(row - last) > LEAP * steps).any(where=self._targets))

    def _send(
        self, k: int, row: FloatArray, pace: Pace, sent: Sent, chunk: Chunk | None
    ) -> tuple[FloatArray | None, int]:
        """Sends `row` (A,) as setpoints, each through the guard and when it is due.

        Returns the action (A,) that these setpoints amount to, None if all were too late to be sent, and the guard's
        flags. chunk: the chunk that the row is from; None for a hold.
        """
        holds = chunk is None and self._homing is None
        went: list[FloatArray] = []
        flags, other, left_out = 0, False, 0
        trusted = self._buffer.trusted
        for j, setpoint in enumerate(self._setpoints(k, row)):
            if not pace(j):
                left_out += 1
                continue  # the next setpoint is already due
            asked = self._guard.resting(setpoint) if holds else setpoint
            allowed, flag = self._guard(asked, trusted.state, trusted.age, eases=chunk is not None)
            self._robot.write(allowed)
            if not went:
                sent()
            went.append(allowed)
            flags |= flag
            other = other or (holds and not np.array_equal(asked, setpoint))
        if not went:
            sent()
            return None, 0
        if left_out:
            self._guard.left_out(left_out)
        effect = self._servo.effect(row, np.stack(went)) if flags or other or left_out else row
        return effect, flags | self._buffer.trouble

    def _setpoints(self, k: int, row: FloatArray) -> Iterator[FloatArray]:
        """Yields setpoints (A,): first that of `row`, then those between it and the next row, if that is known."""
        yield self._servo.first(row)
        if self._servo.substeps > 1:
            waits = self._ramp or self._paused or self._buffer.trouble  # the next tick will not use the timeline
            after = None if waits else self._timeline.action(k + 1)
            last, after = self._history.last, self._hold.rows(row, 1)[0] if after is None else after
            yield from self._servo.setpoints(last, row, after)[1:]

    def _rest(self, k: int) -> TickStatus:
        """Records tick `k` of a robot that is stopped, or whose position is not known yet; nothing is sent."""
        last = self._history.last
        action = unknown(len(self._robot.spec.action)) if last is None else self._hold.still(last)
        if last is not None:
            self._history.append(k, action)
        status = TickStatus.ESTOP if self._stopped else TickStatus.STALE
        self._record(k, status, action, None, self._buffer.trouble or (0 if self._stopped else STALE))
        return status

    def _status(self, chunk: Chunk | None) -> TickStatus:
        if self._buffer.trouble:
            return TickStatus.STALE
        if self._paused:
            return TickStatus.PAUSED
        return TickStatus.UNDERRUN if chunk is None else TickStatus.OK

    def _accept(self, k: int) -> None:
        """Takes the result in the inbox, once."""
        result = self.inbox.peek()
        if result is None or result is self._answered:
            return
        self._answered = result
        if isinstance(result, Failure):
            self._give_up(result)
            return
        chunk, outcome = None, Outcome.DROPPED
        if not result.made & ResultFlags.NO_ANSWER:
            self._delay.add(result.cost)  # how long no answer took says nothing of how long an answer takes
        if result.request.epoch == self._epoch:
            self._open = None
            chunk, outcome = self._placed(result, k)
        if chunk is not None:
            self._timeline = self._timeline.add(chunk)
        self.trace.inference(inference_record(result, chunk, outcome, k))

    def _placed(self, result: Result, k: int) -> tuple[Chunk | None, Outcome]:
        """The chunk of `result`, which is of this epoch and was taken at tick `k`, and the outcome.

        After no answer the next request is due as if there had been none before.
        """
        if result.made & ResultFlags.NO_ANSWER:
            self._last_request = None
            return None, Outcome.NO_ANSWER
        if result.made & ResultFlags.REFUSED:
            return None, Outcome.REFUSED
        chunk = self._strategy.schedule(result, k)
        if chunk is None:
            return None, Outcome.EXPIRED
        return chunk, Outcome.LATE if chunk.lost > result.request.rows_passed else Outcome.PLACED

    def _give_up(self, failure: Failure) -> None:
        """Drops the plan and requests nothing more. Called when the planner or the encoder worker has failed."""
        self.failure = failure
        self.pause()

    def _ask(self, k: int) -> Snapshot:
        """Snapshot of this tick, with a request for a chunk if one is due."""
        if self._open is not None:
            return self._snapshot(k, self._open, ahead=max(self._open.deadline - k, 1))
        if self._due(k):
            asked = self._snapshot(k, None, ahead=self._horizon)
            self._open = self._strategy.plan(asked, min(self._delay.delay, self._horizon))
            self._last_request = k
            return asked.with_request(self._open)
        return Snapshot(k, self._observations, self._no_rows, self._no_rows, self._epoch, self._seed)

    def _due(self, k: int) -> bool:
        """Whether a request is made in tick `k`."""
        may_ask = self._open is None and self._may_ask
        return may_ask and self._strategy.trigger.due(k, self._timeline.stop, self._last_request)

    def _needs_images(self, k: int) -> bool:
        """Whether to read the cameras in tick `k`.

        They are read in every tick. Those that render on demand are read only if a request may be due in this tick, or
        in one of the n_obs - 1 ticks after it.
        """
        if self._buffer.films or self._due(k):
            return True
        due, stop, last = self._strategy.trigger.due, self._timeline.stop, self._last_request
        return any(due(later, stop, last) for later in range(k + 1, k + self._n_obs))

    @property
    def _may_ask(self) -> bool:
        return not (self._paused or self._stopped or self._buffer.trouble)

    def _snapshot(self, k: int, request: Request | None, ahead: int) -> Snapshot:
        """Snapshot at the start of tick `k`, with `ahead` planned rows."""
        sent = self._history.tail(2 * self._horizon)  # a request may be H ticks old, and its states H older
        planned, covered = planned_rows(self._timeline, k, ahead, self._hold, self._next_hold, self._epoch)
        return Snapshot(k, self._observations, sent, planned, self._epoch, self._seed, request, covered)

    def _next_hold(self) -> FloatArray:
        """Action (A,) of a hold in this tick."""
        return self._whereabouts.hold(self._history.last)

    def _record(self, k: int, status: TickStatus, action: FloatArray, chunk: Chunk | None, guard: int = 0) -> None:
        asked = -1 if self._open is None else self._open.tick
        seen = self._buffer.seen
        self.trace.tick(k, self._epoch, status, chunk, asked, action, seen.state, seen.environment, guard, seen.age)

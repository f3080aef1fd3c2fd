"""The executor sends the robot one action per tick, whatever the planner does.

    observe(k)   read the robot -> take a result if there is one -> publish the snapshot, with a request if one is due
    act(k)       the timeline's action for k, or a hold -> send it -> enter it into history and trace

A tick is the two, back to back. They are apart so that a driver in simulated time can let an instant planner answer in
between, and so that the worker starts on a snapshot before this tick's action is sent.

Threads: everything belongs to the executor thread, but `inbox` is written and `outbox` read by the worker.
Hot path: `tick` and `skip` take no lock, read no clock, log nothing and never call torch.
"""

from collections.abc import Mapping

from rollahead.runtime.arrays import FloatArray, frozen, unknown
from rollahead.runtime.chunk import Chunk, Timeline
from rollahead.runtime.delay import DelayEstimator
from rollahead.runtime.history import History
from rollahead.runtime.hold import Hold
from rollahead.runtime.lookahead import planned_rows
from rollahead.runtime.mailbox import Mailbox
from rollahead.runtime.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.robots import Frame, Reading, Robot
from rollahead.runtime.strategy import Strategy
from rollahead.runtime.trace import Outcome, TickStatus, Trace, inference_record


class Executor:
    """Runs `strategy` on `robot`. horizon: ticks that a chunk lasts; n_obs: observations in a request."""

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
    ) -> None:
        self.inbox: Mailbox[Result] = Mailbox()
        self.outbox: Mailbox[Snapshot] = Mailbox()
        self.trace = trace
        self._robot = robot
        self._strategy = strategy
        self._delay = delay
        self._hold = Hold(robot.spec)
        self._horizon = horizon
        self._history = History(2 * horizon, len(robot.spec.action))
        self._no_rows = self._history.tail(0)
        self._seen = Reading(unknown(len(robot.spec.state)), unknown(len(robot.spec.environment)))
        self._timeline = Timeline(fold=strategy.fold)
        self._n_obs = n_obs
        self._observations: tuple[Observation, ...] = ()
        self._seed = seed
        self._task = task
        self._epoch = 0
        self._rejoin = True  # nothing was sent in this epoch yet
        self._open: Request | None = None
        self._last_request: int | None = None
        self._answered: Result | None = None

    def tick(self, k: int) -> TickStatus:
        """Reads the robot and sends the action of tick `k`. Phase: hot."""
        self.observe(k)
        return self.act(k)

    def observe(self, k: int) -> None:
        """The first half of tick `k`. Phase: hot."""
        reading = self._robot.read()
        self._seen = Reading(frozen(reading.state), frozen(reading.environment), reading.age)
        self._observations = self._window(k, self._seen, self._robot.frames())
        self._accept(k)
        self._publish(k)

    def act(self, k: int) -> TickStatus:
        """The second half of tick `k`. Phase: hot."""
        self._accept(k)
        covering = self._timeline.covering(k)
        action = self._timeline.fold(covering, k, k + 1)[0] if covering else self._next_hold()
        self._robot.write(action)
        self._history.append(k, action)
        self._rejoin = False
        status = TickStatus.OK if covering else TickStatus.UNDERRUN
        self._record(k, status, action, covering[-1] if covering else None)
        return status

    def skip(self, k: int) -> None:
        """Tick `k` is not sent: its deadline has passed. History gets what the robot in effect did. Phase: hot."""
        last = self._history.last
        action = unknown(len(self._robot.spec.action)) if last is None else self._hold.skipped(last)
        if last is not None:  # else nothing is known of what the robot did
            self._history.append(k, action)
        self._record(k, TickStatus.OVERRUN, action, None)

    def reset(self) -> None:
        """A hard epoch: all chunks, requests and results in flight are dropped, and the robot holds."""
        self._new_epoch()
        self._timeline = Timeline(fold=self._strategy.fold)
        self._observations = ()
        self._rejoin = True

    def set_task(self, task: str) -> None:
        """Another task: results in flight are dropped, and what is planned runs on until the new chunk."""
        self._new_epoch()
        self._task = task

    def fail(self, k: int) -> None:
        """Something failed in tick `k`, after `observe`: the plan is dropped, a hold is sent, and the robot stops."""
        self.reset()
        self.act(k)
        self._robot.stop()

    def _new_epoch(self) -> None:
        self._epoch += 1
        self._open = None
        self._last_request = None

    def _accept(self, k: int) -> None:
        """Takes the result in the inbox, once."""
        result = self.inbox.peek()
        if result is None or result is self._answered:
            return
        self._answered = result
        self._delay.add(result.cost)
        chunk = None
        outcome = Outcome.DROPPED
        if result.request.epoch == self._epoch:
            self._open = None
            chunk = self._strategy.place(result, k)
            outcome = Outcome.EXPIRED if chunk is None else Outcome.LATE if chunk.lost else Outcome.PLACED
        if chunk is not None:
            self._timeline = self._timeline.add(chunk)
        self.trace.inferences.append(inference_record(result, chunk, outcome, k))

    def _publish(self, k: int) -> None:
        """Rebinds the outbox to this tick's snapshot, asking for a chunk if one is due."""
        if self._open is not None:
            self.outbox.put(self._snapshot(k, self._open, ahead=max(self._open.deadline - k, 1)))
        elif self._strategy.trigger.due(k, self._timeline.stop, self._last_request):
            asked = self._snapshot(k, None, ahead=self._horizon)
            self._open = self._strategy.plan(asked, min(self._delay.delay, self._horizon))
            self._last_request = k
            self.outbox.put(self._open.asked.with_request(self._open))
        else:
            empty = self._no_rows
            self.outbox.put(Snapshot(k, self._observations, empty, empty, self._epoch, self._seed))

    def _snapshot(self, k: int, request: Request | None, ahead: int) -> Snapshot:
        """What is known at the head of tick `k`, with `ahead` planned rows."""
        sent = self._history.tail(2 * self._horizon)  # a request may be H ticks old, and its states H older
        planned = planned_rows(self._timeline, k, ahead, self._hold, self._next_hold)
        return Snapshot(k, self._observations, sent, planned, self._epoch, self._seed, request)

    def _next_hold(self) -> FloatArray:
        """(A,), what a hold now sends."""
        last = self._history.last
        if self._rejoin or last is None:
            return self._hold.first(self._seen.state, last)
        return self._hold.rows(last, 1)[0]

    def _window(self, k: int, reading: Reading, frames: Mapping[str, Frame]) -> tuple[Observation, ...]:
        """The n_obs observations to tick `k`, one tick apart; a missing one is the nearest older, or the first."""
        newest = Observation(
            tick=k,
            state=reading.state,
            environment=reading.environment,
            images={name: frame.image for name, frame in frames.items()},
            image_ticks={name: k - frame.age for name, frame in frames.items()},
            task=self._task,
            state_age=reading.age,
        )
        if self._n_obs == 1:
            return (newest,)
        seen = (*self._observations, newest)
        return tuple(
            next((old for old in reversed(seen) if old.tick <= k - back), seen[0])
            for back in range(self._n_obs - 1, -1, -1)
        )

    def _record(self, k: int, status: TickStatus, action: FloatArray, chunk: Chunk | None) -> None:
        asked = -1 if self._open is None else self._open.tick
        self.trace.tick(k, self._epoch, status, chunk, asked, action, self._seen.state, self._seen.environment)

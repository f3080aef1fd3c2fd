"""The worker: waits for a request, runs the inference, and puts the result into the executor's inbox.

Threads: the worker's own, in the process that started the runtime; it owns the planner and every use of torch.
"""

import threading
from collections.abc import Callable
from dataclasses import replace

from rollahead.errors import ControlError, InferenceError, one_line
from rollahead.runtime.drivers.stages import Stage, unsaid
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import LatencyModel
from rollahead.runtime.planning.timer import ClockTimer, LatencyTimer
from rollahead.runtime.planning.warm_up import following
from rollahead.runtime.system.clock import Clock, Grid
from rollahead.runtime.transport.mailbox import Channel
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.types.messages import Failure, Request, Result, ResultFlags, Snapshot

WAIT_S = 0.1  # longest wait for a request before it checks whether it must end
AFTER_HEAD = 0.25  # ticks from the head of a tick until its snapshot is surely published
BEFORE_HEAD = 0.5  # ticks from the end of an injected latency to the head of the tick in which the result is due


class Worker:
    """Answers the requests in `outbox` with results in `inbox`.

    Args:
        inference: Runs one inference.
        outbox: Channel of the executor's snapshots, which hold the open request.
        inbox: Channel for results, or for the failure of the planner.
        clock: Clock of the run.
        latency: Model of an injected latency, by which every inference lasts in real time; None for none.
        seed: Seed of the injected latencies.
    """

    def __init__(
        self,
        inference: Inference,
        outbox: Channel[Snapshot],
        inbox: Channel[Result | Failure],
        clock: Clock,
        latency: LatencyModel | None = None,
        seed: int = 0,
    ) -> None:
        self.error: Exception | None = None
        self._inference = inference
        self._outbox = outbox
        self._inbox = inbox
        self._clock = clock
        self._latency = latency
        self._seed = seed
        self._taken: Request | None = None
        self._begun = 0
        self._ending = threading.Event()

    def warm(self, times: int, rate_hz: float, stage: Stage = unsaid) -> list[float]:
        """Runs `times` inferences before the first tick and returns the cost of each, in ticks. Phase: warm.

        Each request differs from the one before, as in a run (`rollahead.runtime.planning.warm_up`).

        Args:
            times: Number of inferences.
            rate_hz: Control rate.
            stage: Shows the progress.

        Raises: InferenceError, if the planner has no answer to a request.
        """
        first = request = self._newest().request
        assert first is not None and request is not None, "the executor asks before the first tick"
        costs = []
        with stage("warming up") as at:
            for n in range(times):
                at(f"{n + 1} of {times}")
                began_ns = self._clock.now_ns()
                result = self._inference(request, _always(request.asked))
                if result.made & ResultFlags.NO_ANSWER:
                    raise InferenceError(
                        f"the planner had no answer to request {n + 1} of {times}; see that it can answer, then start "
                        "again"
                    )
                costs.append((self._clock.now_ns() - began_ns) * 1e-9 * rate_hz)
                request = following(first, n + 1, result.rows)
        self._taken = first
        return costs

    def run(self, wake: WakeEvent, grid: Grid) -> None:
        """Answers requests until `end` is called or the planner fails.

        If the planner fails, `error` is set and the executor receives a `Failure`.
        """
        try:
            while not self._ending.is_set():
                if not self.step(grid):
                    wake.wait(WAIT_S)
        except BaseException as error:  # a planner's library may raise SystemExit
            kind, words = type(error).__name__, one_line(error)
            told = InferenceError(f"the planner ended with {one_line(error, repr)}")
            self.error = error if isinstance(error, Exception) else told
            self._inbox.put(Failure(words if isinstance(error, ControlError) else f"{kind}: {words}"))

    def end(self, wake: WakeEvent) -> None:
        """Asks `run` to return after the inference that is under way."""
        self._ending.set()
        wake.ring()

    def step(self, grid: Grid) -> bool:
        """Answers the open request, if it is new, and returns whether it was. Phase: hot."""
        snapshot = self._outbox.peek()
        if snapshot is None or snapshot.request is None or snapshot.request is self._taken:
            return False
        self._taken = asked = snapshot.request
        queue_ns = max(self._clock.now_ns() - grid.due_ns(asked.tick), 0)
        result = self._answer(asked, snapshot.tick, grid)
        self._inbox.put(replace(result, stages=result.stages._replace(queue_ns=queue_ns)))
        return True

    def _answer(self, request: Request, begun: int, grid: Grid) -> Result:
        if self._latency is None:
            result = self._inference(request, self._newest, ClockTimer(self._clock, grid, request.deadline))
            took_ns = self._clock.now_ns() - grid.due_ns(begun)
            return replace(result, cost=took_ns * 1e-9 * grid.rate_hz + result.cost)
        latency = self._inference.timed(self._latency.sample(self._seed, self._begun, begun))
        self._begun += 1
        if latency.bind:
            self._clock.sleep_until_ns(grid.due_ns(begun + latency.bind + AFTER_HEAD))
        timer = LatencyTimer(latency, request.deadline - begun)
        result = self._inference(request, self._newest, timer)
        done = timer.done if result.made & ResultFlags.CUT else latency.done
        self._clock.sleep_until_ns(grid.due_ns(begun + done - BEFORE_HEAD))
        return replace(result, cost=latency.done)

    def _newest(self) -> Snapshot:
        snapshot = self._outbox.peek()
        assert snapshot is not None, "the executor publishes before the worker looks"
        return snapshot


def _always(snapshot: Snapshot) -> Callable[[], Snapshot]:
    return lambda: snapshot

"""The lockstep driver: runs the core in simulated time, deterministic to the bit for a seed.

One tick:   a result whose time has come is delivered -> the executor observes -> an inference that is due binds its
            state -> the executor acts -> the world moves on by one period

Stage times, which are of the wall clock, are left out of results: a trace in simulated time is the same on any machine.

An encoder worker, if there is one, encodes images after the executor has observed; how long it takes is fixed.

Threads: none; the work of the worker's thread is done here too. In a tick that is skipped the worker rests as well.
There is one worker: a request that comes while it is busy waits. A latency model says how long an inference takes.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, replace

from rollahead.runtime.control.executor import Executor
from rollahead.runtime.drivers.encoder_worker import LockstepEncoder
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Latency, LatencyModel
from rollahead.runtime.planning.timer import LatencyTimer
from rollahead.runtime.types.messages import NO_TIMES, Request, Result, ResultFlags, Snapshot


@dataclass(slots=True)
class _Flight:
    """An inference that has begun and whose result was not delivered yet."""

    request: Request
    begun: int
    latency: Latency
    result: Result | None = None
    done_at: int = 0  # tick at which the result is delivered, once there is one


class Lockstep:
    """Drives `executor` and one worker in simulated time.

    Args:
        executor: The executor to drive.
        inference: Answers requests.
        latency: How long each inference takes, in ticks.
        advance: Moves the world on by one tick.
        seed: Seed of the latencies.
        skipped: Ticks whose deadline is taken to have passed.
        encoder_worker: Encodes images for a corrector that uses them; None for none.
    """

    def __init__(
        self,
        executor: Executor,
        inference: Inference,
        latency: LatencyModel,
        advance: Callable[[], None],
        *,
        seed: int = 0,
        skipped: Container[int] = (),
        encoder_worker: LockstepEncoder | None = None,
    ) -> None:

        self._executor = executor
        self._inference = inference
        self._latency = latency
        self._advance = advance
        self._seed = seed
        self._skipped = skipped
        self._encoder_worker = encoder_worker
        self._flight: _Flight | None = None
        self._taken: Request | None = None  # the request last begun
        self._begun = 0

    @property
    def unanswered(self) -> bool:
        """Whether an inference is still in progress."""
        return self._flight is not None

    def run(self, start: int, stop: int, until: Callable[[], bool] = lambda: False) -> int:
        """Runs ticks `[start, stop)`, or to the first after which `until` holds; returns the first tick not run."""
        for k in range(start, stop):
            self.tick(k)
            if until():
                return k + 1
        return stop

    def tick(self, k: int) -> None:
        """Runs one tick of robot, worker and world.

        If the planner or the image encoder fails, a hold is sent and the robot is stopped before the error is raised.
        """
        if k in self._skipped:
            self._executor.skip(k)
        else:
            self._deliver(k)
            worker = self._encoder_worker
            self._executor.observe(k, images=worker is not None and worker.needs_images(k))
            try:
                self._think(k)
                if self._encoder_worker is not None:
                    self._encoder_worker.tick(k)
            except Exception:
                self._executor.fail(k)
                raise
            self._deliver(k)
            self._executor.act(k)
        self._advance()

    def _think(self, k: int) -> None:
        """Begins the open request if the worker is free, and infers when the state is due to be bound."""
        snapshot = self._snapshot()
        if self._flight is None and snapshot.request is not None and snapshot.request is not self._taken:
            self._flight = self._begin(snapshot.request, k)
        flight = self._flight
        if flight is not None and flight.result is None and k >= flight.begun + flight.latency.bind:
            timer = LatencyTimer(flight.latency, flight.request.deadline - flight.begun)
            result = self._inference(flight.request, self._snapshot, timer)
            flight.result = replace(result, cost=flight.latency.done, stages=NO_TIMES)
            flight.done_at = flight.begun + (timer.done if result.made & ResultFlags.CUT else flight.latency.done)

    def _begin(self, request: Request, k: int) -> _Flight:
        latency = self._inference.timed(self._latency.sample(self._seed, self._begun, k))
        self._taken = request
        self._begun += 1
        return _Flight(request, k, latency)

    def _deliver(self, k: int) -> None:
        flight = self._flight
        if flight is not None and flight.result is not None and k >= flight.done_at:
            self._executor.inbox.put(flight.result)
            self._flight = None

    def _snapshot(self) -> Snapshot:
        snapshot = self._executor.outbox.peek()
        assert snapshot is not None, "the executor publishes before the worker looks"
        return snapshot

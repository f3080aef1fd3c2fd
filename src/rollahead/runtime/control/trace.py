"""The trace: records of what happened in each tick and each inference.

Both go to rings that are allocated once. A `Recorder` follows them while the robot runs; after the run, the records
that are left can be read.

Threads: the executor writes; any other may follow, also in another process.
"""

import enum
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.system.clock import Clock, FakeClock
from rollahead.runtime.transport.shared import Ring
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.chunk import Chunk
from rollahead.runtime.types.messages import NEVER, Result, StageTimes
from rollahead.runtime.types.spec import RobotSpec, names_of


class TickStatus(enum.IntEnum):
    """Outcome of a tick."""

    OK = 0
    UNDERRUN = 1  # no chunk had an action: a hold was sent
    OVERRUN = 2  # skipped: its deadline had passed, nothing was sent
    STALE = 3  # no usable state: a hold was sent, or nothing before the first state
    PAUSED = 4  # a hold was sent because of a pause
    ESTOP = 5  # stopped, and nothing sent until a reset


class Outcome(enum.Enum):
    """Outcome of an inference."""

    PLACED = "placed"
    LATE = "late"  # placed after its deadline, so that rows were lost that could have been used
    EXPIRED = "expired"  # none of its rows is used: all came too late, or it is discarded as too late
    DROPPED = "dropped"  # its epoch is over
    REFUSED = "refused"  # its rows had NaN or infinite values
    NO_ANSWER = "no_answer"  # the planner had no answer this time


OUTCOMES = [outcome.value for outcome in Outcome]
STAGES = StageTimes._fields  # columns of inferences


@dataclass(frozen=True, slots=True)
class InferenceRecord:
    """Record of one inference, in ticks. Records are equal if they agree on all but the times in ns.

    Attributes:
        request: Tick of the request.
        epoch: Epoch of the request.
        accepted: Tick at which the executor took the result.
        delay_planned: d, ticks planned from observation to switch.
        delay: accepted - request.
        outcome: Value of an `Outcome`.
        state_tick: Tick at which the state was measured that the plan starts from.
        calls: Number of network calls, see `Result`.
        rows: Number of rows in the result.
        origin: Tick that row 0 is for; None without a chunk.
        start: First tick at which the chunk could be used; None without a chunk.
        lost: Number of rows that came too late.
        steps: Number of denoising steps.
        made: Flags of how the rows were made, see `ResultFlags`.
        queue_ns to publish_ns: Durations of the stages, see `StageTimes`.
    """

    request: int
    epoch: int
    accepted: int
    delay_planned: int
    delay: int
    outcome: str
    state_tick: int
    calls: int
    rows: int
    origin: int | None
    start: int | None
    lost: int
    steps: int = 1
    made: int = 0
    queue_ns: int = field(default=0, compare=False)
    infer_ns: int = field(default=0, compare=False)
    encode_ns: int = field(default=0, compare=False)
    bind_ns: int = field(default=0, compare=False)
    denoise_ns: int = field(default=0, compare=False)
    post_ns: int = field(default=0, compare=False)
    publish_ns: int = field(default=0, compare=False)


def inference_record(result: Result, chunk: Chunk | None, outcome: Outcome, k: int) -> InferenceRecord:
    """Record of `result`, taken at tick `k` and made into `chunk`; `chunk` is None if nothing of it is used."""
    return InferenceRecord(
        request=result.request.tick,
        epoch=result.request.epoch,
        accepted=k,
        delay_planned=result.request.delay,
        delay=k - result.request.tick,
        outcome=outcome.value,
        state_tick=result.state_tick,
        calls=result.calls,
        rows=len(result.rows),
        origin=chunk.origin if chunk else None,
        start=chunk.start if chunk else None,
        lost=chunk.lost if chunk else len(result.rows),
        steps=result.steps,
        made=result.made,
        **result.stages._asdict(),
    )


_FIELDS = tuple(InferenceRecord.__dataclass_fields__)
_INFERENCE = np.dtype([(name, np.int64) for name in _FIELDS])


class Trace:
    """Records of the newest `capacity` ticks and inferences of one robot.

    Args:
        spec: Spec of the robot.
        capacity: Number of ticks, and of inferences, that are kept.
        clock: Clock for the times of a tick; None in simulated time, where they are 0.
        shared: Whether another process may follow.
    """

    def __init__(self, spec: RobotSpec, capacity: int, clock: Clock | None = None, *, shared: bool = False) -> None:
        self.rate_hz = spec.rate_hz
        self._spec = spec
        self._clock = clock or FakeClock()
        self._began_ns = 0
        fields = [
            ("tick", np.int64),
            ("epoch", np.int32),
            ("status", np.int8),
            ("guard", np.int16),  # flags of the guard, `rollahead.runtime.safety.guard.Flag`
            ("chunk", np.int64),  # tick of the request that the action's chunk answers; -1 for a hold
            ("row", np.int32),  # index of the action's row in that chunk; -1 for a hold
            ("age", np.int32),  # ticks since the oldest part of the observation behind it; -1 for a hold
            ("state_age", np.int32),  # ticks since the state was measured
            ("request", np.int64),  # tick of the open request; -1 if none
            ("began_ns", np.int64),  # when the tick began, and when its last setpoint was sent
            ("sent_ns", np.int64),
            ("action", np.float64, (len(spec.action),)),
            ("state", np.float64, (len(spec.state),)),
            ("environment", np.float64, (len(spec.environment),)),
        ]
        self.tick_ring = Ring(fields, capacity, shared=shared)
        self.inference_ring = Ring(_INFERENCE, capacity, shared=shared)

    def begin(self) -> None:
        """Notes when a tick begins. Phase: hot."""
        self._began_ns = self._clock.now_ns()

    def tick(
        self,
        k: int,
        epoch: int,
        status: TickStatus,
        chunk: Chunk | None,
        request: int,
        action: FloatArray,
        state: FloatArray,
        environment: FloatArray,
        guard: int = 0,
        state_age: int = 0,
    ) -> None:
        """Records tick `k`. Phase: hot."""
        source = (-1, -1, -1) if chunk is None else (chunk.request, k - chunk.origin, k - chunk.obs_tick)
        times = (self._began_ns, self._clock.now_ns())
        vectors = (*action.tolist(), *state.tolist(), *environment.tolist())
        self.tick_ring.append((k, epoch, status, guard, *source, state_age, request, *times, *vectors))

    def inference(self, record: InferenceRecord) -> None:
        """Records an inference. Phase: hot."""
        self.inference_ring.append(_packed(record))

    @property
    def ticks(self) -> NDArray[Any]:
        """Records of the ticks, oldest first, as a structured array; a copy."""
        return self.tick_ring.newest()

    @property
    def inferences(self) -> list[InferenceRecord]:
        """Records of the inferences, oldest first."""
        return [unpacked(packed) for packed in self.inference_ring.newest()]

    def tick_columns(self, ticks: NDArray[Any] | None = None, **constants: object) -> dict[str, Any]:
        """Columns of tick records: one per field, and one per dimension, named `action.<name>` and so on.

        Args:
            ticks: Structured array of records; None for all that are kept.
            constants: Further columns with one value each.
        """
        ticks = self.ticks if ticks is None else ticks
        columns: dict[str, Any] = {name: np.full(len(ticks), value) for name, value in constants.items()}
        vectors = {"action": self._spec.action, "state": self._spec.state, "environment": self._spec.environment}
        for name in ticks.dtype.names or ():
            if name not in vectors:
                columns[name] = ticks[name]
        for name, dims in vectors.items():
            for j, dim in enumerate(names_of(dims)):
                columns[f"{name}.{dim}"] = ticks[name][:, j]
        return columns

    def inference_rows(self, **constants: object) -> list[dict[str, object]]:
        """Inferences as one dictionary each, with `constants` first."""
        return [{**constants, **asdict(record)} for record in self.inferences]


def _packed(record: InferenceRecord) -> tuple[int, ...]:
    """Record as integers: an outcome by its index in `OUTCOMES`, and None as `NEVER`."""
    return tuple(
        NEVER if value is None else OUTCOMES.index(value) if isinstance(value, str) else value
        for value in (getattr(record, name) for name in _FIELDS)
    )


def unpacked(packed: Any) -> InferenceRecord:
    """Record from an entry of the ring."""
    values: dict[str, Any] = {name: None if packed[name] == NEVER else int(packed[name]) for name in _FIELDS}
    return InferenceRecord(**{**values, "outcome": OUTCOMES[packed["outcome"]]})

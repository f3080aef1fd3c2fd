"""The trace: what happened, tick by tick and inference by inference.

Ticks go to a ring that is allocated once; an inference, which is rare, adds a record to a list.
Threads: the executor writes; whoever reads does so after it has stopped.
"""

import enum
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.chunk import Chunk
from rollahead.runtime.messages import Result
from rollahead.runtime.run_folder import written_whole
from rollahead.runtime.spec import RobotSpec, names_of


class TickStatus(enum.IntEnum):
    """How a tick went."""

    OK = 0
    UNDERRUN = 1  # no chunk had an action: a hold was sent
    OVERRUN = 2  # skipped: its deadline had passed, nothing was sent


class Outcome(enum.Enum):
    """What became of an inference."""

    PLACED = "placed"
    LATE = "late"  # placed, but its first rows were lost
    EXPIRED = "expired"  # all of its rows came too late
    DROPPED = "dropped"  # of an epoch that is over


@dataclass(frozen=True, slots=True)
class InferenceRecord:
    """One inference, in ticks. request: when it was asked for; accepted: when the executor took it; start: when its
    chunk could first be used; delay: accepted - request; lost: rows that came too late; rows: how many it had."""

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


def inference_record(result: Result, chunk: Chunk | None, outcome: Outcome, k: int) -> InferenceRecord:
    """The record of `result`, taken at tick `k` and made into `chunk`, if it was."""
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
    )


class Trace:
    """The newest `capacity` ticks, and all inferences, of one robot."""

    def __init__(self, spec: RobotSpec, capacity: int) -> None:
        self._spec = spec
        self._ring = np.zeros(
            capacity,
            dtype=[
                ("tick", np.int64),
                ("epoch", np.int32),
                ("status", np.int8),
                ("chunk", np.int64),  # the tick of the request that the action comes from; -1 for a hold
                ("row", np.int32),  # its row in that chunk; -1 for a hold
                ("age", np.int32),  # ticks since the oldest part of the observation behind it; -1 for a hold
                ("request", np.int64),  # the tick of the open request; -1 if none
                ("action", np.float64, (len(spec.action),)),
                ("state", np.float64, (len(spec.state),)),
                ("environment", np.float64, (len(spec.environment),)),
            ],
        )
        self._count = 0
        self.inferences: list[InferenceRecord] = []

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
    ) -> None:
        """Records tick `k`. Phase: hot."""
        source = (-1, -1, -1) if chunk is None else (chunk.request, k - chunk.origin, k - chunk.obs_tick)
        slot = self._count % len(self._ring)
        self._ring[slot] = (k, epoch, status, *source, request, action, state, environment)
        self._count += 1

    @property
    def ticks(self) -> NDArray[Any]:
        """The records, oldest first, as a structured array; a copy."""
        n = len(self._ring)
        if self._count <= n:
            return self._ring[: self._count].copy()
        return np.roll(self._ring, -(self._count % n), axis=0)

    def tick_columns(self, **constants: object) -> dict[str, Any]:
        """The ticks as columns: one per field, and one per dimension, named `action.<name>` and so on; `constants`
        are repeated in each row."""
        ticks = self.ticks
        columns: dict[str, Any] = {name: np.full(len(ticks), value) for name, value in constants.items()}
        for name in ("tick", "epoch", "status", "chunk", "row", "age", "request"):
            columns[name] = ticks[name]
        for group, dims in (
            ("action", self._spec.action),
            ("state", self._spec.state),
            ("environment", self._spec.environment),
        ):
            for j, name in enumerate(names_of(dims)):
                columns[f"{group}.{name}"] = ticks[group][:, j]
        return columns

    def inference_rows(self, **constants: object) -> list[dict[str, object]]:
        """The inferences as one dictionary each, with `constants` first."""
        return [{**constants, **asdict(record)} for record in self.inferences]


def write_parquet(path: Path, tables: Sequence[Any]) -> None:
    """Writes `tables` (pyarrow) one after the other into `path`. Nothing half-written is left under that name.

    Raises: ControlError, if the disk does not take it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with written_whole(path) as unfinished:
        pq.write_table(pa.concat_tables(tables), unfinished)

"""What is known of a plan from the last one."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from every import every
from rollahead.policies.denoising.warm_start import WarmStartCache
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Snapshot
from rollahead.runtime.types.spec import Dim, Kind, PolicySpec, RobotSpec, map_by_name

from ..fakes import Fake

H, PAST = 6, 1
ROBOT = RobotSpec(
    action=(
        Dim("v", kind=Kind.VELOCITY),
        Dim("grip", "", Kind.DISCRETE, 0.0, 1.0, threshold=0.5),
        Dim("x", drives="s"),
    ),
    state=(Dim("s"),),
    rate_hz=50.0,
)
SPEC = PolicySpec(("x", "v", "grip", "spare"), ("s",), horizon=H, rate_hz=50.0)  # another order, and one more
ORDER = [1, 2, 0]  # of the robot's actions in the policy's rows
SHIFT, SCALE = torch.tensor([1.0, -1.0, 0.5, 0.0]), torch.tensor([2.0, 4.0, 0.5, 1.0])
ZERO = (torch.zeros(4) - SHIFT) / SCALE


@dataclass
class Scaled(Fake):
    """Normalised by a shift and a scale; its first row is for the tick before."""

    shape: tuple[int, int] = (H + PAST, 4)

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        return (torch.from_numpy(rows).float() - SHIFT) / SCALE

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        return frozen((chunk * SCALE + SHIFT)[PAST:].double().numpy())


def warm_starts(q: int = 1) -> WarmStartCache:
    return WarmStartCache(Scaled(), SPEC, map_by_name(ROBOT, SPEC), ROBOT, q)


CHUNK = torch.arange((H + PAST) * 4).view(H + PAST, 4) / 8 + 10  # exact in every arithmetic
ROWS = Scaled().rows(CHUNK)


def asked(
    tick: int,
    origin: int | None,
    planned: FloatArray | None = None,
    covered: int = H,
    epoch: int = 0,
    seed: int = 0,
) -> Request:
    rows = frozen(np.zeros((H, 3)) if planned is None else planned)
    snapshot = Snapshot(tick, (Observation(tick, frozen([0.0])),), rows[:0], rows, epoch, seed, covered=covered)
    return Request(snapshot, origin, origin, None, delay=2)


def planned_from(tick: int, origin: int) -> tuple[FloatArray, int]:
    """(H, 3), what the executor plans from `tick` on with the chunk from `origin` as its only one, holding where it is
    over; and how many rows it covers."""
    at = np.arange(tick, tick + H) - origin
    return ROWS[np.clip(at, 0, H - 1)][:, ORDER], int((at < H).sum())


def warm_start(first: Request, second: Request, q: int = 1) -> Any:
    made = warm_starts(q)
    made.keep(first, CHUNK, ROWS)
    return made.warm_start(second)


@every("shift", range(1, H))
@every("ahead", [0, 2])
def test_a_warm_start_is_the_last_chunk_shifted_by_the_difference_of_the_origins(shift: int, ahead: int) -> None:
    """ahead: of the origin to the tick of the request, as with vlash."""
    tick, origin = 10 + shift, 10 + shift + ahead
    planned, covered = planned_from(tick, 10 + ahead)
    made = warm_start(asked(10, 10 + ahead), asked(tick, origin, planned, covered))
    inside = H + PAST - shift
    assert torch.equal(made.chunk[:inside], CHUNK[shift:])
    tail = made.chunk[inside:]
    assert torch.equal(tail[:, [0, 2, 3]], CHUNK[-1:, [0, 2, 3]].expand(shift, 3))  # places and values repeat
    assert torch.equal(tail[:, 1], ZERO[1].expand(shift))  # what moves stands still


@pytest.mark.parametrize("q", [1, 2, 3])
def test_with_a_speed_up_it_is_shifted_by_as_many_rows_as_have_been_sent(q: int) -> None:
    made = warm_start(asked(10, 10), asked(11, 11, *planned_from(11, 10)), q)
    assert torch.equal(made.chunk[: H + PAST - q], CHUNK[q:])


def test_where_the_origin_is_not_known_before_the_arrival_requests_tell_the_shift() -> None:
    made = warm_start(asked(10, None), asked(13, None))
    assert torch.equal(made.chunk[: H + PAST - 3], CHUNK[3:])


def test_what_will_be_sent_otherwise_than_planned_is_in_the_warm_start() -> None:
    planned, covered = planned_from(12, 10)
    held = np.array(planned)
    held[1] = [7.0, 1.0, 3.0]
    made = warm_start(asked(10, 10), asked(12, 12, frozen(held), covered))
    wanted = CHUNK[2:].clone()
    wanted[1 + PAST, :3] = (torch.tensor([3.0, 7.0, 1.0]) - SHIFT[:3]) / SCALE[:3]
    assert torch.equal(made.chunk[: len(wanted)], wanted)  # and what the robot does not take stays


@every("tick", range(11, 11 + H))
def test_what_the_robot_does_not_take_is_known_as_the_last_chunk_has_it(tick: int) -> None:
    made = warm_starts()
    made.keep(asked(10, 10), CHUNK, ROWS)
    planned, covered = planned_from(tick, 10)
    known = made.known(asked(tick, tick, planned, covered))
    rows = np.clip(np.arange(tick, tick + covered) - 10, 0, H - 1)
    assert torch.equal(known, Scaled().normalised(ROWS[rows]))


@pytest.mark.parametrize("last", [None, asked(10, 10, seed=1), asked(20, 20)])
def test_without_a_last_chunk_of_the_run_what_the_robot_does_not_take_is_known_as_zero(last: Request | None) -> None:
    made = warm_starts()
    if last is not None:
        made.keep(last, CHUNK, ROWS)
    assert torch.equal(made.known(asked(12, 12))[:, 3], ZERO[3].expand(H))


FIRST = asked(10, 10)
UNKNOWN = {
    "the first of all": (None, asked(12, 12)),
    "another epoch": (FIRST, asked(12, 12, epoch=1)),
    "another run": (FIRST, asked(12, 12, seed=1)),
    "an earlier tick, as of a run with the same seed": (FIRST, asked(5, 5)),
    "the same tick": (FIRST, asked(10, 12)),
    "no chunk that would run": (FIRST, asked(12, 12, covered=0)),
    "the last one is over": (FIRST, asked(10 + H, 10 + H)),
    "long over": (FIRST, asked(1000, 1000)),
    "its origin is before the last one's": (FIRST, asked(12, 9)),
}


@every("name", UNKNOWN)
def test_nothing_is_known(name: str) -> None:
    first, second = UNKNOWN[name]
    made = warm_starts()
    if first is not None:
        made.keep(first, CHUNK, ROWS)
    assert made.warm_start(second) is None


def test_which_dimensions_are_discrete_and_where_they_turn_is_told_in_the_policys_own_order() -> None:
    made = warm_start(FIRST, asked(12, 12))
    assert made.discrete.tolist() == [False, False, True, False]
    assert float(made.middle[2]) == 0.0  # a threshold of 0.5, normalised


@every("covered", range(H + 1))
def test_what_is_known_are_the_rows_of_chunks_without_holds(covered: int) -> None:
    planned = np.arange(3.0 * H).reshape(H, 3)
    known = warm_starts().known(asked(10, 10, planned, covered))
    assert known.shape == (covered, 4)
    for row, (own, theirs) in product(range(covered), ((0, 2), (1, 0), (2, 1))):
        assert float(known[row, own] * SCALE[own] + SHIFT[own]) == pytest.approx(planned[row, theirs])


def test_a_chunk_that_was_kept_is_its_own() -> None:
    made, chunk = warm_starts(), CHUNK.clone()
    made.keep(FIRST, chunk, ROWS)
    first = made.warm_start(asked(12, 12, *planned_from(12, 10)))
    assert first is not None
    first.chunk.zero_()
    again = made.warm_start(asked(12, 12, *planned_from(12, 10)))
    assert again is not None and torch.equal(again.chunk[: H + PAST - 2], CHUNK[2:])


def test_requests_without_an_origin_are_not_held_to_what_is_planned() -> None:
    other = replace(asked(13, None), asked=asked(13, None, np.full((H, 3), 99.0)).asked)
    assert not (warm_start(asked(10, None), other).chunk > 90).any()

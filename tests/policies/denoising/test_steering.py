"""Masks, guidance and prefixes: against the published numbers, LeRobot's own code, and closed forms."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from benchmarks.denoise import rtc_processor, through_lerobot
from benchmarks.references import rtc_difference

from every import every
from rollahead.policies.denoising.samplers import SampleRequest, make_sampler
from rollahead.policies.denoising.steering import MASKS, PrefixConditioning, RTCGuidance, guidance_weight, soft_mask
from rollahead.policies.process import Flow
from rollahead.runtime.config import techniques

from ..fakes import SHAPE, Gaussian, draws

T, A = SHAPE
PUBLISHED = {  # start 2, end 6, 10 rows
    "linear": [1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0],
    "exp": [1, 1, 0.5706, 0.2871, 0.1145, 0.0258, 0, 0, 0, 0],
    "zeros": [1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    "ones": [1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_is_the_published_one(kind: str) -> None:
    torch.testing.assert_close(soft_mask(kind, 2, 6, 10), torch.tensor(PUBLISHED[kind]).float(), rtol=0, atol=5e-5)


@pytest.mark.parametrize("kind", MASKS)
def test_every_mask_of_up_to_8_rows_is_lerobots(kind: str) -> None:
    lerobots = rtc_processor(kind, 1.0)
    for rows in range(1, 9):
        for start, end in product(range(rows + 1), repeat=2):
            theirs = lerobots.get_prefix_weights(start, end, rows)
            torch.testing.assert_close(soft_mask(kind, start, end, rows), theirs, rtol=0, atol=1e-6)


def test_the_masks_are_those_that_a_strategy_may_have() -> None:
    assert sorted(MASKS) == sorted(techniques.MASKS)


def test_the_weight_of_the_pull_is_the_published_one() -> None:
    found = [guidance_weight(1 - tau, 5.0) for tau in (0, 0.2, 0.4, 0.6, 0.8)]
    assert found == pytest.approx([5, 4.25, 13 / 6, 13 / 6, 4.25])
    assert guidance_weight(1e-6, 5.0) == 5.0


def bent(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A velocity that depends on everything: on x row by row and across rows, and on the time of each row."""
    times = t if t.ndim == 2 else t[:, None].expand(x.shape[:2])
    return torch.sin(2 * x) + 0.3 * x.roll(1, 1) + times[..., None] * x.flip(2)


class Bent(Gaussian):
    """Says that velocity."""

    def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return bent(x, t)


def sampled(steps: int, **draw: Any) -> torch.Tensor:
    policy = Bent(process=Flow("velocity"))
    return make_sampler({"name": "euler", "steps": steps}, policy)(
        policy, None, draws(1, *SHAPE), SampleRequest(**draw)
    ).chunks


TARGET = draws(*SHAPE, seed=9)()


def guided(weights: torch.Tensor, most: float = 5.0, *, full: bool = False) -> RTCGuidance:
    return RTCGuidance(TARGET, weights[:, None], most, Flow("velocity"), full)


@every("steps, most", [(5, 5.0), (10, 10.0), (3, 100.0)])
@every("kind", MASKS)
def test_guidance_with_the_identity_is_lerobots_rtc(kind: str, steps: int, most: float) -> None:
    x = through_lerobot(bent, draws(1, *SHAPE)(), TARGET, steps, kind, most, delay=1, end=4)
    ours = sampled(steps, steering=guided(soft_mask(kind, 1, 4, T), most))
    assert float((ours - x).abs().max()) <= 1e-5
    assert float((ours - sampled(steps)).abs().max()) > 0.01  # and it does something


def test_guidance_is_the_published_formula_for_flow_and_diffusion_policies() -> None:
    assert rtc_difference() <= 1e-5


@pytest.mark.parametrize("full", [False, True])
def test_without_weights_nothing_is_pulled(full: bool) -> None:
    torch.testing.assert_close(sampled(5, steering=guided(torch.zeros(T), full=full)), sampled(5), rtol=0, atol=1e-6)


def test_the_full_pull_goes_back_through_the_network() -> None:
    """One step at t = 1: x0 = x - v(x), so x0' = x0 + w J^T W (target - x0), with J = d x0 / d x by differences."""
    x, weights, w = draws(1, *SHAPE)(), soft_mask("linear", 2, 5, T), 0.7
    policy = Bent(process=Flow("velocity"))
    steering = RTCGuidance(TARGET, weights[:, None], w, policy.process, full=True)
    into = torch.empty(1, T, A), torch.empty(1, T, A)

    def predict(x: torch.Tensor, times: torch.Tensor, into: Any) -> Any:
        return policy.process.split(policy.denoise(None, x, times), x, 1.0, into)  # type: ignore[union-attr]

    made, _ = steering.predict(predict, x, torch.ones(1), 1.0, into)
    clean = (x - bent(x, torch.ones(1))).double()
    one = torch.ones(1).double()
    pull, shift = (weights[:, None] * (TARGET - clean[0])).double(), 1e-6
    wanted = clean.clone()
    for i, j in product(range(T), range(A)):
        moved = x.double()
        moved[0, i, j] += shift
        slope = (moved - bent(moved, one)) - (x.double() - bent(x.double(), one))
        wanted[0, i, j] += w * float((slope[0] / shift * pull).sum())
    torch.testing.assert_close(made.double(), wanted, rtol=1e-3, atol=1e-3)


def test_a_weight_as_great_as_the_steps_moves_the_first_step_onto_the_target() -> None:
    steering, into = guided(torch.ones(T), 1.0), (torch.empty(1, T, A), torch.empty(1, T, A))
    x0, e = draws(2, T, A, seed=1)()
    made = steering.predict(lambda *_: (x0[None].clone(), e[None].clone()), x0[None], torch.ones(1), 1.0, into)
    torch.testing.assert_close(made[0][0], TARGET)
    torch.testing.assert_close(made[1][0], e)  # at t = 1 the mixture is noise alone, whatever the action


@every("n", range(T + 1))
@every("steps", [1, 2, 5])
def test_the_prefix_stands_in_the_chunk_to_the_bit_and_the_network_sees_it_clean_at_time_0(n: int, steps: int) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Looking(Bent):
        def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            seen.append((x.clone(), t.clone()))
            return super().denoise(context, x, t)

    policy = Looking(process=Flow("velocity"))
    sampler = make_sampler({"name": "euler", "steps": steps}, policy)
    made = sampler(policy, None, draws(1, *SHAPE), SampleRequest(steering=PrefixConditioning(TARGET[:n]))).chunks
    assert torch.equal(made[0, :n], TARGET[:n])
    assert len(seen) == steps
    for i, (x, t) in enumerate(seen):
        assert torch.equal(x[0, :n], TARGET[:n])
        assert (t[0, :n] == 0).all()
        assert t[0, n:].tolist() == pytest.approx([1 - i / steps] * (T - n))
    assert math.isfinite(float(made.sum()))
    if not 0 < n < T:
        return
    torch.testing.assert_close(made[0, n:], _by_hand(n, steps)[0, n:])


def _by_hand(n: int, steps: int) -> torch.Tensor:
    """Euler over the rows that are not given, the others kept as they are."""
    x = draws(1, *SHAPE)()
    for i in range(steps):
        x[:, :n] = TARGET[:n]
        times = torch.full((1, T), 1 - i / steps)
        times[:, :n] = 0.0
        x = x - bent(x, times) / steps
    return x

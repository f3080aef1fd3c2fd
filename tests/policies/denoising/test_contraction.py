"""The test of contraction, on a policy whose contraction is known."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from rollahead.errors import ConfigError
from rollahead.policies.denoising.contraction import FILE, Noting, lists, measured, read_levels, write_curve
from rollahead.policies.denoising.samplers import SampleRequest, Steps, WarmStart, make_sampler
from rollahead.policies.process import Flow

from ..fakes import DEVIATION, MEAN, SHAPE, Gaussian, cosine, draws

FLOW = Flow("sample")
NOWHERE = torch.zeros(SHAPE[1], dtype=torch.bool)


def cold_of(process: Any) -> tuple[Gaussian, Any]:
    policy = Gaussian(process=process)
    return policy, make_sampler({"name": "auto"}, policy)


def gain(t: float) -> float:
    """By how much one step at time `t` of a flow keeps an error of its start."""
    return (1 - t) * DEVIATION**2 / ((1 - t) ** 2 * DEVIATION**2 + t**2)


def warm_starts(off: float = 0.0, n: int = 10) -> list[Any]:
    return [(None, MEAN + DEVIATION * draws(*SHAPE, seed=seed)() + off) for seed in range(n)]


def test_the_share_of_an_error_that_one_step_leaves_is_that_of_the_closed_form() -> None:
    policy, cold = cold_of(FLOW)
    curve = measured(policy, cold, warm_starts())
    for one in curve.tried:
        if one.calls == 1:
            assert one.rho == pytest.approx(gain(one.levels[0]), rel=1e-3)
    assert [one.calls for one in curve.tried] == sorted(one.calls for one in curve.tried)
    assert curve.requests == 10


def test_the_spread_is_that_of_two_cold_starts() -> None:
    policy, cold = cold_of(FLOW)
    spread = measured(policy, cold, warm_starts()).spread
    assert spread == pytest.approx(DEVIATION * 2**0.5, rel=0.35)


def test_the_fewest_calls_that_contract_and_are_as_good_as_a_cold_start_are_chosen() -> None:
    policy, cold = cold_of(FLOW)
    curve = measured(policy, cold, warm_starts())
    assert curve.chosen is not None
    assert curve.chosen.calls == 1
    assert curve.chosen.rho < 0.7


def test_where_nothing_contracts_nothing_is_chosen() -> None:
    class Stubborn(Gaussian):
        def clean(self, x: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
            return x  # it keeps whatever it is shown

    policy = Stubborn(process=FLOW)
    cold = make_sampler({"name": "auto"}, policy)
    assert isinstance(cold, Steps)
    assert measured(policy, cold, warm_starts(off=5.0)).chosen is None


@pytest.mark.parametrize("process", [FLOW, cosine(), cosine(k=10)])
def test_lists_fall_from_a_level_that_there_is_to_the_action_and_none_is_tried_twice(process: Any) -> None:
    tried = list(lists(process))
    assert len(set(tried)) == len(tried) or process.steps < 20
    for levels in tried:
        assert all(later < t for t, later in pairwise(levels))
        assert levels[-1] > 0 if isinstance(process, Flow) else (len(levels) == 1 or levels[-1] == 0)
    assert {len(levels) for levels in tried} == {1, 2, 3}


def test_only_requests_with_a_warm_start_are_kept_and_no_more_than_wanted() -> None:
    policy, cold = cold_of(FLOW)
    noting = Noting(cold, 2)
    warm_start = WarmStart(draws(*SHAPE)(), NOWHERE, torch.zeros(SHAPE[1]))
    plain = cold(policy, None, draws(1, *SHAPE))
    for given in (None, warm_start, None, warm_start, warm_start):
        made = noting(policy, None, draws(1, *SHAPE), SampleRequest(warm_start=given))
        assert torch.equal(made.chunks, plain.chunks)
    assert noting.full
    assert len(noting.asked) == 2
    assert noting.calls == cold.calls


def test_no_warm_start_at_all_is_refused() -> None:
    policy, cold = cold_of(FLOW)
    with pytest.raises(ConfigError, match="no request had a last plan to start from, so nothing can be measured"):
        measured(policy, cold, [])


def test_what_was_chosen_is_read_from_beside_the_checkpoint_and_taken_by_rti(tmp_path: Path) -> None:
    policy, cold = cold_of(FLOW)
    assert read_levels(tmp_path) is None
    curve = measured(policy, cold, warm_starts())
    assert write_curve(tmp_path, curve) == tmp_path / FILE
    assert curve.chosen is not None
    policy.warm = read_levels(tmp_path)
    assert policy.warm == curve.chosen.levels
    warm_start = WarmStart(draws(*SHAPE)(), NOWHERE, torch.zeros(SHAPE[1]))
    for options, levels in (({}, curve.chosen.levels), ({"warm": [0.5]}, (0.5,))):
        policy.asked.clear()
        make_sampler({"name": "rti", **options}, policy)(
            policy, None, draws(1, *SHAPE), SampleRequest(warm_start=warm_start)
        )
        assert policy.asked == pytest.approx(list(levels))


@pytest.mark.parametrize("text", ["no", "{}", '{"chosen": 3}', '{"chosen": {"levels": ["a"]}}'])
def test_a_damaged_file_is_refused_with_what_to_do(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"rti\.json is damaged; remove it, or make it again"):
        read_levels(tmp_path)

"""The real-time chunking family: what each does with the rows that are known."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.references import same_choices

from every import every
from rollahead.errors import ConfigError, InferenceError
from rollahead.policies.denoising.chunking import VERIFIERS, BestOf, Guidance, Plain, Prefix, make_chunking
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.denoising.samplers.sampler import Free
from rollahead.policies.denoising.steering import MASKS, PrefixConditioning, RTCGuidance, soft_mask
from rollahead.policies.policy import Trained
from rollahead.policies.process import Flow
from rollahead.runtime.config import techniques
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import BidConfig, GuidanceConfig
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation, Request, Snapshot
from rollahead.runtime.types.spec import PolicySpec

from ..fakes import SHAPE, Gaussian, Once, cosine, draws

T, A = SHAPE
KNOWN = draws(T, A, seed=2)()


@dataclass
class Earlier(Gaussian):
    """Makes a row for the tick before now too."""

    @property
    def spec(self) -> PolicySpec:
        return replace(super().spec, horizon=T - 1)


@dataclass
class Padded(Gaussian):
    """Has names for two numbers of a row."""

    @property
    def spec(self) -> PolicySpec:
        return replace(super().spec, action=("a_0", "a_1"), state=("a_0", "a_1"))


NONE = torch.empty(0, T, A)  # chunks of a weaker policy


def asked(delay: int, ahead: int = 0) -> Request:
    rows = frozen(np.zeros((T, A)))
    seen = (Observation(10, frozen([0.0])),)
    return Request(Snapshot(10, seen, rows[:0], rows, 0, 0), 10 + ahead, 10 + delay, None, delay)


def nested(name: str, *, s: int = 8, **options: Any) -> StrategyConfig:
    """A strategy with the options of its technique."""
    if name == "bid":
        return StrategyConfig(name, s=s, bid=BidConfig(**options))
    return StrategyConfig(name, s=s, guidance=GuidanceConfig(**options))


def made(name: str, policy: Any = None, sampler: Any = None, **options: Any) -> Any:
    policy = policy or Gaussian(process=Flow("sample"), trained=Trained(prefixes=3))
    config = sampler or {"name": "auto"}
    return make_chunking(nested(name, **options), policy, make_sampler(config, policy))


@every("name", ["sync", "naive", "naive_arrival", "ensemble", "vlash"])
def test_other_strategies_take_chunks_as_they_are(name: str) -> None:
    assert isinstance(made(name), Plain)
    assert isinstance(made(name).steering(asked(2), KNOWN), Free)


# ---- rtc ------------------------------------------------------------------------------------------------------------


@every("delay", range(T))
@every("n", range(1, T + 1))
def test_a_plan_is_pulled_only_towards_rows_that_are_known(n: int, delay: int) -> None:
    steering = made("rtc", s=2, mask="linear").steering(asked(delay), KNOWN[:n])
    assert isinstance(steering, RTCGuidance)
    torch.testing.assert_close(steering.weights[:, 0], soft_mask("linear", min(delay, n), min(T - 2, n), T))
    assert not steering.weights[n:].any()
    assert torch.equal(steering.target[:n], KNOWN[:n])


@every("delay", range(T))
@every("n", range(T + 1))
def test_with_rolling_the_pull_is_towards_the_rows_from_the_switch_on(n: int, delay: int) -> None:
    guided = made("vlash", enabled=True, mask="linear", execution_horizon=3)
    steering = guided.steering(asked(delay, ahead=delay), KNOWN[:n])
    left = max(n - delay, 0)
    assert isinstance(steering, RTCGuidance if left else Free)
    if left:
        assert torch.equal(steering.target[:left], KNOWN[delay:n])
        torch.testing.assert_close(steering.weights[:, 0], soft_mask("linear", 0, min(3, left), T))


def test_nothing_known_is_no_pull_at_all() -> None:
    assert isinstance(made("rtc").steering(asked(2), KNOWN[:0]), Free)
    assert isinstance(made("tt_rtc").steering(asked(2), KNOWN[:0]), Free)


def test_the_pull_ends_at_H_minus_s_unless_said_and_is_as_strong_as_there_are_steps() -> None:
    flow = Flow("sample")
    assert made("rtc", s=2) == Guidance(
        process=flow, rows=T, names=2, mask="exp", execution_horizon=T - 2, max_guidance_weight=5.0, full=True
    )
    assert made("rtc", s=2, sampler={"name": "euler", "steps": 7}).max_guidance_weight == 7.0
    assert made("rtc", execution_horizon=3, max_guidance_weight=2.5, jacobian="identity", mask="ones") == Guidance(
        process=flow, rows=T, names=2, mask="ones", execution_horizon=3, max_guidance_weight=2.5, full=False
    )


def test_rows_before_the_observation_are_not_pulled() -> None:
    """A policy that sees two observations makes a row for the tick before now too: row 1 is for now."""
    policy = Earlier(process=cosine())
    steering = made("rtc", policy, s=2, mask="linear").steering(asked(1), KNOWN[:3])
    assert steering.weights[:, 0].tolist() == [0.0, *soft_mask("linear", 1, 3, T - 1).tolist()]
    assert torch.equal(steering.target[1:4], KNOWN[:3])
    assert not steering.target[0].any() and not steering.target[4:].any()


def test_numbers_of_the_network_that_the_robot_has_no_name_for_are_not_pulled() -> None:
    policy = Padded(process=Flow("sample"), shape=(T, 5))
    steering = made("rtc", policy, s=2).steering(asked(2), torch.ones(3, 5))
    assert steering.target.shape == (T, 5)
    assert steering.weights.shape == (T, 5)
    assert (steering.weights[:3, :2] > 0).all() and not steering.weights[:, 2:].any()


# ---- tt_rtc ---------------------------------------------------------------------------------------------------------


@every("n", range(1, T + 1))
@every("delay", range(1, 4))
def test_the_prefix_has_the_first_d_rows_or_as_many_as_are_known(n: int, delay: int) -> None:
    steering = made("tt_rtc").steering(asked(delay), KNOWN[:n])
    assert isinstance(steering, PrefixConditioning)
    assert torch.equal(steering.prefix, KNOWN[: min(n, delay)])


def test_a_delay_that_the_policy_was_not_trained_for_is_told_with_both_numbers() -> None:
    with pytest.raises(InferenceError, match=r"a delay of 4 ticks is planned, and .* prefixes of at most 3; nothing"):
        made("tt_rtc").steering(asked(4), KNOWN)


# ---- bid ------------------------------------------------------------------------------------------------------------


def test_of_several_chunks_the_one_is_taken_that_agrees_best_with_the_last_plan() -> None:
    chunks = torch.stack([KNOWN + 1.0, KNOWN + 0.1, KNOWN - 0.5])
    best = made("bid", candidates=3, modes=None)
    assert best.candidates == 3
    assert best.choose(chunks, asked(2), KNOWN, NONE) == 1
    assert best.choose(chunks, asked(2), KNOWN[:0], NONE) == 0  # nothing to agree with: the first


def test_rows_before_the_observation_are_not_compared() -> None:
    best = made("bid", Earlier(process=cosine()), candidates=2, modes=None)
    wrong_before, wrong_now = torch.zeros(2, T, A)
    wrong_before[0] = 5.0
    wrong_now[1] = 1.0
    assert best.choose(torch.stack([wrong_now, wrong_before]), asked(0), torch.zeros(T - 1, A), NONE) == 1


def test_early_rows_count_most() -> None:
    first, last = KNOWN.clone(), KNOWN.clone()
    first[0] += 1.0
    last[-1] += 1.0
    assert made("bid", modes=None).choose(torch.stack([first, last]), asked(1), KNOWN, NONE) == 1


def test_rows_that_run_anyway_count_alike_and_those_after_less_and_less() -> None:
    weights: list[list[float]] = []

    def noting(chunks: torch.Tensor, known: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        weights.append((given / given[0]).tolist())
        assert float(given.sum()) == pytest.approx(1)
        return chunks.new_zeros(len(chunks))

    for delay in range(T):
        best = BestOf(candidates=2, verifier=noting, rho=0.5)
        best.choose(torch.stack([KNOWN, KNOWN]), asked(delay), KNOWN, NONE)
        assert weights[-1] == [1.0] * delay + [0.5**i for i in range(T - delay)]


def test_a_chunk_that_is_no_numbers_is_not_chosen() -> None:
    chunks = torch.stack([KNOWN + 1.0, KNOWN * float("nan"), KNOWN + 0.5])
    assert made("bid", candidates=3, modes=None).choose(chunks, asked(1), KNOWN, NONE) == 2
    chunks = torch.stack([KNOWN + 1.0, KNOWN * float("nan"), KNOWN + 0.5, KNOWN + 0.6])
    for modes in (1, 2):
        assert made("bid", candidates=4, modes=modes).choose(chunks, asked(1), KNOWN, NONE) == 2
        assert made("bid", candidates=4, modes=modes).choose(chunks, asked(1), KNOWN[:0], NONE) != 1


def test_a_chunk_near_other_good_ones_is_taken_before_one_that_agrees_a_little_better() -> None:
    chunks = KNOWN + torch.tensor([0.10, -0.11, -0.12, -0.13, 9.0, 9.1])[:, None, None]
    assert made("bid", candidates=6, modes=None).choose(chunks, asked(1), KNOWN, NONE) == 0
    assert made("bid", candidates=6, modes=1).choose(chunks, asked(1), KNOWN, NONE) == 1


def test_of_equally_good_chunks_the_one_far_from_the_weaker_policys_is_taken() -> None:
    chunks = KNOWN + torch.tensor([0.1, -0.1, 0.1, -0.1])[:, None, None]
    for near, wanted in ((0.2, 1), (-0.2, 0)):
        weak = (KNOWN + near).expand(4, T, A)
        assert made("bid", candidates=4, modes=1).choose(chunks, asked(1), KNOWN, weak) == wanted


def test_the_choice_is_the_authors_on_the_same_candidates() -> None:
    assert same_choices() == 1.0


def test_the_smoothest_chunk_can_be_taken_too() -> None:
    straight = torch.linspace(0, 1, T)[:, None].expand(T, A)
    chunks = torch.stack([straight + 0.1 * torch.tensor([1.0, -1.0] * (T // 2))[:, None], straight])
    assert made("bid", verifier="smoothness", modes=None).choose(chunks, asked(1), KNOWN, NONE) == 1
    assert set(VERIFIERS) == {"agreement", "smoothness"}


def test_a_verifier_of_ones_own_chooses() -> None:
    dearest = BestOf(candidates=2, verifier=lambda chunks, known, weights: -chunks.sum((1, 2)))
    assert dearest.choose(torch.stack([KNOWN, KNOWN + 1]), asked(1), KNOWN, NONE) == 1


def test_a_verifier_of_another_package_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "last-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: last\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rollahead.verifiers]\nlast = a_verifier_of_elsewhere:last\n")
    words = "def last(chunks, known, weights):\n    return -chunks.new_ones(len(chunks)).cumsum(0)\n"
    (tmp_path / "a_verifier_of_elsewhere.py").write_text(words)
    monkeypatch.syspath_prepend(tmp_path)
    best = made("bid", candidates=3, verifier="last", modes=None)
    assert best.choose(draws(3, T, A)(), asked(1), KNOWN, NONE) == 2


# ---- refusals -------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "a mask": ("rtc", None, {"mask": "linea"}, "there is no strategy.guidance.mask 'linea'; did you mean 'linear'"),
    "a Jacobian": (
        "rtc",
        None,
        {"jacobian": "half"},
        "there is no strategy.guidance.jacobian 'half'; Known: full, identity",
    ),
    "an end": (
        "rtc",
        None,
        {"execution_horizon": T + 1},
        f"strategy.guidance.execution_horizon is {T + 1}; give a row from 0 to {T}",
    ),
    "a pull away": (
        "rtc",
        None,
        {"max_guidance_weight": -1.0},
        "strategy.guidance.max_guidance_weight is -1.0; give more than 0, and at most 1000",
    ),
    "too strong a pull": (
        "vlash",
        None,
        {"enabled": True, "max_guidance_weight": 1e9},
        "strategy.guidance.max_guidance_weight is 1000000000.0; give more than 0",
    ),
    "one chunk, guided": (
        "rtc",
        Once(),
        {},
        "strategy=rtc needs a policy that denoises, and the fake policy makes its",
    ),
    "one chunk, pulled": (
        "vlash",
        Once(),
        {"enabled": True},
        "strategy.guidance.enabled=true needs a policy that denoises, and",
    ),
    "diffusion, given": (
        "tt_rtc",
        Gaussian(process=cosine(), trained=Trained(prefixes=3)),
        {},
        "strategy=tt_rtc needs a flow policy, whose rows can have a time of their own, and the fake policy is not one",
    ),
    "no prefixes": ("tt_rtc", Gaussian(process=Flow("sample")), {}, "was not trained for it; train one with prefixes"),
    "a policy of one chunk": (
        "bid",
        Once(),
        {},
        "strategy=bid needs a policy that denoises, and the fake policy makes its chunk at once; use vlash",
    ),
    "no candidates": ("bid", None, {"candidates": 0}, "strategy.bid.candidates is 0; give from 1 to 256"),
    "a weight that grows": ("bid", None, {"rho": 1.1}, "strategy.bid.rho is 1.1; give more than 0, and at most 1"),
    "no modes": (
        "bid",
        None,
        {"modes": 0},
        "strategy.bid.modes is 0 and strategy.bid.candidates 16; give at least 2 candidates",
    ),
    "too many modes": (
        "bid",
        None,
        {"modes": 3, "candidates": 5},
        "strategy.bid.modes is 3 and strategy.bid.candidates 5; give at least 2 candidates for each mode, or",
    ),
    "a verifier": ("bid", None, {"verifier": "agrees"}, "there is no verifier 'agrees'; did you mean 'agreement'"),
}


@every("name", REFUSED)
def test_what_cannot_be_is_refused_with_what_to_do(name: str) -> None:
    strategy, policy, options, words = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        made(strategy, policy, **options)
    assert words in str(caught.value)


def contrasted(weak: Any, name: str = "bid", **options: Any) -> Any:
    policy = Gaussian(process=cosine())
    return make_chunking(nested(name, **options), policy, make_sampler({"name": "auto"}, policy), weak)


def test_a_weaker_policy_that_cannot_be_contrasted_with_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"strategy\.bid\.modes=null makes none; leave one of them out"):
        contrasted(Gaussian(), modes=None)
    with pytest.raises(
        ConfigError, match=r"strategy\.bid\.weak is the fake policy, which makes its chunk at once, and as"
    ):
        contrasted(Once())
    with pytest.raises(
        ConfigError, match=r"strategy\.bid\.weak is for strategy=bid, and the strategy is vlash; leave it out"
    ):
        contrasted(Gaussian(), "vlash")


@dataclass
class Elsewhere(Gaussian):
    """Its spec has other values, those of `changed`."""

    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> PolicySpec:
        return replace(super().spec, **self.changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"horizon": 7}, "strategy.bid.weak has horizon = 7, and the policy horizon = 6; give a checkpoint of"),
        ({"environment": ("x", "y")}, "has environment = [x, y], and the policy environment = []; give"),
        (
            {"rate_hz": 10.0, "action": ("a_0", "b")},
            "has action = [a_0, b], rate_hz = 10.0, and the policy action = [a_0, a_1], rate_hz = 50.0; give",
        ),
    ],
)
def test_what_differs_of_a_weaker_policy_is_named_with_both_values_and_nothing_else(
    changed: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        contrasted(Elsewhere(changed=changed))
    assert words in str(caught.value)


def test_a_weaker_policy_may_denoise_by_another_process() -> None:
    assert isinstance(contrasted(Gaussian(process=Flow("velocity"))), BestOf)


def test_every_mask_that_a_strategy_may_name_is_there() -> None:
    assert set(techniques.MASKS) == set(MASKS)


def test_bid_and_rtc_take_any_policy_that_denoises() -> None:
    assert isinstance(made("bid", Gaussian(process=cosine())), BestOf)
    assert isinstance(made("rtc", Gaussian(process=cosine())), Guidance)
    assert isinstance(made("tt_rtc"), Prefix)


def test_plans_that_all_start_from_the_last_one_are_not_chosen_among() -> None:
    with pytest.raises(ConfigError, match=r"set sampler\.renoise=forward, or use another sampler"):
        made("bid", sampler={"name": "rti"})
    assert made("bid", sampler={"name": "rti", "renoise": "forward"}).candidates == 16

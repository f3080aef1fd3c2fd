"""The real-time chunking family: what each does with the rows that are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rollahead.errors import ConfigError, InferenceError
from rollahead.policies.chunking import VERIFIERS, BestOf, Guidance, Plain, Prefix, make_chunking
from rollahead.policies.policy import Trained
from rollahead.policies.process import Flow
from rollahead.policies.samplers import make_sampler
from rollahead.policies.samplers.sampler import Free
from rollahead.policies.steering import Given, Guided, soft_mask
from rollahead.runtime.arrays import frozen
from rollahead.runtime.build import StrategyConfig
from rollahead.runtime.messages import Observation, Request, Snapshot

from .fakes import SHAPE, Gaussian, Once, cosine, draws

T, A = SHAPE
KNOWN = draws(T, A, seed=2)()


def asked(delay: int, ahead: int = 0) -> Request:
    rows = frozen(np.zeros((T, A)))
    seen = (Observation(10, frozen([0.0])),)
    return Request(Snapshot(10, seen, rows[:0], rows, 0, 0), 10 + ahead, 10 + delay, None, delay)


def made(name: str, policy: Any = None, sampler: Any = None, **options: Any) -> Any:
    policy = policy or Gaussian(process=Flow("sample"), trained=Trained(prefixes=3))
    config = sampler or {"name": "auto"}
    return make_chunking(StrategyConfig(name, **options), policy, make_sampler(config, policy))


@pytest.mark.parametrize("name", ["sync", "naive", "naive_arrival", "ensemble", "vlash"])
def test_other_strategies_take_chunks_as_they_are(name: str) -> None:
    assert isinstance(made(name), Plain)
    assert isinstance(made(name).steering(asked(2), KNOWN), Free)


# ---- rtc ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", range(T))
@pytest.mark.parametrize("n", range(1, T + 1))
def test_a_plan_is_pulled_only_towards_rows_that_are_known(n: int, delay: int) -> None:
    steering = made("rtc", s=2, mask="linear").steering(asked(delay), KNOWN[:n])
    assert isinstance(steering, Guided)
    torch.testing.assert_close(steering.weights[:, 0], soft_mask("linear", min(delay, n), min(T - 2, n), T))
    assert not steering.weights[n:].any()
    assert torch.equal(steering.target[:n], KNOWN[:n])


@pytest.mark.parametrize("delay", range(T))
@pytest.mark.parametrize("n", range(T + 1))
def test_with_rolling_the_pull_is_towards_the_rows_from_the_switch_on(n: int, delay: int) -> None:
    steering = made("vlash", pull=True, mask="linear", end=3).steering(asked(delay, ahead=delay), KNOWN[:n])
    left = max(n - delay, 0)
    assert isinstance(steering, Guided if left else Free)
    if left:
        assert torch.equal(steering.target[:left], KNOWN[delay:n])
        torch.testing.assert_close(steering.weights[:, 0], soft_mask("linear", 0, min(3, left), T))


def test_nothing_known_is_no_pull_at_all() -> None:
    assert isinstance(made("rtc").steering(asked(2), KNOWN[:0]), Free)
    assert isinstance(made("tt_rtc").steering(asked(2), KNOWN[:0]), Free)


def test_the_pull_ends_at_H_minus_s_unless_said_and_is_as_strong_as_there_are_steps() -> None:
    assert made("rtc", s=2) == Guidance(rows=T, mask="exp", end=T - 2, most=5.0)
    assert made("rtc", s=2, sampler={"name": "euler", "steps": 7}).most == 7.0
    assert made("rtc", end=3, beta=2.5, jacobian="full", mask="ones") == Guidance(
        rows=T, mask="ones", end=3, most=2.5, full=True
    )


# ---- tt_rtc ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, T + 1))
@pytest.mark.parametrize("delay", range(1, 4))
def test_the_prefix_has_the_first_d_rows_or_as_many_as_are_known(n: int, delay: int) -> None:
    steering = made("tt_rtc").steering(asked(delay), KNOWN[:n])
    assert isinstance(steering, Given)
    assert torch.equal(steering.prefix, KNOWN[: min(n, delay)])


def test_a_delay_that_the_policy_was_not_trained_for_is_told_with_both_numbers() -> None:
    with pytest.raises(InferenceError, match=r"a delay of 4 ticks is planned, and .* prefixes of at most 3; nothing"):
        made("tt_rtc").steering(asked(4), KNOWN)


# ---- bid ------------------------------------------------------------------------------------------------------------


def test_of_several_chunks_the_one_is_taken_that_agrees_best_with_the_last_plan() -> None:
    chunks = torch.stack([KNOWN + 1.0, KNOWN + 0.1, KNOWN - 0.5])
    best = made("bid", candidates=3)
    assert best.candidates == 3
    assert best.choose(chunks, asked(2), KNOWN) == 1
    assert best.choose(chunks, asked(2), KNOWN[:0]) == 0  # nothing to agree with: the first


def test_early_rows_count_most() -> None:
    first, last = KNOWN.clone(), KNOWN.clone()
    first[0] += 1.0
    last[-1] += 1.0
    assert made("bid").choose(torch.stack([first, last]), asked(1), KNOWN) == 1


def test_rows_that_run_anyway_count_alike_and_those_after_less_and_less() -> None:
    weights: list[list[float]] = []

    def noting(chunks: torch.Tensor, known: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        weights.append(given.tolist())
        return chunks.new_zeros(len(chunks))

    for delay in range(T):
        BestOf(candidates=2, verifier=noting, decay=0.5).choose(torch.stack([KNOWN, KNOWN]), asked(delay), KNOWN)
        assert weights[-1] == [1.0] * delay + [0.5**i for i in range(T - delay)]


def test_a_chunk_that_is_no_numbers_is_not_chosen() -> None:
    chunks = torch.stack([KNOWN + 1.0, KNOWN * float("nan"), KNOWN + 0.5])
    assert made("bid", candidates=3).choose(chunks, asked(1), KNOWN) == 2


def test_the_smoothest_chunk_can_be_taken_too() -> None:
    straight = torch.linspace(0, 1, T)[:, None].expand(T, A)
    chunks = torch.stack([straight + 0.1 * torch.tensor([1.0, -1.0] * (T // 2))[:, None], straight])
    assert made("bid", verifier="smoothness").choose(chunks, asked(1), KNOWN) == 1
    assert set(VERIFIERS) == {"agreement", "smoothness"}


def test_a_verifier_of_ones_own_chooses() -> None:
    dearest = BestOf(candidates=2, verifier=lambda chunks, known, weights: -chunks.sum((1, 2)))
    assert dearest.choose(torch.stack([KNOWN, KNOWN + 1]), asked(1), KNOWN) == 1


def test_a_verifier_of_another_package_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "last-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: last\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rollahead.verifiers]\nlast = a_verifier_of_elsewhere:last\n")
    words = "def last(chunks, known, weights):\n    return -chunks.new_ones(len(chunks)).cumsum(0)\n"
    (tmp_path / "a_verifier_of_elsewhere.py").write_text(words)
    monkeypatch.syspath_prepend(tmp_path)
    assert made("bid", candidates=3, verifier="last").choose(draws(3, T, A)(), asked(1), KNOWN) == 2


# ---- refusals -------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "a mask": ("rtc", None, {"mask": "linea"}, "there is no mask 'linea'; did you mean 'linear'"),
    "a Jacobian": ("rtc", None, {"jacobian": "half"}, "there is no Jacobian 'half'; Known: full, identity"),
    "an end": ("rtc", None, {"end": T + 1}, f"strategy.end is {T + 1}; give a row from 0 to {T}"),
    "a pull away": ("rtc", None, {"beta": -1.0}, "strategy.beta is -1.0; give more than 0, and at most 1000"),
    "too strong a pull": (
        "vlash",
        None,
        {"pull": True, "beta": 1e9},
        "strategy.beta is 1000000000.0; give more than 0",
    ),
    "diffusion, guided": ("rtc", Gaussian(process=cosine()), {}, "strategy=rtc steers a policy that denoises by flow"),
    "diffusion, pulled": (
        "vlash",
        Gaussian(process=cosine()),
        {"pull": True},
        "strategy.pull=true steers a policy that",
    ),
    "diffusion, given": ("tt_rtc", Gaussian(process=cosine()), {}, "strategy=tt_rtc steers a policy that denoises by"),
    "no prefixes": ("tt_rtc", Gaussian(process=Flow("sample")), {}, "was not trained for it; train one with prefixes"),
    "a policy of one chunk": (
        "bid",
        Once(),
        {},
        "strategy=bid chooses among chunks of noise, and the fake",
    ),
    "no candidates": ("bid", None, {"candidates": 0}, "strategy.candidates is 0; give from 1 to 256"),
    "a verifier": ("bid", None, {"verifier": "agrees"}, "there is no verifier 'agrees'; did you mean 'agreement'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_what_to_do(name: str) -> None:
    strategy, policy, options, words = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        made(strategy, policy, **options)
    assert words in str(caught.value)


def test_bid_takes_any_policy_that_denoises() -> None:
    assert isinstance(made("bid", Gaussian(process=cosine())), BestOf)
    assert isinstance(made("tt_rtc"), Prefix)


def test_plans_that_all_start_from_the_last_one_are_not_chosen_among() -> None:
    with pytest.raises(ConfigError, match=r"set sampler\.renoise=forward, or use another sampler"):
        made("bid", sampler={"name": "rti"})
    assert made("bid", sampler={"name": "rti", "renoise": "forward"}).candidates == 16

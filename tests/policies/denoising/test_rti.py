"""Real-time iteration, on policies in closed form."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.denoising.samplers import SampleRequest, WarmStart, make_sampler
from rollahead.policies.denoising.samplers.rti import TENTH
from rollahead.policies.process import Flow
from rollahead.runtime.types.messages import ResultFlags

from ..fakes import DEVIATION, MEAN, SHAPE, Gaussian, Once, cosine, draws

T, A = SHAPE
DIFFUSION, FLOW = cosine(prediction="sample"), Flow("sample")
WARM: list[tuple[Mapping[str, Any], Any, list[float]]] = [
    ({"base": "ddim", "warm": [20, 10, 0]}, DIFFUSION, [20, 10, 0]),
    ({"base": "ddim", "warm": [20]}, DIFFUSION, [20]),
    ({"base": "ddpm", "warm": [2, 1, 0]}, DIFFUSION, [2, 1, 0]),
    ({"base": "ddim"}, DIFFUSION, [20, 10, 0]),
    ({}, FLOW, [0.3]),
    ({"base": "euler", "warm": [0.6, 0.3]}, FLOW, [0.6, 0.3]),
]
NOWHERE, EVERYWHERE = torch.zeros(A, dtype=torch.bool), torch.ones(A, dtype=torch.bool)
LAST = WarmStart(draws(*SHAPE, seed=5)(), NOWHERE, torch.zeros(A))


class Rti:
    """A sampler with its policy, and what the network was asked in the last call."""

    def __init__(self, config: Mapping[str, Any], process: Any = FLOW) -> None:
        self.policy = Gaussian(process=process)
        self.sampler = make_sampler({"name": "rti", **config}, self.policy)
        self.seen: list[torch.Tensor] = []
        denoise = self.policy.denoise

        def noting(context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            self.seen.append(x.clone())
            return denoise(context, x, t)

        self.policy.denoise = noting  # type: ignore[method-assign]

    def __call__(self, warm_start: WarmStart | None = LAST, **draw: Any) -> Any:
        self.policy.asked.clear()
        self.seen.clear()
        return self.sampler(self.policy, None, draws(1, *SHAPE), SampleRequest(warm_start=warm_start, **draw))


@every(("config", "process", "levels"), WARM)
def test_a_warm_start_is_denoised_from_the_first_level_given_on_as_it_is(
    config: Mapping[str, Any], process: Any, levels: list[float]
) -> None:
    rti = Rti(config, process)
    made = rti()
    assert rti.policy.asked == pytest.approx(levels)
    assert torch.equal(rti.seen[0][0], LAST.chunk)
    assert (made.steps, made.made) == (len(levels), ResultFlags.WARM)


@every(("config", "process", "levels"), WARM)
def test_without_a_warm_start_it_is_the_base_from_noise(
    config: Mapping[str, Any], process: Any, levels: list[float]
) -> None:
    rti = Rti(config, process)
    made = rti(None)
    base = make_sampler({"name": config.get("base", "auto")}, Gaussian(process=process))
    plain = base(Gaussian(process=process), None, draws(1, *SHAPE))
    assert torch.equal(made.chunks, plain.chunks)
    assert (made.steps, made.made) == (base.calls, 0) == (rti.sampler.calls, 0)


def test_a_warm_start_is_tried_once_before_one_is_wanted_and_changes_nothing() -> None:
    rti, plain = Rti({"warm": [0.6, 0.3]}), make_sampler({"name": "euler"}, Gaussian(process=FLOW))
    first = rti(None)
    assert rti.policy.asked[-2:] == pytest.approx([0.6, 0.3])
    assert torch.equal(first.chunks, plain(Gaussian(process=FLOW), None, draws(1, *SHAPE)).chunks)
    assert (first.steps, first.made) == (rti.sampler.calls, 0)
    rti(None)
    assert len(rti.policy.asked) == rti.sampler.calls


def test_a_mixed_warm_start_is_at_its_level() -> None:
    for config, process, levels in WARM:
        rti = Rti({**config, "renoise": "forward"}, process)
        rti()
        mixed = process.mix(LAST.chunk[None], draws(1, *SHAPE)(), levels[0])
        torch.testing.assert_close(rti.seen[0], mixed)


def test_a_warm_start_that_is_off_comes_nearer_to_what_the_policy_says_as_one_step_has_it() -> None:
    rti, gain = Rti({"warm": [0.2]}), 0.8 * DEVIATION**2 / (0.8**2 * DEVIATION**2 + 0.2**2)
    for off in (0.5, -1.0, 3.0):
        warm_start = torch.full(SHAPE, MEAN + off)
        made = rti(WarmStart(warm_start, NOWHERE, torch.zeros(A))).chunks[0]
        torch.testing.assert_close(made, MEAN + gain * (warm_start - 0.8 * MEAN))
        assert float((made - MEAN).abs().max()) < abs(off)


# ---- discrete dimensions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["clip", "keep", "cold"])
def test_only_discrete_dimensions_of_a_warm_start_are_changed(way: str) -> None:
    middle = torch.tensor([0.25, 0.0])
    where = torch.tensor([True, False])
    rti = Rti({"discrete": way})
    rti(WarmStart(LAST.chunk, where, middle))
    start = rti.seen[0][0]
    assert torch.equal(start[:, 1], LAST.chunk[:, 1])
    wanted = {
        "clip": 0.25 + TENTH * torch.sign(LAST.chunk[:, 0] - 0.25),
        "keep": LAST.chunk[:, 0],
        "cold": draws(1, *SHAPE)()[0, :, 0],
    }
    torch.testing.assert_close(start[:, 0], wanted[way])


def test_a_clipped_gripper_turns_in_one_chunk_where_one_that_is_kept_does_not() -> None:
    """A network that has seen the action at +1 or -1 alone: it says the nearer one of what it is shown, given enough of
    a sign; what it is told now (the context) is +1."""

    class Binary(Gaussian):
        def clean(self, x: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
            return torch.tanh(signal * x / noise**2 + 1.0)  # the mean of two points, +1 more likely a priori

    turned = {}
    for way in ("keep", "clip"):
        policy = Binary(process=FLOW)
        sampler = make_sampler({"name": "rti", "discrete": way, "warm": [0.5]}, policy)
        warm_start = WarmStart(torch.full(SHAPE, -1.0), EVERYWHERE, torch.zeros(A))
        turned[way] = bool(
            (sampler(policy, None, draws(1, *SHAPE), SampleRequest(warm_start=warm_start)).chunks > 0).all()
        )
    assert turned == {"keep": False, "clip": True}


# ---- guards ---------------------------------------------------------------------------------------------------------


def test_a_chunk_too_far_off_its_warm_start_is_made_once_more_from_noise_and_both_are_counted() -> None:
    far, near = Rti({"reject": 0.01}), Rti({"reject": 100.0})
    cold = Rti({})(None)
    made = far()
    assert torch.equal(made.chunks, cold.chunks)
    assert (made.steps, made.made) == (1 + cold.steps, ResultFlags.REJECTED)
    assert near().made == ResultFlags.WARM


def test_one_that_was_rejected_is_a_cold_start_and_is_still_cut_where_time_is_up() -> None:
    near, far = (WarmStart(torch.full(SHAPE, MEAN + off), NOWHERE, torch.zeros(A)) for off in (0.0, 9.0))
    rti, warm = Rti({"reject": 2.0, "refresh": 3}), ResultFlags.WARM
    warm_starts = (None, near, far, near, near, near)
    assert [rti(warm_start).made for warm_start in warm_starts] == [0, warm, ResultFlags.REJECTED, warm, warm, 0]
    cut = Rti({"reject": 0.01})(more=lambda to_come: False)
    assert cut.made == ResultFlags.REJECTED | ResultFlags.CUT


def test_every_so_many_chunks_one_starts_from_noise() -> None:
    rti = Rti({"refresh": 3})
    assert [rti(warm_start).made for warm_start in (None, *[LAST] * 6)] == [0, 1, 1, 0, 1, 1, 0]


def test_a_warm_start_that_has_stuck_gets_noise_and_one_that_moves_does_not() -> None:
    rti = Rti({"stall": 0.01, "stall_noise": 0.5})
    moved = WarmStart(LAST.chunk + 1.0, NOWHERE, torch.zeros(A))
    starts = []
    for warm_start in (LAST, LAST, moved, None, moved):
        rti(warm_start)
        starts.append(rti.seen[0][0])
    torch.testing.assert_close(starts[1], LAST.chunk + 0.5 * draws(1, *SHAPE)()[0])
    for start, warm_start in ((starts[0], LAST), (starts[2], moved), (starts[4], moved)):
        assert torch.equal(start, warm_start.chunk)


def test_when_time_is_up_the_chunk_is_that_of_the_step_that_was_made() -> None:
    rti = Rti({"base": "ddim", "warm": [20, 10, 0]}, DIFFUSION)
    asked: list[int] = []
    made = rti(more=lambda to_come: asked.append(to_come) or len(rti.policy.asked) < 2)  # type: ignore[func-returns-value]
    assert asked == [2, 1]
    assert (made.steps, made.made) == (2, ResultFlags.WARM | ResultFlags.CUT)
    whole = Rti({"base": "ddim", "warm": [20, 10]}, DIFFUSION)()
    assert torch.equal(made.chunks, whole.chunks)


def test_it_says_whether_warm_starts_of_one_warm_start_differ() -> None:
    for config, varies in (
        ({"base": "ddim"}, False),
        ({"base": "ddim", "renoise": "forward"}, True),
        ({"base": "ddpm", "warm": [2, 0]}, True),
    ):
        rti = Rti(config, DIFFUSION)
        several = rti.sampler(rti.policy, None, draws(3, *SHAPE), SampleRequest(warm_start=LAST)).chunks
        assert rti.sampler.varies is varies
        assert bool((several[0] != several[1]).any()) is varies


# ---- refusals -------------------------------------------------------------------------------------------------------


REFUSED: list[tuple[Mapping[str, Any], Any, str]] = [
    ({"warm": [0, 1]}, DIFFUSION, "sampler.warm is [0, 1] and the policy was trained with 100; give falling whole"),
    ({"warm": [100, 0]}, DIFFUSION, "sampler.warm is [100, 0] and the policy was trained with 100"),
    ({"warm": [0.5]}, DIFFUSION, "give whole steps of a diffusion, as in [20, 10, 0]"),
    (
        {"base": "ddpm", "warm": [3, 2]},
        DIFFUSION,
        "ends at 2, where a step of ddpm leaves noise; end it with 0",
    ),
    ({"warm": [0.3, 0.6]}, FLOW, "sampler.warm is [0.3, 0.6]; give falling times of a flow, up to 1 and above 0"),
    ({"warm": [0.3, 0.0]}, FLOW, "sampler.warm is [0.3, 0.0]; give falling times"),
    ({"warm": [20, 10, 0]}, FLOW, "give falling times of a flow"),
    ({"warm": []}, FLOW, "sampler.warm is []"),
    ({"renoise": "back"}, FLOW, "there is no renoise 'back'; Known: forward, none"),
    ({"base": "rti"}, FLOW, "there is no base of the sampler 'rti'; Known: auto, ddim, ddpm, euler"),
    ({"base": 5}, FLOW, "sampler.base is 5; give a text"),
    ({"spacings": "leading"}, FLOW, "there is no option of the sampler 'spacings'; did you mean 'spacing'"),
    ({"cold": 3}, FLOW, "there is no option of the sampler 'cold'"),
    ({"stall_noise": -1.0}, FLOW, "sampler.stall_noise is -1.0; give 0.0 or more"),
    ({"discrete": "clipped"}, FLOW, "there is no way with discrete dimensions 'clipped'; did you mean 'clip'"),
    ({"reject": -1.0}, FLOW, "sampler.reject is -1.0; give 0.0 or more, or null"),
    ({"refresh": 0}, FLOW, "sampler.refresh is 0; give 1 or more, or null"),
    ({"base": "ddim"}, FLOW, "sampler=ddim needs a policy that denoises by diffusion"),
    ({"levels": [1]}, FLOW, "there is no option of the sampler 'levels'"),
    ({}, None, "sampler=rti starts a denoising from the last plan, and the fake policy makes its chunk at once; use"),
]


@every(("config", "process", "words"), REFUSED)
def test_what_cannot_be_is_refused_with_what_to_do(config: Mapping[str, Any], process: Any, words: str) -> None:
    policy: Any = Once() if process is None else Gaussian(process=process)
    with pytest.raises(ConfigError) as caught:
        make_sampler({"name": "rti", **config}, policy)
    assert words in str(caught.value)


def test_the_options_of_a_cold_start_are_those_of_its_base() -> None:
    rti = Rti({"base": "ddim", "steps": 4, "spacing": "linspace"}, DIFFUSION)
    rti(None)
    assert rti.policy.asked[:4] == [99, 66, 33, 0]

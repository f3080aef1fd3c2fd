import operator

import pytest
import torch

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.process import PREDICTIONS, Diffusion, Flow

from .fakes import cosine

TIMES = [0, 1, 49, 98]


def mixture(t: int, process: Diffusion) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x0, e = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(t)).clamp(-2, 2)
    return x0, e, process.abar[t].sqrt() * x0 + (1 - process.abar[t]).sqrt() * e


@every("t", TIMES)
@every("prediction", ["epsilon", "sample"])
def test_a_network_that_is_right_gives_back_action_and_noise(t: int, prediction: str) -> None:
    process = cosine(prediction=prediction)
    x0, e, x = mixture(t, process)
    found = process.split({"epsilon": e, "sample": x0}[prediction], x, t)
    for made, wanted in zip(found, (x0, e), strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
def test_only_the_action_is_clipped_and_the_noise_goes_with_it_as_it_was(prediction: str) -> None:
    process, free = cosine(prediction=prediction, clip=0.5), cosine(prediction=prediction)
    x0, e, x = mixture(49, process)
    predicted = {"epsilon": e, "sample": x0}[prediction]
    clipped, noise = process.split(predicted, x, 49)
    wanted, same = free.split(predicted, x, 49)
    assert torch.equal(clipped, wanted.clamp(-0.5, 0.5)) and not torch.equal(clipped, wanted)
    assert torch.equal(noise, same)


def test_a_diffusion_asks_its_network_for_whole_steps_one_per_chunk() -> None:
    times = cosine().times(torch.zeros(3, 5, 4), 7)
    assert torch.equal(times, torch.full((3,), 7)) and times.dtype == torch.long


@every("prediction", PREDICTIONS)
@every("t", [0.1, 0.5, 1.0])
def test_a_flow_that_is_told_the_velocity_or_the_action_gives_back_action_and_noise(prediction: str, t: float) -> None:
    x0, e = torch.randn(2, 1, 5, 4, generator=torch.Generator().manual_seed(0))
    x = (1 - t) * x0 + t * e
    found = Flow(prediction).split({"velocity": e - x0, "sample": x0}[prediction], x, t)
    for made, wanted in zip(found, (x0, e), strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-5, atol=1e-5)


@every(
    ("process", "t"),
    [(cosine(prediction=each, clip=clip), t) for each in ("epsilon", "sample") for clip in (None, 0.5) for t in TIMES]
    + [(Flow(each), t) for each in PREDICTIONS for t in (0.1, 1.0)],
)
def test_what_is_written_into_tensors_that_are_there_is_the_same_and_leaves_what_was_given(
    process: Diffusion | Flow, t: float
) -> None:
    x, predicted = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(1))
    given = x.clone(), predicted.clone()
    into = torch.empty_like(x), torch.empty_like(x)
    made, wanted = process.split(predicted, x, t, into), process.split(predicted, x, t)
    assert all(map(torch.equal, made, wanted)) and all(map(operator.is_, made, into))
    assert torch.equal(x, given[0]) and torch.equal(predicted, given[1])
    mixed = process.mix(*wanted, t)
    assert process.mix(*made, t, x) is x and torch.equal(x, mixed)


@pytest.mark.parametrize(
    ("process", "t"), [(cosine(), 3), (cosine(), 98), (Flow("sample"), 0.25), (Flow("sample"), 1.0)]
)
def test_a_mixture_that_is_split_is_mixed_again_to_the_same(process: Diffusion | Flow, t: float) -> None:
    x, predicted = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(process.mix(*process.split(predicted, x, t), t), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [lambda: Flow("epsilon"), lambda: Diffusion(torch.ones(3), "velocity")])
def test_a_prediction_that_the_process_does_not_have_is_refused(make: object) -> None:
    with pytest.raises(ConfigError, match=r"there is no prediction of a .* policy .*; .*Known: .*sample"):
        make()  # type: ignore[operator]

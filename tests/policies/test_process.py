import pytest
import torch

from rollahead.errors import ConfigError
from rollahead.policies.process import Diffusion, Flow

from .fakes import cosine

TIMES = [0, 1, 49, 98]


def mixture(t: int, process: Diffusion) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x0, e = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(t)).clamp(-2, 2)
    return x0, e, process.abar[t].sqrt() * x0 + (1 - process.abar[t]).sqrt() * e


@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
def test_a_network_that_is_right_gives_back_action_and_noise(t: int, prediction: str) -> None:
    process = cosine(prediction=prediction)
    x0, e, x = mixture(t, process)
    found = process.predict(lambda *_: {"epsilon": e, "sample": x0}[prediction], None, x, t)
    for made, wanted in zip(found, (x0, e), strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
def test_only_the_action_is_clipped_and_the_noise_goes_with_it_as_it_was(prediction: str) -> None:
    process, free = cosine(prediction=prediction, clip=0.5), cosine(prediction=prediction)
    x0, e, x = mixture(49, process)
    predicted = {"epsilon": e, "sample": x0}[prediction]
    clipped, noise = process.predict(lambda *_: predicted, None, x, 49)
    wanted, same = free.predict(lambda *_: predicted, None, x, 49)
    assert torch.equal(clipped, wanted.clamp(-0.5, 0.5)) and not torch.equal(clipped, wanted)
    assert torch.equal(noise, same)


def test_a_diffusion_asks_its_network_for_whole_steps_one_per_chunk() -> None:
    asked: list[torch.Tensor] = []
    x = torch.zeros(3, 5, 4)
    cosine().predict(lambda context, x, t: asked.append(t) or x, "seen", x, 7)  # type: ignore[func-returns-value]
    assert torch.equal(asked[0], torch.full((3,), 7)) and asked[0].dtype == torch.long


def test_the_velocity_points_from_the_action_to_the_noise() -> None:
    x0, e = torch.randn(2, 1, 5, 4, generator=torch.Generator().manual_seed(0))
    for t in (0.1, 0.5, 1.0):
        x = (1 - t) * x0 + t * e
        torch.testing.assert_close(Flow("sample").velocity(x0, x, t), e - x0)
        assert torch.equal(Flow("velocity").velocity(e - x0, x, t), e - x0)


@pytest.mark.parametrize("make", [lambda: Flow("epsilon"), lambda: Diffusion(torch.ones(3), "velocity")])
def test_a_prediction_that_the_process_does_not_have_is_refused(make: object) -> None:
    with pytest.raises(ConfigError, match=r"there is no prediction of a .* policy .*; .*Known: .*sample"):
        make()  # type: ignore[operator]

from itertools import product

import pytest
import torch

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.adapters.flow.net import NETS, NetConfig, embedded, make_net
from rollahead.policies.process import PREDICTIONS

A, C, T = 2, 3, 5
SMALL = {"actions": A, "condition": C, "horizon": T, "width": 16, "depth": 1}


def net_of(variant: str, prediction: str = "velocity") -> torch.nn.Module:
    torch.manual_seed(0)
    return make_net(NetConfig(variant=variant, prediction=prediction, **SMALL))


def given(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x, t and the condition."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, T, A, generator=generator)
    return x, torch.rand(batch, T, generator=generator), torch.randn(batch, C, generator=generator)


@every("variant, batch", list(product(NETS, (1, 2, 7))))
def test_a_net_makes_a_chunk_for_each_example_and_of_no_other(variant: str, batch: int) -> None:
    net, (x, t, condition) = net_of(variant), given(batch)
    made = net(x, t, condition)
    assert made.shape == (batch, T, A)
    for i in range(batch):
        alone = net(x[i : i + 1], t[i : i + 1], condition[i : i + 1])
        torch.testing.assert_close(alone, made[i : i + 1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant, prediction", list(product(NETS, PREDICTIONS)))
def test_features_are_those_from_which_a_chunk_of_hidden_noise_is_made_and_depend_on_the_condition(
    variant: str, prediction: str
) -> None:
    net, (_, _, condition) = net_of(variant, prediction), given(4)
    hidden: list[torch.Tensor] = []
    last = net.layers[-1] if variant == "mlp" else net.out
    last.register_forward_hook(lambda layer, inputs, made: hidden.append(inputs[0]))
    net(torch.zeros(4, T, A), torch.ones(4, T), condition)
    made = net.features(condition)
    assert made.shape == (4, SMALL["width"])
    if variant == "mlp":
        torch.testing.assert_close(made, hidden[0])
    other = condition.clone()
    other[0] += 1.0
    apart = (net.features(other) - made).abs().amax(1)
    assert apart[0] > 1e-3
    assert (apart[1:] < 1e-6).all()


@every("variant, prediction, row", list(product(NETS, PREDICTIONS, range(T))))
def test_each_row_has_its_own_time(variant: str, prediction: str, row: int) -> None:
    net, (x, t, condition) = net_of(variant, prediction), given(1)
    t[:] = 0.8
    earlier = t.clone()
    earlier[0, row] = 0.2
    assert not torch.allclose(net(x, t, condition), net(x, earlier, condition), atol=1e-6)


@pytest.mark.parametrize("variant", NETS)
def test_every_row_depends_on_every_row_and_on_all_of_the_condition(variant: str) -> None:
    net, (x, t, condition) = net_of(variant), given(1)
    for row in range(T):
        x.requires_grad_(), condition.requires_grad_()
        x.grad = condition.grad = None
        net(x, t, condition)[0, row].sum().backward()
        assert x.grad is not None
        assert condition.grad is not None
        assert (x.grad.abs().sum(-1) > 0).all()
        assert (condition.grad != 0).all()


@pytest.mark.parametrize("variant, prediction", list(product(NETS, PREDICTIONS)))
def test_what_predicts_the_clean_chunk_is_shown_nothing_of_pure_noise_and_all_of_a_clean_row(
    variant: str, prediction: str
) -> None:
    net, (x, _, condition) = net_of(variant, prediction), given(1)
    noisy = torch.ones(1, T)
    same = torch.allclose(net(x, noisy, condition), net(-x, noisy, condition))
    assert same == (prediction == "sample")
    prefixed = torch.where(torch.arange(T) < 2, 0.0, noisy)
    other = torch.cat([-x[:, :1], x[:, 1:]], 1)
    assert not torch.allclose(net(x, prefixed, condition), net(other, prefixed, condition))


def test_times_are_told_apart_from_one_end_to_the_other() -> None:
    times = embedded(torch.linspace(0, 1, 1001))
    apart = (times[1:] - times[:-1]).norm(dim=-1)
    assert apart.min() > 0.01
    torch.testing.assert_close(times.square().sum(-1), torch.full((1001,), 32.0))


@every("size", ["actions", "condition", "horizon", "width", "depth"])
def test_a_size_below_one_is_refused_by_its_name(size: str) -> None:
    with pytest.raises(ConfigError, match=rf"{size}=0.*at least 1"):
        NetConfig(**{**SMALL, size: 0})


def test_a_net_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="no prediction of a flow policy 'noise'"):
        NetConfig(prediction="noise", **SMALL)
    with pytest.raises(ConfigError, match="no flow network 'mpl'; did you mean 'mlp'"):
        NetConfig(variant="mpl", **SMALL)
    with pytest.raises(ConfigError, match="width is 18; a transformer needs a multiple of its 4 heads"):
        NetConfig(variant="transformer", **{**SMALL, "width": 18})

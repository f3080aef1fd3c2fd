from itertools import product

import pytest
import torch

from every import every
from rollahead.policies.adapters.flow.loss import AVERAGES, TARGETS, flow_loss
from rollahead.policies.denoising.samplers import integrate
from rollahead.policies.process import PREDICTIONS, Flow

B, T, A = 2, 6, 2
SEED = torch.Generator().manual_seed(0)
X0, NOISE = torch.randn(B, T, A, generator=SEED), torch.randn(B, T, A, generator=SEED)
TIMES, CONDITION = torch.tensor([0.3, 0.9]), torch.zeros(B, 1)
NOBODY, ALL = torch.zeros(B, T, dtype=torch.bool), torch.ones(B, T, dtype=torch.bool)


class Off(torch.nn.Module):
    """A net that is off by `wrong` (B, T) in each row; it remembers what it was given."""

    def __init__(self, prediction: str, wrong: torch.Tensor) -> None:
        super().__init__()
        self._target = TARGETS[prediction](X0, NOISE)
        self._wrong = wrong

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        self.x, self.t = x, t
        return self._target + self._wrong[..., None]


def rows(n: int) -> torch.Tensor:
    """The first n rows of the first example, and none of the second."""
    return torch.stack([torch.arange(T) < n, torch.arange(T) < 0])


@every("prediction, given, padded", list(product(PREDICTIONS, range(T), range(T))))
def test_the_loss_is_of_the_rows_that_are_neither_given_nor_padded(prediction: str, given: int, padded: int) -> None:
    wrong = torch.rand(B, T, generator=torch.Generator().manual_seed(2))
    counted = ~rows(given) & ~rows(padded).flip(1)
    net = Off(prediction, wrong)
    loss = flow_loss(net, prediction, X0, CONDITION, NOISE, TIMES, rows(given), counted, "examples")
    each = [wrong[i][counted[i]].square().mean() if counted[i].any() else torch.tensor(0.0) for i in range(B)]
    torch.testing.assert_close(loss, torch.stack(each).mean())


def test_each_example_counts_as_one_however_many_rows_it_has() -> None:
    counted = torch.stack([torch.arange(T) < 1, torch.arange(T) < T])
    wrong = torch.tensor([[3.0], [1.0]]).expand(B, T)
    loss = flow_loss(Off("sample", wrong), "sample", X0, CONDITION, NOISE, TIMES, NOBODY, counted, "examples")
    assert float(loss) == pytest.approx((9 + 1) / 2)


@every("prediction, given, padded", list(product(PREDICTIONS, range(T), range(T))))
def test_the_mean_over_rows_counts_each_row_of_the_batch_that_is_learned_from_once(
    prediction: str, given: int, padded: int
) -> None:
    wrong = torch.rand(B, T, generator=torch.Generator().manual_seed(2))
    counted = ~rows(given) & ~rows(padded).flip(1)
    net = Off(prediction, wrong)
    loss = flow_loss(net, prediction, X0, CONDITION, NOISE, TIMES, rows(given), counted, "rows")
    torch.testing.assert_close(loss, wrong[counted].square().mean())


@every("prediction, given", list(product(PREDICTIONS, range(T + 1))))
def test_a_given_row_enters_clean_at_time_0_and_the_others_mixed_at_the_examples_time(
    prediction: str, given: int
) -> None:
    net = Off(prediction, torch.zeros(B, T))
    flow_loss(net, prediction, X0, CONDITION, NOISE, TIMES, rows(given), ~rows(given))
    assert (net.t[rows(given)] == 0).all()
    assert torch.equal(net.x[rows(given)], X0[rows(given)])
    for i, t in enumerate(TIMES):
        mixed = ((1 - t) * X0 + t * NOISE)[i, ~rows(given)[i]]
        assert (net.t[i, ~rows(given)[i]] == t).all()
        torch.testing.assert_close(net.x[i, ~rows(given)[i]], mixed)


def test_an_example_without_a_row_to_learn_from_has_no_loss() -> None:
    for average in AVERAGES:
        loss = flow_loss(Off("sample", torch.ones(B, T)), "sample", X0, CONDITION, NOISE, TIMES, ALL, ~ALL, average)
        assert float(loss) == 0


@every("prediction, steps", list(product(PREDICTIONS, range(1, 8))))
def test_with_a_perfect_prediction_euler_ends_at_the_clean_chunk(prediction: str, steps: int) -> None:
    made = integrate(lambda x, t: TARGETS[prediction](X0, NOISE), Flow(prediction), NOISE, steps)
    torch.testing.assert_close(made, X0, atol=1e-6, rtol=0)

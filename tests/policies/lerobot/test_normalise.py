from typing import Any

import numpy as np
import pytest
import torch

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.lerobot.normalise import MODES, affine, identity

STATS = {"mean": [1.0, 2.0], "std": [0.5, 0.0], "min": [-1.0, 3.0], "max": [1.0, 3.0]} | {
    key: [float(i), 2.0] for i, key in enumerate(("q10", "q01", "q90", "q99"))
}


@every("mode", [*MODES, "IDENTITY"])
def test_what_is_normalised_comes_back(mode: str) -> None:
    made = affine(mode, STATS, "x")
    x = torch.tensor([[0.5, 2.5], [-0.5, 3.0]])
    torch.testing.assert_close(made.unnormalise(made.normalise(x))[:, 0], x[:, 0])


@every("mode", [*MODES, "IDENTITY"])
def test_a_whole_chunk_is_done_in_one_call_as_row_by_row(mode: str) -> None:
    made = affine(mode, STATS, "x")
    chunk = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0))
    for call in (made.normalise, made.unnormalise):
        assert torch.equal(call(chunk), torch.stack([torch.stack([call(row) for row in rows]) for rows in chunk]))


def test_the_range_becomes_minus_one_to_one_and_a_number_that_never_varied_minus_one() -> None:
    made = affine("MIN_MAX", STATS, "x")
    assert made.normalise(torch.tensor([[-1.0, 3.0], [1.0, 3.0], [0.0, 3.0]])).tolist() == [[-1, -1], [1, -1], [0, -1]]
    assert made.unnormalise(torch.tensor([0.5, -1.0])).tolist() == [0.5, 3.0]


def test_only_there_is_something_added_to_a_deviation() -> None:
    made = affine("MEAN_STD", {"mean": [0.0], "std": [1.0]}, "x", eps=1.0)
    assert made.normalise(torch.tensor([4.0])).item() == 2.0
    assert made.unnormalise(torch.tensor([4.0])).item() == 4.0


def test_identity_changes_no_number_of_any_shape() -> None:
    x = torch.randn(3, 4, 5)
    assert torch.equal(identity().normalise(x), x) and torch.equal(identity().unnormalise(x), x)


def test_statistics_of_colours_are_taken_flat_or_as_an_image() -> None:
    image = torch.rand(1, 3, 4, 5)
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])
    flat = affine("MEAN_STD", {"mean": mean, "std": std}, "x", visual=True)
    deep = affine("MEAN_STD", {"mean": mean.reshape(3, 1, 1), "std": std.reshape(3, 1, 1)}, "x", visual=True)
    assert torch.equal(flat.normalise(image), deep.normalise(image))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_statistic_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ConfigError, match=r"the std of x is \[1\.0, (nan|inf)\]; save the processors again"):
        affine("MEAN_STD", {"mean": [0.0, 0.0], "std": [1.0, bad]}, "x")


@every(
    ("mode", "stats", "words"),
    [
        ("MEAN_STD", {"mean": [0.0, 0.0], "std": [1.0, -0.5]}, "the std of x is -0.5 in dimension 1, which is not"),
        (
            "MEAN_STD",
            {"mean": [0.0, 0.0], "std": [0.0, 1.0]},
            "the std of x is 0 in dimension 0, which is not positive",
        ),
        (
            "MEAN_STD",
            {"mean": [0.0, 0.0], "std": [0.0, 1.0], "min": [-1.0, 0.0], "max": [1.0, 0.0]},
            "the std of x is 0 in dimension 0, which is not positive",
        ),
        ("MIN_MAX", {"min": [0.0, 3.0], "max": [1.0, 2.0]}, "the max of x is 2 in dimension 1, and the min 3"),
        ("QUANTILES", {"q01": [2.0], "q99": [1.0]}, "the q99 of x is 1 in dimension 0, and the q01 2"),
        ("MEAN_STD", {"mean": [0.0] * 4, "std": [1.0]}, "the mean of x has 4 numbers and the std 1"),
        ("MEAN_STD", {"mean": [0.0] * 4, "std": 1.0}, "the mean of x has 4 numbers and the std 1"),
    ],
)
def test_statistics_that_no_data_has_are_refused(mode: str, stats: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        affine(mode, stats, "x")
    assert str(caught.value).startswith(words)
    assert str(caught.value).endswith("; save the processors again with the statistics of the data set")


def test_a_deviation_of_zero_is_right_where_the_data_never_varied() -> None:
    made = affine("MEAN_STD", {"mean": [2.0], "std": [0.0], "min": [2.0], "max": [2.0]}, "x")
    assert made.normalise(torch.tensor([2.0])).tolist() == [0.0]

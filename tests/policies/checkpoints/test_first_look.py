import numpy as np
import torch

from rollahead.policies.checkpoints.first_look import unlike

NAMES = ("shoulder.pos", "elbow.pos")
STATS = {"mean": torch.tensor([0.0, 30.0]), "std": torch.tensor([5.0, 10.0])}


def test_a_state_like_those_of_training_gives_no_line() -> None:
    assert unlike(STATS, NAMES, np.array([49.0, -69.0])) == ""


def test_a_state_far_off_is_named_with_its_value_and_the_statistics() -> None:
    assert unlike(STATS, NAMES, np.array([1.0, 145.0])) == (
        "the state is more than 10 standard deviations outside what the policy was trained on: elbow.pos is 145 "
        "(mean 30, deviation 10); look at units (degrees, percent), calibration and names"
    )


def test_a_number_that_never_varied_may_not_vary_now_and_is_compared_as_the_policy_is_given_it() -> None:
    still = {"mean": torch.tensor([0.1]), "std": torch.tensor([0.0])}
    assert unlike(still, ("gripper.pos",), np.array([0.1])) == ""
    assert "gripper.pos is 0.2 (mean 0.1, deviation 0)" in unlike(still, ("gripper.pos",), np.array([0.2]))


def test_without_a_mean_the_range_says_how_far_off_a_number_is() -> None:
    ends = {"min": torch.tensor([-100.0, 0.0]), "max": torch.tensor([100.0, 1.0])}
    assert unlike(ends, NAMES, np.array([570.0, 0.5])) == ""
    assert "shoulder.pos is 580 (mean 0, deviation 57.735)" in unlike(ends, NAMES, np.array([580.0, 0.5]))


def test_at_most_three_are_named_and_the_others_counted() -> None:
    stats = {"mean": torch.zeros(5), "std": torch.ones(5)}
    said = unlike(stats, tuple("abcde"), np.full(5, 11.0))
    assert "c is 11 (mean 0, deviation 1), and 2 more; look at" in said and "d is" not in said


def test_without_statistics_or_with_those_of_another_size_nothing_is_compared() -> None:
    assert unlike({}, NAMES, np.full(2, 1e9)) == ""
    assert unlike({"mean": torch.zeros(1), "std": torch.ones(1)}, NAMES, np.full(2, 1e9)) == ""

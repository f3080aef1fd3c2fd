import numpy as np
import pytest

from every import every
from rollahead.runtime.safety.follower import Follower
from rollahead.runtime.types.arrays import FloatArray, frozen

RATE, CHANGE = 1.0, 0.25


def followed(targets: FloatArray, rate: float, change: float, *, quick: bool = True) -> tuple[FloatArray, list[str]]:
    """What is sent for `targets` (n,), from rest at 0, and what held it back."""
    follower = Follower(np.array([rate]), np.array([change]))
    follower.begin(frozen([0.0]))
    sent, why = [], []
    for target in targets:
        asked = frozen([target])
        if quick and follower.follows(asked, asked.tolist()):
            sent.append(asked)
            why.append("")
            continue
        to, fast, abrupt = follower.toward(asked)
        follower.went(asked, frozen(to))
        sent.append(to)
        why.append(" ".join(name for name, holds in (("rate", fast), ("change", abrupt)) if holds))
    return np.concatenate(sent), why


def streams(n: int) -> list[FloatArray]:
    rng = np.random.default_rng(3)
    wild = [np.cumsum(rng.choice([-2.0, -0.3, 0.0, 0.2, 3.0], n)) for _ in range(40)]
    return [*wild, *(rng.normal(0, 5, n) for _ in range(40))]


@every("rate", [0.5, 1.0, np.inf])
@every("change", [0.1, 0.5, np.inf])
def test_no_stream_makes_it_pass_a_limit(rate: float, change: float) -> None:
    for targets in streams(60):
        steps = np.diff(followed(targets, rate, change)[0], prepend=0.0)
        assert (np.abs(steps) <= rate + 1e-9).all()
        assert (np.abs(np.diff(steps, prepend=0.0)) <= change + 1e-9).all()


@every("rate", [0.5, 1.0, np.inf])
@every("change", [0.1, 0.5, np.inf])
def test_a_stream_that_keeps_the_limits_passes_to_the_bit(rate: float, change: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        steps, step = [], 0.0
        for push in rng.uniform(-1, 1, 80):
            step = float(np.clip(step + push * min(change, 1.0) * 0.99, -rate * 0.99, rate * 0.99))
            steps.append(step)
        targets = np.cumsum(steps)
        sent, why = followed(targets, rate, change)
        assert sent.tolist() == targets.tolist()
        assert not any(why)


@every("jump", [-40.0, -1.0, 0.1, 0.3, 2.0, 17.5])
@every("change", [0.05, 0.25, 1.0])
def test_after_a_jump_it_comes_to_rest_on_the_target_without_passing_it(jump: float, change: float) -> None:
    sent, _ = followed(np.full(400, jump), RATE, change)
    assert sent[-1] == jump
    along = sent * np.sign(jump)
    assert (np.diff(along) >= -1e-12).all()
    assert along.max() <= abs(jump) + 1e-12


def test_it_says_which_limit_held_it_back() -> None:
    assert followed(np.array([0.5, 5.0, 5.0]), 1.0, np.inf)[1] == ["", "rate", "rate"]
    assert followed(np.array([0.5, 0.5]), np.inf, 0.25)[1][0] == "change"
    assert followed(np.array([0.2, 0.4, 0.6]), 1.0, 0.25)[1] == ["", "", ""]


@pytest.mark.parametrize("rate", [1.0, np.inf])
@pytest.mark.parametrize("change", [0.25, np.inf])
def test_the_quick_way_and_the_long_way_send_the_same(rate: float, change: float) -> None:
    for targets in streams(60):
        quick, long = (followed(targets, rate, change, quick=which)[0] for which in (True, False))
        np.testing.assert_allclose(quick, long, rtol=0, atol=1e-12)


def test_off_the_target_nothing_follows_the_quick_way() -> None:
    follower = Follower(np.array([RATE]), np.array([CHANGE]))
    follower.begin(frozen([0.0]))
    far, near = frozen([9.0]), frozen([0.1])
    to, _, _ = follower.toward(far)
    follower.went(far, frozen(to))
    assert not follower.follows(near, near.tolist())

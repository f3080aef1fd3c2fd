"""Programs that drive a robot get signals at random moments."""

import pytest
from benchmarks.signal_trials import CLOSE, Outcome, drawn, judged, trial

from every import every

FEW = [
    ("thread", ("INT",), (0.3,)),
    ("thread", ("HUP", "TERM"), (0.3, 0.0001)),
    ("process", ("HUP", "TERM"), (1.2, 0.0001)),
    ("process", ("INT", "INT"), (0.7, 0.0002)),
    ("thread", (CLOSE,), (0.3,)),
    ("process", (CLOSE, "TERM"), (1.2, 0.0002)),
]


def safe(outcome: Outcome) -> bool:
    """Whether the robot is at rest, stopped and disconnected once, and the user was told."""
    assert outcome.safe, outcome
    return True


@pytest.mark.slow
@pytest.mark.parametrize("isolation, signals, delays", FEW)
def test_whatever_signals_come_the_robot_is_brought_to_rest_stopped_disconnected_and_the_user_told(
    isolation: str, signals: tuple[str, ...], delays: tuple[float, ...]
) -> None:
    assert safe(trial(isolation, signals, delays, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_so_it_is_at_random_moments_from_before_the_with_to_after_its_end(seed: int) -> None:
    assert safe(trial(*drawn(seed)))


def test_trials_are_drawn_of_both_isolations_with_one_and_two_signals_of_all_kinds() -> None:
    all_of = [drawn(seed) for seed in range(200)]
    assert {isolation for isolation, *_ in all_of} == {"thread", "process"}
    assert {len(signals) for _, signals, *_ in all_of} == {1, 2}
    assert {name for _, signals, *_ in all_of for name in signals} == {"INT", "TERM", "HUP", CLOSE}
    assert drawn(7) == drawn(7)


@every(
    "notes, words",
    [
        (["connect", "write 0 0.5", "stop", "disconnect", "interrupted"], "at_rest"),
        (["connect", "write 0 1.0", "write 0 0.0", "stop", "disconnect", "interrupted"], "at_rest"),
        (["connect", "interrupted"], "stopped"),
        (["connect", "stop", "stop", "disconnect", "interrupted"], "stopped"),
        (["connect", "stop", "write 0 0", "disconnect", "interrupted"], "stopped"),
        (["connect", "stop", "interrupted"], "disconnected"),
        (["connect", "stop", "disconnect"], "told"),
        (["connect", "stop", "disconnect", "failed it hangs"], "told"),
        (["connect", "stop", "disconnect", "ended"], "told"),
    ],
)
def test_a_robot_that_is_left_in_any_other_state_is_found(notes: list[str], words: str) -> None:
    outcome = judged([f"{10**9} {note}" for note in notes], 0, sent_ns=0)
    assert not getattr(outcome, words)
    assert not outcome.safe


def test_a_robot_that_was_never_connected_is_safe() -> None:
    assert safe(judged(["5 begin"], -15, sent_ns=10))

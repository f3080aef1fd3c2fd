from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.errors import LifecycleError
from rollahead.runtime.control.history import History


def filled(capacity: int, ticks: range) -> History:
    """A history in which the action of tick k reads (k, -k)."""
    history = History(capacity, 2)
    for k in ticks:
        history.append(k, np.array([k, -k], dtype=np.float64))
    return history


def test_every_tail_is_that_of_a_plain_list_of_the_newest() -> None:
    for capacity, start in product(range(1, 7), (-3, 0, 5)):
        history = History(capacity, 2)
        model: list[tuple[int, int]] = []
        for k in range(start, start + 3 * capacity + 2):
            for n in range(capacity + 3):
                expected = model[-capacity:][max(len(model[-capacity:]) - n, 0) :]
                np.testing.assert_array_equal(history.tail(n), np.array(expected, float).reshape(-1, 2))
            history.append(k, np.array([k, -k], dtype=np.float64))
            model.append((k, -k))
            np.testing.assert_array_equal(history.last, model[-1])


def test_an_empty_history_has_no_last_action_and_empty_tails_of_the_right_width() -> None:
    for n in range(4):
        assert History(3, 5).tail(n).shape == (0, 5)
    assert History(3, 5).last is None


def test_a_tail_that_was_given_never_changes_again() -> None:
    for n in range(1, 5):
        history = filled(4, range(4))
        tail = history.tail(n)
        before = tail.copy()
        for k in range(4, 13):
            history.append(k, np.array([k, -k], dtype=np.float64))
            np.testing.assert_array_equal(tail, before)


def test_a_last_action_that_was_given_cannot_be_written_and_never_changes_again() -> None:
    history = filled(2, range(3))
    last = history.last
    assert last is not None
    for k in range(3, 9):
        history.append(k, np.array([k, -k], dtype=np.float64))
        np.testing.assert_array_equal(last, [2, -2])
    with pytest.raises(ValueError, match="read-only"):
        last[...] = 1.0


def test_a_tail_cannot_be_written() -> None:
    for n in range(4):
        with pytest.raises(ValueError, match="read-only"):
            filled(3, range(7)).tail(n)[...] = 1.0


def test_an_action_is_entered_by_value() -> None:
    history, action = History(2, 1), np.array([1.0])
    history.append(0, action)
    action[0] = 9.0
    np.testing.assert_array_equal(history.tail(1), [[1.0]])


@every("step", [-4, -1, 0, 2, 3])
def test_a_tick_that_does_not_follow_is_refused_with_both_ticks_and_changes_nothing(step: int) -> None:
    history = filled(3, range(5, 9))
    with pytest.raises(LifecycleError, match=f"tick {8 + step} was entered after tick 8; enter every tick"):
        history.append(8 + step, np.zeros(2))
    np.testing.assert_array_equal(history.tail(3)[:, 0], [6, 7, 8])
    history.append(9, np.array([9.0, -9.0]))
    np.testing.assert_array_equal(history.tail(3)[:, 0], [7, 8, 9])

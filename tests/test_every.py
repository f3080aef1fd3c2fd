"""The decorator that loops over the cases of a family."""

import inspect

import pytest

from every import every


def test_every_case_is_run_once_with_what_is_not_of_the_family() -> None:
    ran = []

    @every("a, b", [(1, 2), (3, 4)])
    @every("c", "xy")
    def looped(a: int, b: int, c: str, fixture: str) -> None:
        ran.append((a, b, c, fixture))

    assert list(inspect.signature(looped).parameters) == ["fixture"]
    looped(fixture="f")
    assert ran == [(1, 2, "x", "f"), (1, 2, "y", "f"), (3, 4, "x", "f"), (3, 4, "y", "f")]


def test_a_failure_names_its_case_and_ends_the_test() -> None:
    ran = []

    @every("n", range(5))
    def looped(n: int) -> None:
        ran.append(n)
        assert n != 2

    with pytest.raises(AssertionError) as failed:
        looped()
    assert failed.value.__notes__ == ["case: n=2"]
    assert ran == [0, 1, 2]


def test_a_family_without_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no case of n"):
        every("n", [])

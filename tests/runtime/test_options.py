from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from rollahead.errors import ConfigError
from rollahead.runtime.options import KINDS, call, check_kind


@dataclass(frozen=True, slots=True)
class Motor:
    """Something that a person configures."""

    ticks: int
    gain: float = 1.0
    name: str = "a"
    on: bool = False
    delay: int | None = None
    rows: Sequence[int] = ()
    either: int | str = 0
    any: Any = None


def made_by(ticks: int, *, gain: float = 2.0) -> Motor:
    return Motor(ticks, gain)


def refused(where: str = "motor", **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        call(Motor, options, where)
    return str(caught.value)


VALUES: dict[type, Sequence[object]] = {
    int: [0, -3, 10**20],
    float: [0.0, 2.5, 3, -1],  # a whole number is a number
    bool: [True, False],
    str: ["", "a"],
}
OTHERS: dict[type, Sequence[object]] = {
    int: [True, 1.0, "1", None, [1]],
    float: [True, "1.0", None, [1.0]],
    bool: [0, 1.0, "true", None],
    str: [0, 1.5, True, None, ["a"]],
}


def test_a_constructor_or_a_function_is_called_with_the_options_and_its_own_defaults() -> None:
    assert call(Motor, {"ticks": 3, "on": True}, "motor") == Motor(3, on=True)
    assert call(made_by, {"ticks": 3}) == Motor(3, 2.0)
    assert call(made_by, {"ticks": 3, "gain": 4}) == Motor(3, 4)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_value_of_the_kind_is_passed_and_one_of_another_refused_with_what_to_give(kind: type) -> None:
    for value in VALUES[kind]:
        check_kind("motor.x", value, kind)
    for value in OTHERS[kind]:
        with pytest.raises(ConfigError) as caught:
            check_kind("motor.x", value, kind)
        assert str(caught.value) == f"motor.x is {value!r}; give {KINDS[kind]}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_null_is_passed_only_where_it_is_one_of_the_kinds(kind: type) -> None:
    check_kind("x", None, kind | None)
    with pytest.raises(ConfigError, match=f"; give {KINDS[kind]} or null$"):
        check_kind("x", OTHERS[kind][0], kind | None)


def test_of_a_union_every_kind_is_passed_and_all_are_named() -> None:
    for one in KINDS:
        for other in KINDS:
            if one is not other:
                for value in (*VALUES[one], *VALUES[other]):
                    check_kind("x", value, one | other)
                with pytest.raises(ConfigError) as caught:
                    check_kind("x", [1], one | other)
                assert str(caught.value) == f"x is [1]; give {KINDS[one]} or {KINDS[other]}"


@pytest.mark.parametrize("hint", [Any, Sequence[int], dict[str, float], Motor, Sequence[int] | None], ids=str)
def test_kinds_that_are_not_known_are_let_through(hint: object) -> None:
    for value in (None, True, 3, "a", [1.5], Motor(1)):
        check_kind("x", value, hint)


def test_an_option_that_there_is_not_is_named_with_a_near_miss_and_all_that_there_are() -> None:
    known = "Known: any, delay, either, gain, name, on, rows, ticks"
    assert refused(tick=3) == f"there is no option of the motor 'tick'; did you mean 'ticks'? {known}"
    assert refused(ticks=3, zzzz=3) == f"there is no option of the motor 'zzzz'; {known}"
    assert refused("", tick=3).startswith("there is no option called 'tick'; did you mean 'ticks'?")


def test_an_option_that_is_missing_is_named_with_its_group() -> None:
    assert refused(gain=2.0) == "motor.ticks must be given; add motor.ticks=..."
    with pytest.raises(ConfigError, match=r"^planner\.ticks must be given; add planner\.ticks=\.\.\.$"):
        call(made_by, {}, "planner")


@pytest.mark.parametrize(("where", "prefix"), [("motor", "motor."), ("", "")])
def test_an_option_of_another_kind_is_named_with_its_group(where: str, prefix: str) -> None:
    assert refused(where, ticks="soon") == f"{prefix}ticks is 'soon'; give a whole number"
    assert refused(where, ticks=True) == f"{prefix}ticks is True; give a whole number"
    assert refused(where, ticks=1, delay="a") == f"{prefix}delay is 'a'; give a whole number or null"
    assert refused(where, ticks=1, either=2.5) == f"{prefix}either is 2.5; give a whole number or a text"


def test_what_the_constructor_refuses_itself_is_passed_on_as_it_is() -> None:
    refusal = ConfigError("the gain is 9; give less than 2")

    def refusing(gain: float) -> None:
        raise refusal

    with pytest.raises(ConfigError) as caught:
        call(refusing, {"gain": 9.0}, "motor")
    assert caught.value is refusal

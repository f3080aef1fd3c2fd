import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from rollahead.errors import ConfigError
from rollahead.runtime.types.options import KINDS, call, check_kind


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


VALUES: dict[type, Sequence[Any]] = {
    int: [0, -3, 10**20],
    float: [0.0, 2.5, 3, -1],  # a whole number is a number
    bool: [True, False],
    str: ["", "a"],
    list: [[], (), [1], ("a", None)],
    dict: [{}, {"a": [1]}, {3: None}],
}
OTHERS: dict[type, Sequence[Any]] = {
    int: [True, 1.0, "1", None, [1], {"a": 1}],
    float: [True, "1.0", None, [1.0], {"a": 1.0}],
    bool: [0, 1.0, "true", None],
    str: [0, 1.5, True, None, ["a"]],
    list: [3, 1.5, True, "ab", None, {"a": 1}],
    dict: [3, 1.5, True, "ab", None, [1], ("a", 1)],
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
    with pytest.raises(ConfigError, match=re.escape(f"; give {KINDS[kind]} or null")):
        check_kind("x", OTHERS[kind][0], kind | None)


def test_of_a_union_every_kind_is_passed_and_all_are_named() -> None:
    for one in KINDS:
        for other in KINDS:
            if one is not other:
                for value in (*VALUES[one], *VALUES[other]):
                    check_kind("x", value, one | other)
                with pytest.raises(ConfigError) as caught:
                    check_kind("x", None, one | other)
                assert str(caught.value) == f"x is None; give {KINDS[one]} or {KINDS[other]}"


@pytest.mark.parametrize("hint", [Any, Motor, Motor | None], ids=str)
def test_kinds_that_are_not_known_are_let_through(hint: object) -> None:
    for value in (None, True, 3, "a", [1.5], Motor(1)):
        check_kind("x", value, hint)


INSIDE: dict[Any, tuple[Sequence[Any], Any, str]] = {  # what fits, what does not, and what is said of that
    list[int]: ([[], [1, 2], (3,)], [1, "b"], "x[1] is 'b'; give a whole number"),
    Sequence[float]: ([[1, 2.5]], [None], "x[0] is None; give a number"),
    tuple[int, ...]: ([[], [1, 2]], [1.5], "x[0] is 1.5; give a whole number"),
    tuple[int, str]: ([[1, "a"]], [1, 2], "x[1] is 2; give a text"),
    tuple[float, float]: ([[1, 2]], [1, 2, 3], "x has 3 values; give 2"),
    Sequence[int] | None: ([None, [1]], ["a"], "x[0] is 'a'; give a whole number"),
    dict[str, list[int]]: ([{}, {"a": [1]}], {"a": 3}, "x.a is 3; give a list, as in [a, b]"),
    Mapping[str, Any]: ([{"a": None}], {3: 4}, "a name in x is 3; give a text"),
    Mapping[str, Mapping[str, Any]] | None: ([None, {"a": {}}], {"a": [1]}, "x.a is [1]; give names with their values"),
}


@pytest.mark.parametrize("hint", INSIDE, ids=str)
def test_what_is_in_a_list_or_under_a_name_is_looked_at_too(hint: Any) -> None:
    fits, other, said = INSIDE[hint]
    for value in fits:
        check_kind("x", value, hint)
    with pytest.raises(ConfigError) as caught:
        check_kind("x", other, hint)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_wherever_it_is(number: float) -> None:
    for value, hint, name in ((number, float | None, "x"), ([1, number], list[float], r"x\[1\]")):
        with pytest.raises(ConfigError, match=f"^{name} is {number}; give a finite number$"):
            check_kind("x", value, hint)
    assert refused(ticks=1, gain=number) == f"motor.gain is {number}; give a finite number"


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_infinity_is_let_through_where_it_says_something(number: float) -> None:
    check_kind("x", number, float, endless=True)
    check_kind("x", {"a": [number]}, dict[str, list[float]], endless=True)
    with pytest.raises(ConfigError, match=r"^x is nan; give a finite number$"):
        check_kind("x", math.nan, float, endless=True)


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

"""The two tables of refusals, held to DESIGN section 5, which is written out again here, and to what happens if not."""

import re
from itertools import combinations, product

import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.config.feasibility import (
    REFUSALS,
    SCHEDULES,
    TECHNIQUES,
    check_schedule,
    check_techniques,
    tables,
)

HORIZONS = range(1, 13)
DOMAIN = [(h, s, d) for h in HORIZONS for s in range(14) for d in range(14)]

NEEDS = {
    "sync": lambda h, s, d: 1 <= s <= h,
    "naive": lambda h, s, d: s >= 1 and d + s <= h and 2 * d <= h,
    "naive_arrival": lambda h, s, d: s >= 1 and d <= s <= h,
    "ensemble": lambda h, s, d: s >= 1 and d + s <= h and 2 * d <= h,
    "vlash": lambda h, s, d: s >= 1 and d <= s <= h,
}


def allowed(strategy: str, horizon: int, s: int, delay: int) -> bool:
    try:
        check_schedule(strategy, horizon, s, delay)
    except ConfigError:
        return False
    return True


@every("strategy", NEEDS)
def test_a_schedule_is_refused_if_and_only_if_its_numbers_do_not_go_together(strategy: str) -> None:
    for numbers in DOMAIN:
        assert allowed(strategy, *numbers) == NEEDS[strategy](*numbers), numbers


@every("strategy", NEEDS)
def test_a_negative_delay_is_refused_whatever_the_rest(strategy: str) -> None:
    for horizon, s in product(HORIZONS, range(1, 4)):
        with pytest.raises(ConfigError, match=f"{strategy}: the delay d is -1 ticks; give 0 or more"):
            check_schedule(strategy, horizon, s, -1)


@every("strategy", NEEDS)
def test_a_refused_schedule_is_told_its_need_its_numbers_and_a_remedy(strategy: str) -> None:
    for h, s, d in DOMAIN[::29]:
        if not NEEDS[strategy](h, s, d):
            with pytest.raises(ConfigError) as caught:
                check_schedule(strategy, h, s, d)
            numbers = f"and H = {h}, s = {s}, d = {d}: "
            pattern = rf"{strategy} needs .+ <= .+, {re.escape(numbers)}.+; (give|lower|raise) .+"
            assert re.fullmatch(pattern, str(caught.value))


def usable_ticks(strategy: str, horizon: int, s: int, delay: int, ticks: int) -> set[int]:
    """The ticks that have an action if each inference takes `delay` ticks: one request open at a time, s apart."""
    usable: set[int] = set()
    asked = 0
    while asked < ticks:
        origin = asked if strategy in ("naive", "ensemble") else asked + delay
        usable |= set(range(asked + delay, origin + horizon))
        asked += max(s, delay)
    return usable


@pytest.mark.parametrize("strategy", ["naive", "naive_arrival", "ensemble", "vlash"])
def test_no_schedule_that_is_let_through_ever_starves(strategy: str) -> None:
    for h, s, d in DOMAIN:
        if allowed(strategy, h, s, d):
            assert usable_ticks(strategy, h, s, d, 60) >= set(range(d, 60)), (h, s, d)


@pytest.mark.parametrize("strategy", ["naive", "ensemble"])
def test_from_t_obs_every_schedule_that_is_refused_would_starve(strategy: str) -> None:
    for h, s, d in DOMAIN:
        if s >= 1 and not allowed(strategy, h, s, d):
            assert not usable_ticks(strategy, h, s, d, 60) >= set(range(d, 60)), (h, s, d)


ALL = {"rolling", "guidance", "prefix", "ensembling", "selection", "correction", "speed-up"}
APART = {frozenset(pair.split(" + ")) for pair in (
    "rolling + prefix",
    "guidance + prefix",
    "ensembling + rolling",
    "ensembling + guidance",
    "ensembling + prefix",
    "ensembling + selection",
    "speed-up + guidance",
    "speed-up + prefix",
    "speed-up + selection",
    "speed-up + correction",
)}  # fmt: skip


def test_the_tables_speak_of_the_same_techniques() -> None:
    assert {technique for refusal in REFUSALS for technique in refusal.pair} == ALL
    assert set(TECHNIQUES.values()) == ALL - {"speed-up"}
    assert len({refusal.pair for refusal in REFUSALS}) == len(REFUSALS)


@pytest.mark.parametrize("pair", list(combinations(sorted(ALL), 2)), ids=" + ".join)
def test_a_pair_is_refused_both_ways_round_or_neither(pair: tuple[str, str]) -> None:
    for techniques in (list(pair), list(reversed(pair)), {*pair}, frozenset(pair)):
        if frozenset(pair) in APART:
            with pytest.raises(ConfigError, match=f"{pair[0]} does not go with {pair[1]}: .+; .+"):
                check_techniques(techniques)
        else:
            check_techniques(techniques)


def test_the_printed_tables_hold_every_need_and_every_refusal_once() -> None:
    for name, entries in (("schedules", sum(map(len, SCHEDULES.values()))), ("refusals", len(REFUSALS))):
        head, rule, *rows = tables()[name].splitlines()
        assert {line.count("|") for line in (head, rule, *rows)} == {5}
        assert len(set(rows)) == len(rows) == entries
    for refusal in REFUSALS:
        assert sum(all(f" {side} |" in row for side in refusal.pair) for row in tables()["refusals"].splitlines()) == 1

"""The advice that episodes give: what is played, and what is never advised."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.evaluation.advice import FRESH, KNOWN, advise, beats, playable, screen
from rollahead.evaluation.evaluation import Cell, Episode, evaluate_all
from rollahead.evaluation.metrics import wilson
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.types.seeds import MOST_SEED

from .test_evaluation import made

Solves = Callable[[StrategyConfig, int], bool]


def cell(**options: Any) -> Cell:
    return Cell({"name": "mole"}, StrategyConfig("sync"), {"name": "fixed", "ticks": 4}, **options)


def vlash(s: int, **options: Any) -> StrategyConfig:
    return StrategyConfig("vlash", s=s, d=4, **options)


NAIVE, SYNC = StrategyConfig("naive", s=4, d=4), StrategyConfig("sync", s=20)


@dataclass
class Player:
    """Plays nothing: whether a schedule solves the episode of a seed, `solves` says."""

    solves: Solves
    rounds: list[Sequence[Cell]] = field(default_factory=list)

    def __call__(self, cells: Sequence[Cell]) -> Iterator[list[Episode]]:
        self.rounds.append(cells)
        for one in cells:
            seeds = range(one.seed, one.seed + one.episodes)
            yield [made(seed, success=self.solves(one.strategy, seed)) for seed in seeds]


def share(strategy: StrategyConfig, seed: int) -> bool:
    """The longer s, the more it solves: 2 s of 100, so that s = 32 solves 64."""
    return seed * 37 % 100 < 2 * strategy.s


def test_screening_plays_the_better_half_on_twice_as_many_new_seeds_until_two_are_left() -> None:
    player = Player(share)
    found = screen(cell(episodes=100), [vlash(s) for s in range(10, 26)], player)
    assert [(len(cells), cells[0].episodes) for cells in player.rounds] == [(16, 25), (8, 50), (4, 100), (2, 200)]
    assert [one.strategy.s for one in found[:4]] == [25, 24, 23, 22]
    assert [one.episodes for one in found] == [375] * 2 + [175] * 2 + [75] * 4 + [25] * 8


@every("count", range(1, 20))
def test_the_last_round_has_twice_the_episodes_of_the_confirmation_however_many_schedules_there_are(count: int) -> None:
    player = Player(share)
    screen(cell(episodes=16), [vlash(s) for s in range(10, 10 + count)], player)
    assert player.rounds[-1][0].episodes == 32
    assert len(player.rounds[-1]) == min(count, 2)


def test_all_of_a_round_play_the_same_seeds_which_no_other_round_and_no_confirmation_plays() -> None:
    player = Player(share)
    advise(cell(episodes=40, seed=7), [vlash(s) for s in (10, 14, 18, 22)], player)
    seen: set[int] = set()
    for cells in player.rounds:
        (seeds,) = {range(one.seed, one.seed + one.episodes) for one in cells}
        assert seen.isdisjoint(seeds)
        seen.update(seeds)
    assert range(player.rounds[-1][0].seed, player.rounds[-1][0].seed + 40) == range(7, 47)
    assert min(seen - set(range(7, 47))) == 7 + FRESH


@pytest.mark.parametrize("seed", [0, MOST_SEED - 100])
def test_any_seed_that_can_be_evaluated_can_be_advised_on(seed: int) -> None:
    advise(cell(episodes=100, seed=seed), [vlash(10), vlash(20)], Player(share))


@every("count", range(1, 9))
def test_however_many_schedules_each_is_screened_and_the_best_is_advised(count: int) -> None:
    found = advise(cell(episodes=100), [vlash(s) for s in range(10, 10 + count)], Player(share))
    assert len(found.screened) == count
    assert found.chosen.s == 9 + count


def test_the_best_three_are_confirmed_with_the_forecasts_and_naive_and_sync_whatever_they_came_to() -> None:
    schedules = [vlash(5), *(vlash(s) for s in range(20, 28)), NAIVE, StrategyConfig("naive", s=6, d=4), SYNC]
    found = advise(cell(episodes=40), schedules, Player(lambda one, seed: share(one, seed) and one.name == "vlash"))
    assert [one.s for one in found.order if one.name == "vlash"] == [27, 26, 25, 5]
    assert found.order[0] == found.chosen == vlash(27)
    assert [name for name in KNOWN if name in [one.name for one in found.order]] == ["naive", "sync"]
    assert len(found.order) == 6
    assert all(len(found.episodes(one)) == 40 for one in found.order)


def test_what_loses_on_the_fresh_seeds_beyond_its_interval_is_never_advised_however_well_it_did_before() -> None:
    def solves(strategy: StrategyConfig, seed: int) -> bool:
        lucky = strategy.s == 30 and seed >= FRESH
        return lucky or (share(strategy, seed) and strategy.s != 30)

    found = advise(cell(episodes=100), [vlash(30), vlash(20), NAIVE, SYNC], Player(solves))
    assert found.screened[0].strategy == vlash(30)
    assert found.chosen == vlash(20)


def test_the_forecasts_advice_that_its_own_episodes_show_losing_is_not_the_advice() -> None:
    found = advise(cell(episodes=40), [vlash(8), NAIVE, SYNC], Player(lambda one, seed: one.name == "naive"))
    assert found.chosen == NAIVE


def test_of_those_that_no_other_beats_the_best_of_the_screening_is_advised_not_the_luckiest_later() -> None:
    def solves(strategy: StrategyConfig, seed: int) -> bool:
        return seed % 2 == 0 if seed >= FRESH else seed > strategy.s // 20  # vlash(20) has one more, in one episode

    found = advise(cell(episodes=100), [vlash(10), vlash(20), SYNC], Player(solves))
    assert found.chosen == vlash(10)


@every("won", range(30))
@every("lost", range(0, 30, 3))
def test_one_beats_another_where_what_only_one_solves_is_its_own_beyond_the_interval(won: int, lost: int) -> None:
    both = [(True, False)] * won + [(False, True)] * lost + [(True, True)] * 5 + [(False, False)] * 5
    one, other = ([made(success=each[i]) for each in both] for i in (0, 1))
    assert beats(one, other) == (wilson(won, won + lost)[0] > 0.5)
    assert not (beats(one, other) and beats(other, one))
    assert beats(one, other) <= (won > lost + 3)


def test_of_equals_the_faster_is_first() -> None:
    def play(cells: Sequence[Cell]) -> Iterator[list[Episode]]:
        for one in cells:
            yield [made(seed, time_s=1 / one.strategy.s) for seed in range(one.episodes)]

    assert [one.strategy.s for one in screen(cell(episodes=8), [vlash(8), vlash(20), vlash(12)], play)] == [20, 12, 8]


def test_what_cannot_be_played_is_left_out_and_if_nothing_can_the_reason_is_given() -> None:
    cells = [Cell(cell().task, one, cell().latency) for one in (vlash(3), vlash(8), StrategyConfig("vlash", s=60))]
    assert [one.strategy.s for one in playable(cells)] == [8]
    with pytest.raises(ConfigError, match="s = 60"):
        playable([cells[0], cells[2]])


def test_a_line_is_told_before_each_round() -> None:
    lines: list[str] = []
    advise(cell(episodes=8), [vlash(8), vlash(9), NAIVE, SYNC], Player(share), lines.append)
    assert lines == [
        "trying 4 schedules on 8 episodes each",
        "trying 2 schedules on 16 episodes each",
        "confirming 4 schedules on 8 fresh episodes each",
    ]


def test_real_episodes_are_played_and_the_same_advice_comes_again() -> None:
    schedules = [StrategyConfig("vlash", s=12, d=12), StrategyConfig("sync", s=28)]
    slow = Cell({"name": "mole"}, SYNC, {"name": "fixed", "ticks": 12}, episodes=8, reactions=False)
    first, again = (advise(slow, schedules, partial(evaluate_all, workers=1)) for _ in range(2))
    assert first.chosen == again.chosen == schedules[0]
    assert [one.hits for one in first.screened] == [one.hits for one in again.screened]

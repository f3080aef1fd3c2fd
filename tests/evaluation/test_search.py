"""The search for the best execution horizon."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, Episode, evaluate_all
from rollahead.evaluation.search import SEED, Search, find_best
from rollahead.evaluation.search import candidates as all_candidates
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import EnsembleConfig

from .test_evaluation import made


def cell(name: str = "vlash", ticks: int = 8, **options: Any) -> Cell:
    return Cell({"name": "mole"}, StrategyConfig(name, **options), {"name": "fixed", "ticks": ticks})


def candidates(cell: Cell, search: Search) -> list[Cell]:
    """Those that can be."""
    return all_candidates(cell, search)[0]


def tried(found: Sequence[Cell]) -> list[tuple[int, float]]:
    return [(one.strategy.s, one.strategy.ensemble.decay) for one in found]


def test_each_s_is_tried_with_which_the_cell_can_be() -> None:
    some = replace(cell("vlash", 8), traces=60, reactions=True)
    found = candidates(some, Search([4, 7, 8, 20, 32, 33]))
    assert [s for s, _ in tried(found)] == [8, 20, 32]
    assert {(one.seed, one.episodes, one.reactions, one.traces) for one in found} == {(SEED, 50, False, 0)}


def test_what_cannot_be_is_told_with_the_reason() -> None:
    found, refused = all_candidates(cell("vlash", 8), Search([4, 8, 60], [0.5]))
    assert [s for s, _ in tried(found)] == [8]
    assert [(one.s, one.decay) for one in refused] == [(4, 0.01), (60, 0.01)]
    assert "s = 4, d = 8" in refused[0].why
    assert "H = 32, s = 60" in refused[1].why
    assert all_candidates(cell(), Search([8, 9]))[1] == []


def test_what_is_given_twice_is_tried_once() -> None:
    assert tried(candidates(cell("ensemble"), Search([8, 4, 8], [1, 1.0]))) == [(8, 1.0), (4, 1.0)]


@every(
    ("seed", "episodes", "shared"),
    [
        (SEED - 3, 3, False),
        (SEED - 3, 4, True),
        (SEED, 1, True),
        (SEED + 6, 1, True),
        (SEED + 7, 1, False),
        (0, SEED + 9, True),
    ],
)
def test_what_is_reported_may_not_have_the_seeds_of_the_search(seed: int, episodes: int, shared: bool) -> None:
    some = replace(cell(), seed=seed, episodes=episodes)
    assert len(candidates(some, Search([8], episodes=7))) == 1  # nothing is searched
    if shared:
        words = rf"seed is {seed} and episodes {episodes}, .* 1000000 to 1000006; give a seed of 1000007 or more"
        with pytest.raises(ConfigError, match=words):
            candidates(some, Search([8, 9], episodes=7))
    else:
        assert len(candidates(some, Search([8, 9], episodes=7))) == 2


def test_a_delay_that_is_estimated_must_fit_on_the_seeds_of_both() -> None:
    latency = {"name": "lognormal", "p50": 8.0, "p95": 16.0}
    apart = []
    for seed in range(0, 400, 10):
        some = replace(cell(), latency=latency, seed=seed)
        apart.append([s for s, _ in tried(candidates(some, Search([7, 8, 9, 10, 16])))])
    assert len(set(map(tuple, apart))) > 1


def test_decays_are_tried_for_an_ensemble_only() -> None:
    search = Search([4, 8], [0.01, -2])
    assert tried(candidates(cell("ensemble"), search)) == [(4, 0.01), (4, -2.0), (8, 0.01), (8, -2.0)]
    assert tried(candidates(cell("naive", ensemble=EnsembleConfig(0.3)), search)) == [(4, 0.3), (8, 0.3)]


def test_without_a_search_the_cell_is_the_only_candidate_and_is_not_tried() -> None:
    (one,) = candidates(cell(s=9), Search())
    assert find_best([one], no_play) == (one.strategy, [])


def test_where_nothing_can_be_the_last_refusal_is_told() -> None:
    with pytest.raises(ConfigError, match="s = 7, d = 8"):
        candidates(cell(), Search([33, 7]))


def no_play(cells: Sequence[Cell]) -> Iterator[list[Episode]]:
    raise AssertionError("there is nothing to choose")


def scripted(outcomes: dict[int, list[tuple[bool, float]]]) -> Any:
    """What play comes to: by s, success and task time of each episode."""

    def play(cells: Sequence[Cell]) -> Iterator[list[Episode]]:
        for one in cells:
            yield [made(success=success, time_s=time_s) for success, time_s in outcomes[one.strategy.s]]

    return play


@every(
    ("outcomes", "best"),
    [
        ({4: [(True, 1.0), (False, 1.0)], 8: [(True, 2.0), (True, 2.0)]}, 8),  # more hits
        ({4: [(True, 1.0), (True, 1.0)], 8: [(True, 2.0), (True, 2.0)]}, 4),  # sooner
        ({4: [(True, 1.0), (False, 9.0)], 8: [(True, 2.0), (False, 1.0)]}, 4),  # time is that of hits
        ({4: [(True, 1.0)], 8: [(True, 1.0)]}, 8),  # fewer switches
        ({4: [(False, 1.0)], 8: [(False, 2.0)]}, 8),
    ],
)
def test_the_most_hits_win_then_the_shortest_time_then_the_longest_s(outcomes: Any, best: int) -> None:
    some = [replace(one, episodes=len(outcomes[4])) for one in candidates(cell("sync"), Search([4, 8]))]
    strategy, rows = find_best(some, scripted(outcomes))
    assert strategy.s == best
    assert [row.cell.strategy.s for row in rows] == [4, 8]


def test_what_was_tried_is_told_in_percent_and_seconds() -> None:
    some = [replace(one, episodes=2) for one in candidates(cell("sync"), Search([4, 8]))]
    _, rows = find_best(some, scripted({4: [(True, 0.5), (False, 9.0)], 8: [(False, 1.0)] * 2}))
    assert rows[0].row == {"s": 4, "decay": 0.01, "success": 50.0, "time_s": 0.5}
    assert rows[1].row == {"s": 8, "decay": 0.01, "success": 0.0, "time_s": math.inf}


def test_waiting_for_the_policy_is_best_done_seldom() -> None:
    strategy, _ = find_best(candidates(cell("sync"), Search([2, 24], episodes=12)), evaluate_all)
    assert strategy.s == 24


@every(
    ("options", "words"),
    [
        ({"s": []}, r"search\.s is \[\]"),
        ({"s": [2.5]}, r"search\.s is \[2\.5\]"),
        ({"s": 4}, r"search\.s is 4"),
        ({"decay": ["x"]}, r"search\.decay is \['x'\]"),
        ({"episodes": 0}, r"search\.episodes is 0"),
    ],
)
def test_a_search_of_nothing_is_refused(options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"{words}; give"):
        Search(**options)

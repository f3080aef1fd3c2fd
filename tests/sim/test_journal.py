"""Episodes are kept as they are played."""

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from rollahead.runtime.build import StrategyConfig
from rollahead.sim.evaluation import Cell, Episode, evaluate
from rollahead.sim.journal import JournalFile

CELL = Cell({"name": "mole"}, StrategyConfig("vlash"), {"name": "fixed", "ticks": 4}, episodes=4, reactions=False)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    """Of `CELL`."""
    return evaluate(CELL)


def same(one: Episode, other: Episode) -> bool:
    pairs = ((getattr(one, field.name), getattr(other, field.name)) for field in fields(Episode))
    return all(np.array_equal(a, b, equal_nan=isinstance(a, float | np.ndarray)) for a, b in pairs)


def test_what_was_added_is_there_when_the_file_is_opened_again(tmp_path: Path, episodes: list[Episode]) -> None:
    told = [replace(episodes[0], reaction_s=math.inf, jerk=math.nan), *episodes[1:3]]
    with JournalFile(tmp_path / "journal") as journal:
        assert not journal.resumed
        assert journal.played(CELL) == {}
        for episode in told:
            journal.add(CELL, episode)
    with JournalFile(tmp_path / "journal") as journal:
        assert journal.resumed
        known = journal.played(CELL)
        assert sorted(known) == [0, 1, 2]
        assert all(same(known[episode.seed], episode) for episode in told)
        journal.add(CELL, episodes[3])
    with JournalFile(tmp_path / "journal") as journal:
        assert sorted(journal.played(CELL)) == [0, 1, 2, 3]


def test_episodes_of_another_strategy_or_with_reactions_are_others(tmp_path: Path, episodes: list[Episode]) -> None:
    with JournalFile(tmp_path / "journal") as journal:
        journal.add(CELL, episodes[0])
    with JournalFile(tmp_path / "journal") as journal:
        for changed in ({"s": 12}, {"decay": 0.5}, {"quantile": 0.9}, {"name": "sync"}):
            assert not journal.played(replace(CELL, strategy=replace(CELL.strategy, **changed)))
        assert not journal.played(replace(CELL, reactions=True))
        assert journal.played(replace(CELL, episodes=1))


def test_episodes_outside_the_cells_seeds_and_those_whose_ticks_are_wanted_are_left_out(
    tmp_path: Path, episodes: list[Episode]
) -> None:
    with JournalFile(tmp_path / "journal") as journal:
        for episode in episodes:
            journal.add(CELL, episode)
    with JournalFile(tmp_path / "journal") as journal:
        assert sorted(journal.played(replace(CELL, seed=1, episodes=2))) == [1, 2]
        assert sorted(journal.played(replace(CELL, traces=3))) == [3]


@pytest.mark.parametrize("cut", [0, 1, 30, -2, -1])
def test_a_line_that_was_cut_off_is_forgotten_and_written_over(
    cut: int, tmp_path: Path, episodes: list[Episode]
) -> None:
    path = tmp_path / "journal"
    with JournalFile(path) as journal:
        journal.add(CELL, episodes[0])
        one = path.stat().st_size
        journal.add(CELL, episodes[1])
    two = path.stat().st_size
    whole = path.read_bytes()
    path.write_bytes(whole[: one + cut if cut >= 0 else two + cut])
    with JournalFile(path) as journal:
        assert sorted(journal.played(CELL)) == [0]
        journal.add(CELL, episodes[1])
    assert path.read_bytes() == whole


def test_the_traces_of_episodes_are_not_kept(tmp_path: Path) -> None:
    (traced,) = evaluate(replace(CELL, episodes=1, traces=1))
    with JournalFile(tmp_path / "journal") as journal:
        journal.add(CELL, traced)
    with JournalFile(tmp_path / "journal") as journal:
        assert journal.played(CELL)[0].trace is None
        assert same(journal.played(CELL)[0], replace(traced, trace=None))


def test_a_journal_that_is_removed_is_gone(tmp_path: Path) -> None:
    with JournalFile(tmp_path / "journal") as journal:
        pass
    journal.remove()
    assert list(tmp_path.iterdir()) == []

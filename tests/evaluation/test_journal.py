"""Episodes are kept as they are played."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, Episode, evaluate
from rollahead.evaluation.journal import JournalFile
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import EnsembleConfig
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.sim.task import make_task

CELL = Cell({"name": "mole"}, StrategyConfig("vlash"), {"name": "fixed", "ticks": 4}, episodes=4, reactions=False)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    """Of `CELL`."""
    return evaluate(CELL)


def opened(path: Path) -> JournalFile:
    return JournalFile(path, make_task("mole"))


def same(one: Episode, other: Episode) -> bool:
    pairs = ((getattr(one, field.name), getattr(other, field.name)) for field in fields(Episode))
    return all(np.array_equal(a, b, equal_nan=isinstance(a, float | np.ndarray)) for a, b in pairs)


def test_what_was_added_is_there_when_the_file_is_opened_again(tmp_path: Path, episodes: list[Episode]) -> None:
    told = [replace(episodes[0], reaction_s=math.inf, jerk=math.nan), *episodes[1:3]]
    with opened(tmp_path / "journal") as journal:
        assert not journal.resumed
        assert journal.played(CELL) == {}
        for episode in told:
            journal.add(CELL, episode)
    with opened(tmp_path / "journal") as journal:
        assert journal.resumed
        known = journal.played(CELL)
        assert sorted(known) == [0, 1, 2]
        assert all(same(known[episode.seed], episode) for episode in told)
        journal.add(CELL, episodes[3])
    with opened(tmp_path / "journal") as journal:
        assert sorted(journal.played(CELL)) == [0, 1, 2, 3]


def test_episodes_of_another_strategy_or_with_reactions_are_others(tmp_path: Path, episodes: list[Episode]) -> None:
    with opened(tmp_path / "journal") as journal:
        journal.add(CELL, episodes[0])
    with opened(tmp_path / "journal") as journal:
        for changed in ({"s": 12}, {"ensemble": EnsembleConfig(0.5)}, {"quantile": 0.9}, {"name": "sync"}):
            assert not journal.played(replace(CELL, strategy=replace(CELL.strategy, **changed)))
        assert not journal.played(replace(CELL, reactions=True))
        assert not journal.played(replace(CELL, limits={"vx": {"rate_limit": 1.0}}))
        assert not journal.played(replace(CELL, guard=GuardConfig(enabled=False)))
        assert journal.played(replace(CELL, episodes=1))


def test_episodes_outside_the_cells_seeds_and_those_whose_ticks_are_wanted_are_left_out(
    tmp_path: Path, episodes: list[Episode]
) -> None:
    with opened(tmp_path / "journal") as journal:
        for episode in episodes:
            journal.add(CELL, episode)
    with opened(tmp_path / "journal") as journal:
        assert sorted(journal.played(replace(CELL, seed=1, episodes=2))) == [1, 2]
        assert sorted(journal.played(replace(CELL, traces=3))) == [3]


@pytest.mark.parametrize("cut", [0, 1, 30, -2, -1])
def test_a_line_that_was_cut_off_is_forgotten_and_written_over(
    cut: int, tmp_path: Path, episodes: list[Episode]
) -> None:
    path = tmp_path / "journal"
    with opened(path) as journal:
        journal.add(CELL, episodes[0])
        one = path.stat().st_size
        journal.add(CELL, episodes[1])
    two = path.stat().st_size
    whole = path.read_bytes()
    path.write_bytes(whole[: one + cut if cut >= 0 else two + cut])
    with opened(path) as journal:
        assert sorted(journal.played(CELL)) == [0]
        journal.add(CELL, episodes[1])
    assert path.read_bytes() == whole


def test_the_trace_of_an_episode_is_kept_to_the_bit_and_given_where_it_is_wanted(tmp_path: Path) -> None:
    traced = replace(CELL, episodes=2, traces=1)
    first, second = evaluate(traced)
    with opened(tmp_path / "journal") as journal:
        for episode in (first, second):
            journal.add(traced, episode)
    with opened(tmp_path / "journal") as journal:
        known = journal.played(traced)
        assert sorted(known) == [0, 1]
        kept = known[0].trace
        assert kept is not None
        assert first.trace is not None
        assert kept.ticks.tobytes() == first.trace.ticks.tobytes()
        assert kept.inferences == first.trace.inferences
        assert list(kept.tick_columns()) == list(first.trace.tick_columns())
        assert known[1].trace is None
        assert same(journal.played(CELL)[0], replace(first, trace=None))


DAMAGED = {
    "no JSON": b"garbage",
    "a blank line": b"",
    "a line cut in the middle": b'["[{}]", {"seed": 3, "succ',
    "zeros": b"\0" * 40,
    "no text": b"\xff\xfe",
    "a field missing": b'["[]", {"seed": 3}, null]',
    "no fields": b'["[]", 3, null]',
    "no list": b"3",
    "a key that is none": b'[[], {"seed": 3}, null]',
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_damaged_line_is_refused_by_its_number(
    name: str, place: int, tmp_path: Path, episodes: list[Episode]
) -> None:
    path = tmp_path / "journal"
    with opened(path) as journal:
        for episode in episodes[:2]:
            journal.add(CELL, episode)
    lines = path.read_bytes().splitlines()
    lines.insert(place, DAMAGED[name])
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(ConfigError, match=f"line {place + 1} of {path} is damaged .* take it out, .* or give another"):
        opened(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ages", "soon"),
        ("seed", [3]),
        ("other", 3),
        ("trace", ["AAAA", ""]),
        ("trace", ["eJwDAAAAAAE=", ""]),
        ("trace", 3),
    ],
)
def test_a_value_of_another_kind_is_refused_too(
    field: str, value: object, tmp_path: Path, episodes: list[Episode]
) -> None:
    path = tmp_path / "journal"
    with opened(path) as journal:
        journal.add(CELL, episodes[0])
    key, values, trace = json.loads(path.read_bytes())
    values, trace = (values, value) if field == "trace" else (values | {field: value}, trace)
    path.write_text(json.dumps([key, values, trace]) + "\n")
    with pytest.raises(ConfigError, match="line 1 of"):
        opened(path)


def test_a_journal_that_is_a_folder_is_refused_by_its_name(tmp_path: Path) -> None:
    (path := tmp_path / "journal").mkdir()
    with pytest.raises(
        ConfigError, match=f"^the journal {path} cannot be opened .*Is a directory.*; move it away, or "
    ):
        opened(path)


def test_a_journal_that_is_removed_is_gone(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as journal:
        pass
    journal.remove()
    assert list(tmp_path.iterdir()) == []

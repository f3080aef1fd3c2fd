from dataclasses import replace
from pathlib import Path

import pytest

from rollahead.assembly import rollers
from rollahead.report.comparison import name_cells
from rollahead.report.figures import COLUMNS
from rollahead.report.load import CellResult, Results, load
from rollahead.report.study import study_of
from rollahead.report.training import read_training
from rollahead.report.words import IN_WORDS, ROLLERS, SHORT, facts, listed, measures, rolled, sentence, studied
from rollahead.report.words import trained as made
from rollahead.runtime.config.build import STRATEGIES

from .records import result, write_training


def said(*cells: CellResult) -> str:
    return sentence(name_cells(cells), "eval")


def test_one_cell_is_told_as_one() -> None:
    assert said(result()) == "rollahead eval measured vlash on mole at a latency of 8 ticks, 50 episodes."


def test_many_cells_are_told_together() -> None:
    cells = [result(name, ticks) for name in ("sync", "vlash") for ticks in (0, 8)]
    assert said(*cells) == (
        "rollahead eval measured sync and vlash on mole at a latency of 0 and 8 ticks, 50 episodes each."
    )


def test_a_random_latency_is_told_with_its_numbers() -> None:
    assert "a latency of 8 ticks and lognormal (p50 4.0, p95 6.0)," in said(result(), result(ticks=None))


def test_cells_of_different_length_are_told_so() -> None:
    assert said(result(), result("sync", figures={"episodes": 200})).endswith("50 to 200 episodes each.")


def test_a_training_is_told_with_what_came_of_it(trained: Path) -> None:
    results = load(trained)
    assert made(name_cells(results.cells), results.trainings) == (
        "rollahead train made a policy for mole (flow, 2,000 steps on 1,500 demonstrations) and measured it with vlash "
        "at a latency of 0 and 4 ticks, 1 episode each."
    )


def test_two_trainings_are_told_together(tmp_path: Path) -> None:
    found = [read_training(write_training(tmp_path / "0"), {}), read_training(write_training(tmp_path / "1"), {})]
    assert made([], found) == (
        "rollahead train made 2 policies for mole (flow, 2,000 steps on 1,500 demonstrations; flow, 2,000 steps on "
        "1,500 demonstrations)."
    )


def test_the_policy_is_told_with_its_options_and_what_it_was_trained_with(trained: Path) -> None:
    found = dict(facts(load(trained)))
    assert found["policy"] == "flow (horizon 16)"  # what is null is left out
    assert found["trained with"] == "offsets 12, delay_input True, prefixes 0"


def test_other_commands_tell_of_no_training(results: Results) -> None:
    assert not {"policy", "trained with"} & dict(facts(results)).keys()


def test_machine_versions_seeds_and_date_are_there(results: Results) -> None:
    found = dict(facts(results))
    assert found["machine"] == results.machine
    assert found["date"] == results.date
    assert found["seeds"] == "0 to 1, the same in every cell"
    assert f"numpy {results.versions['numpy']}" in found["versions"]
    assert found["planner"] == "scripted (horizon 32)"
    assert "unfinished" not in found


def test_a_study_is_told_with_all_that_was_varied(study: Path) -> None:
    cells = load(study).cells
    found = study_of(cells, name_cells(cells))
    assert found
    assert studied(found, "eval") == (
        "rollahead eval measured sync, naive, naive_arrival, ensemble and vlash on mole and belt, with scripted, "
        "mole_flow and belt_flow as the planner, under fixed and lognormal latency of 0, 8 and 12 ticks, 200 episodes "
        "each."
    )


def test_time_episodes_and_kinds_of_latency_of_a_study_are_there(study: Path) -> None:
    found = dict(facts(load(study)))
    assert found["took"] == "1 h 00 min, 120 runs together"
    assert found["episodes"] == "24,000, in 120 cells"
    assert found["latency"] == "lognormal (p50 4.0, p95 6.0)"


@pytest.mark.parametrize(
    ("took_s", "runs", "words"),
    [
        ((42.0,), 1, "42 s"),
        ((42.0, 90.0), 2, "2 min, 2 runs together"),
        ((3599.0,), 1, "1 h 00 min"),
        ((7322.0,), 3, "2 h 02 min, 1 of 3 runs"),
    ],
)
def test_the_time_it_took_is_that_of_the_runs_that_tell_it(
    results: Results, took_s: tuple[float, ...], runs: int, words: str
) -> None:
    assert dict(facts(replace(results, took_s=took_s, runs=runs)))["took"] == words


def test_where_no_run_tells_it_no_time_is_told(results: Results) -> None:
    assert "took" not in dict(facts(results))


def test_rollers_are_told_apart() -> None:
    assert rolled(replace(result(), roller={"name": "scene"})) == (
        "as vlash, with what moves in the scene rolled ahead too"
    )
    unrolled = "as vlash, with the state as it was measured"
    assert rolled(replace(result(), roller={"name": "none"})) == unrolled
    assert rolled(replace(result(), roller={"name": "still"})) == unrolled  # of an older run
    assert rolled(replace(result(), roller={"name": "mine"})) == "as vlash, by another roller"
    assert set(ROLLERS) == set(rollers.ROLLERS)


def test_words_are_listed() -> None:
    assert [listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_runs_that_left_nothing_are_named(sweep: Path) -> None:
    assert dict(facts(load(sweep)))["unfinished"] == "run 1 of this sweep left no figures"


def test_cells_with_other_seeds_are_not_called_paired(results: Results) -> None:
    cells = (result(outcomes=[True]), result("sync", outcomes=[True, True]))
    assert dict(facts(replace(results, cells=cells)))["seeds"] == "0 to 1, not paired"


def test_every_column_is_defined() -> None:
    defined = [term for term, _ in measures()]
    assert [column.heading.removesuffix(" p50") for column in COLUMNS] == defined


def test_every_strategy_is_explained() -> None:
    assert set(IN_WORDS) == set(SHORT) == set(STRATEGIES)

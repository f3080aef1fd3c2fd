from collections.abc import Mapping
from dataclasses import replace

import pytest

from every import every
from rollahead.report.comparison import name_cells
from rollahead.report.findings import Duel, Standing, champions, duels, headline, of_chart, of_study, of_task
from rollahead.report.load import CellResult
from rollahead.report.study import Study, study_of

from .records import result, shared

Hits = Mapping[str, tuple[int, ...]]  # of 200, by strategy, at 0, 8 and 12 ticks
TICKS = (0, 8, 12)


def cells(task: str, hits: Hits) -> list[CellResult]:
    return [
        replace(result(name, ticks, figures=shared(n)), task={"name": task})
        for name, line in hits.items()
        for ticks, n in zip(TICKS, line, strict=True)
    ]


def study(mole: Hits, belt: Hits) -> Study:
    both = [*cells("mole", mole), *cells("belt", belt)]
    found = study_of(both, name_cells(both))
    assert found
    return found


def fought(mole: Hits, belt: Hits, task: int | None = None) -> list[Duel]:
    found = study(mole, belt)
    return duels(found.charts if task is None else [found.charts[task]], champions(found)[0])


LEADS: Hits = {"sync": (200, 20, 0), "naive": (200, 100, 40), "vlash": (200, 200, 120)}
TRAILS: Hits = {"sync": (200, 20, 0), "naive": (200, 200, 200), "vlash": (200, 190, 140)}
EVEN: Hits = {"sync": (200, 190, 180), "vlash": (200, 191, 178)}


def test_vlash_is_compared_with_the_best_of_the_others_at_each_delay() -> None:
    found = fought(LEADS, TRAILS)
    assert [(duel.delay, duel.other.series, duel.points) for duel in found] == [
        (0, "sync", 0),
        (8, "naive", 50),
        (12, "naive", 40),
        (0, "sync", 0),
        (8, "naive", -5),
        (12, "naive", -30),
    ]


def test_without_vlash_the_most_successful_is_compared() -> None:
    others = {name: hits for name, hits in LEADS.items() if name != "vlash"}
    assert champions(study(others, others)) == ["naive"]


def test_of_several_of_ours_the_most_successful_is_compared_and_not_with_the_others_of_ours() -> None:
    both = [
        replace(each, strategy={**each.strategy, "q": q}, figures={**each.figures, **shared(n)})
        for each in [*cells("mole", LEADS), *cells("belt", LEADS)]
        for q, n in (((1, 100), (2, 150)) if each.strategy["name"] == "vlash" else ((1, 10),))
    ]
    found = study_of(both, name_cells(both))
    assert found
    assert champions(found) == ["vlash q=2"]
    assert {duel.other.strategy for duel in duels(found.charts, "vlash q=2")} == {"sync"}


def test_what_joined_under_another_roller_is_compared_too_but_not_first() -> None:
    both = [*cells("mole", LEADS), *cells("belt", TRAILS)]
    scene = [replace(each, roller={"name": "scene"}) for each in cells("belt", {"vlash": (200, 200, 200)})]
    found = study_of([*scene, *both], name_cells([*scene, *both]))
    assert found
    assert champions(found) == ["vlash", "vlash (roller scene)"]
    joined = duels(found.charts, "vlash (roller scene)")
    assert [(duel.delay, duel.other.series, duel.points) for duel in joined] == [
        (0, "sync", 0),
        (8, "naive", 0),
        (12, "naive", 0),
    ]


def test_a_strategy_alone_is_compared_with_its_other_options_or_nothing() -> None:
    alone = {"vlash": (200, 200, 100)}
    assert fought(alone, alone) == []
    both = [replace(each, strategy={**each.strategy, "s": s}) for each in cells("mole", alone) for s in (4, 8)]
    both += [replace(each, task={"name": "belt"}) for each in both]
    found = study_of(both, name_cells(both))
    assert found
    assert {duel.other.series for duel in duels(found.charts, "vlash s=4")} == {"vlash s=8"}


@every(
    ("one", "other", "standing"),
    [
        (112, 90, Standing.AHEAD),  # 11 points, though the two intervals meet
        (90, 112, Standing.BEHIND),
        (109, 91, Standing.LEVEL),
        (200, 200, Standing.LEVEL),
        (200, 195, Standing.AHEAD),
        (200, 196, Standing.LEVEL),
    ],
)
def test_ahead_and_behind_are_beyond_what_the_interval_of_the_difference_leaves_open(
    one: int, other: int, standing: Standing
) -> None:
    duel = fought({"sync": (0, 0, other), "vlash": (0, 0, one)}, EVEN, task=0)[2]
    assert duel.standing is standing
    low, high = duel.interval
    assert low <= duel.points <= high


def test_the_interval_is_newcombes() -> None:
    (one, other) = (
        name_cells([result(name, figures=shared(k, n))])[0] for name, k, n in (("vlash", 56, 70), ("sync", 48, 80))
    )
    chart = study(LEADS, TRAILS).charts[0]
    low, high = Duel(chart, one, other).interval
    assert (low, high) == (pytest.approx(5.24, abs=0.01), pytest.approx(33.39, abs=0.01))  # his table II, (a), 10


def test_a_study_is_told_in_a_sentence() -> None:
    assert of_study(fought(LEADS, TRAILS), "vlash") == (
        "vlash is ahead of the best other strategy in 2 of 6 comparisons, level in 2 and behind in 2; most, by 50 "
        "points, on mole at 8 ticks (160 ms), planner scripted, fixed latency: 100 % against 50 % with naive."
    )
    assert of_study(fought(EVEN, EVEN), "vlash") == (
        "vlash is in none of 6 comparisons clearly ahead of the best other strategy and level in 6."
    )
    assert "nothing to compare it with" in of_study([], "vlash")


def test_a_task_is_told_with_where_it_leads_and_where_it_does_not() -> None:
    assert of_task(fought(LEADS, TRAILS, task=0), "vlash") == (
        "vlash is ahead of the best other strategy in 2 of 3 comparisons, by 45 points in the median and 50 points at "
        "most: at 8 ticks (160 ms), planner scripted, fixed latency, 100 % against 50 % with naive. It is nowhere "
        "clearly behind. At 0 ticks nothing differs clearly. At 8 and 12 ticks it is ahead in every panel."
    )
    assert of_task(fought(LEADS, TRAILS, task=1), "vlash") == (
        "vlash is nowhere clearly ahead of the best other strategy. It is behind naive in 2, by 30 points at most: at "
        "12 ticks (240 ms), planner scripted, fixed latency, 70 % against 100 % with naive. At 0 ticks nothing differs "
        "clearly."
    )


def test_a_task_without_differences_is_told_so() -> None:
    assert of_task(fought(EVEN, EVEN), "vlash") == (
        "vlash is nowhere clearly ahead of the best other strategy, nor behind it."
    )
    assert of_task([], "vlash") == ""


def test_a_chart_is_told_in_a_few_words() -> None:
    mixed: Hits = {"naive": (200, 100, 200), "vlash": (200, 200, 100)}
    assert of_chart(fought(LEADS, TRAILS, task=0), "vlash") == "vlash: ahead at 8 and 12 ticks, by up to 50 points."
    assert of_chart(fought(mixed, EVEN, task=0), "vlash") == (
        "vlash: ahead at 8 ticks, by 50 points; behind at 12 ticks, by 50 points."
    )
    assert of_chart(fought(EVEN, EVEN), "vlash") == "vlash: no clear difference."
    assert of_chart([], "vlash") == ""


def test_a_run_is_told_by_the_two_that_are_set_side_by_side() -> None:
    named = name_cells([result("sync", figures=shared(64)), result(figures=shared(200))])
    assert headline(named, named) == (
        "With 160 ms of inference, the robot succeeds in 32 % of episodes with sync (it stops and waits for each "
        "plan), and in 100 % with vlash (it goes on, and each plan starts from where it will be by then)."
    )


def test_else_by_the_two_that_are_farthest_apart() -> None:
    figures = {"a": 100, "b": 20, "mine": 160}
    near = [result(name, 4, figures=shared(n)) for name, n in (("a", 190), ("mine", 200))]
    named = name_cells([*near, *(result(name, 8, figures=shared(n)) for name, n in figures.items())])
    assert headline(named) == (
        "With 160 ms of inference, the robot succeeds in 10 % of episodes with b, and in 80 % with mine."
    )


def test_a_strategy_alone_is_told_over_its_delays() -> None:
    named = name_cells([result(ticks=0, figures=shared(200)), result(ticks=12, figures=shared(130))])
    assert headline(named) == (
        "With vlash the robot succeeds in 100 % of episodes at 0 ticks (0 ms), and in 65 % at 12 ticks (240 ms)."
    )


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (result("mine"), "With 160 ms of inference, the robot succeeds in 100 % of episodes with mine."),
        (
            result("mine", None),
            "At a latency of lognormal (p50 4.0, p95 6.0), the robot succeeds in 100 % of episodes with mine.",
        ),
        (
            result("mine", latency={"name": "lognormal", "p50": 4, "p95": 6, "median": 2}),
            "With a median of 40 ms of inference, the robot succeeds in 100 % of episodes with mine.",
        ),
    ],
)
def test_a_cell_alone_is_told_at_its_latency(cell: CellResult, words: str) -> None:
    assert headline(name_cells([cell])) == words


def test_a_headline_says_under_which_condition() -> None:
    belt = replace(result("sync", figures=shared(0)), task={"name": "belt"})
    named = name_cells([result(), result("sync", figures=shared(20)), belt])
    assert headline(named).startswith("With 160 ms of inference (mole), the robot succeeds in 10 % of")

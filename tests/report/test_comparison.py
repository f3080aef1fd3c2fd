from collections.abc import Sequence

from rollahead.report.comparison import (
    MOST,
    Scene,
    best,
    by_setting,
    choose_scene,
    comparable,
    delay_words,
    name_cells,
    over_delay,
)
from rollahead.report.load import CellResult
from rollahead.runtime.planning.latency import latency_words

from .records import result


def names(*cells: CellResult) -> list[str]:
    return [named.series for named in name_cells(cells)]


def scene_of(*cells: CellResult) -> Scene:
    scene = choose_scene(name_cells(cells))
    assert scene
    return scene


def shares(*successes: float) -> Sequence[CellResult]:
    return [result(name, figures={"success": share}) for name, share in zip("abcdefgh", successes, strict=False)]


def test_a_series_is_called_by_its_strategy() -> None:
    assert names(result("sync"), result("vlash")) == ["sync", "vlash"]


def test_options_that_change_with_the_latency_do_not_split_a_series() -> None:
    named = name_cells([result("sync", 4, s=8), result("sync", 8, s=24)])
    assert [n.series for n in named] == ["sync", "sync"]
    assert [n.options for n in named] == ["s=8", "s=24"]


def test_options_that_differ_at_one_setting_make_two_series() -> None:
    named = name_cells([result(s=8), result(s=16), result(s=16, d=4), result("sync")])
    assert [n.series for n in named] == ["vlash s=8 d=auto", "vlash s=16 d=auto", "vlash s=16 d=4", "sync"]
    assert [n.options for n in named] == ["", "", "", "s=8"]


def test_where_tasks_differ_they_are_settings_of_their_own() -> None:
    groups = by_setting(name_cells([result(task={"window_s": 0.9}), result(task={"window_s": 0.7}), result("sync")]))
    assert [group[0].setting for group in groups] == [
        "8 ticks, mole",
        "8 ticks, mole (window_s 0.7)",
        "8 ticks, mole (window_s 0.9)",
    ]


def test_cells_come_by_rising_latency_and_then_as_they_were_given() -> None:
    cells = [result("vlash", None), result("vlash", 8), result("sync", 8), result("sync", 4), result("vlash", 4)]
    found = [(named.series, named.cell.delay_ticks) for named in name_cells(cells)]
    assert found == [("vlash", 4), ("sync", 4), ("vlash", 8), ("sync", 8), ("vlash", None)]


def test_a_line_over_delay_has_two_fixed_latencies_or_more() -> None:
    cells = [result("vlash", 8), result("vlash", 4), result("sync", 4), result("sync", None)]
    series = over_delay(name_cells(cells))
    assert {name: [n.cell.delay_ticks for n in points] for name, points in series.items()} == {"vlash": [4, 8]}


def test_a_latency_with_a_median_stands_at_it() -> None:
    cells = [result(latency={"name": "lognormal", "p50": 4, "p95": 6, "median": median}) for median in (2, 12)]
    (line,) = over_delay(name_cells(cells)).values()
    assert [(named.setting, delay_words(named)) for named in line] == [
        ("lognormal, median 2 ticks", "2 ticks (40 ms)"),
        ("lognormal, median 12 ticks", "12 ticks (240 ms)"),
    ]


def test_kinds_of_latency_have_lines_of_their_own() -> None:
    kinds = ({"name": "fixed", "ticks": 8}, {"name": "lognormal", "p50": 4, "p95": 6})
    cells = [result(latency={**kind, "median": median}) for kind in kinds for median in (2, 12)]
    assert list(over_delay(name_cells(cells))) == ["vlash, fixed", "vlash, lognormal"]


def test_a_heading_has_milliseconds_where_they_are_known() -> None:
    fixed, random = name_cells([result(), result(ticks=None)])
    assert fixed.heading == "8 ticks (160 ms)"
    assert random.heading == delay_words(random) == "lognormal (p50 4.0, p95 6.0)"


def test_many_cells_are_named_fast() -> None:
    cells = [result(name, ticks, task={"window_s": w}) for name in "ab" for ticks in range(20) for w in range(20)]
    assert len({(named.series, named.setting) for named in name_cells(cells)}) == len(cells)


def test_the_best_of_a_setting_are_all_that_share_the_highest_success() -> None:
    assert [named.series for named in best(name_cells(shares(90, 100, 100)))] == ["b", "c"]


def test_where_all_are_equal_none_is_best() -> None:
    assert best(name_cells(shares(90, 90))) == []
    assert best(name_cells(shares(90))) == []


def test_times_are_compared_within_two_points_of_the_best_success() -> None:
    assert [named.series for named in comparable(name_cells(shares(100, 98, 97.9)))] == ["a", "b"]


def test_the_scene_is_the_setting_with_most_recorded_cells() -> None:
    many = [result("vlash", 4, outcomes=[True]), result("sync", 4, outcomes=[True])]
    assert scene_of(result("vlash", 8, outcomes=[True]), *many).setting == "4 ticks"


def test_of_equally_many_the_scene_is_where_the_difference_is_largest() -> None:
    cells = [
        result(name, ticks, outcomes=[True], figures={"success": share})
        for name, ticks, share in (("sync", 4, 90), ("vlash", 4, 100), ("sync", 8, 10), ("vlash", 8, 95))
    ]
    assert scene_of(*cells).setting == "8 ticks"


def test_of_equal_differences_the_scene_is_at_the_longest_delay() -> None:
    cells = [result("vlash", ticks, outcomes=[True]) for ticks in (0, 12, 4)]
    assert scene_of(*cells, result("vlash", None, outcomes=[True])).setting == "12 ticks"


def test_the_episode_shown_is_the_first_in_which_vlash_succeeds_and_sync_fails() -> None:
    sync = result("sync", outcomes=[True, False, False, False])
    vlash = result("vlash", outcomes=[True, False, True, True])
    scene = scene_of(sync, vlash)
    assert scene.episode == 2
    assert scene.why == "the first in which vlash succeeds and sync fails"


def test_without_such_an_episode_it_is_the_first_that_all_have() -> None:
    scene = scene_of(result("sync", outcomes=[True] * 3, recorded=[1, 2]), result("vlash", outcomes=[True] * 3))
    assert (scene.episode, scene.why) == (1, "the first")


def test_cells_without_a_common_episode_are_not_shown_together() -> None:
    scene = scene_of(result("sync", outcomes=[True] * 2, recorded=[0]), result(outcomes=[True] * 2, recorded=[1]))
    assert [named.series for named in scene.cells] == ["sync"]


def test_nothing_recorded_gives_no_scene() -> None:
    assert choose_scene(name_cells([result(outcomes=[True], recorded=[])])) is None


def test_the_pair_is_sync_and_vlash_whatever_else_there_is() -> None:
    cells = [
        result(name, outcomes=[True], figures={"success": share})
        for name, share in (("naive", 0), ("vlash", 60), ("sync", 50), ("ensemble", 90))
    ]
    assert [named.series for named in scene_of(*cells).pair] == ["sync", "vlash"]


def test_else_the_pair_is_the_least_and_the_most_successful() -> None:
    cells = [
        result(name, outcomes=[True], figures={"success": share})
        for name, share in (("naive", 40), ("vlash", 60), ("ensemble", 90))
    ]
    assert [named.series for named in scene_of(*cells).pair] == ["naive", "ensemble"]


def test_a_single_cell_is_its_own_pair() -> None:
    assert [named.series for named in scene_of(result(outcomes=[False])).pair] == ["vlash"]


def test_of_too_many_cells_the_best_of_each_strategy_are_shown() -> None:
    cells = [result(s=s, outcomes=[True], figures={"success": 100 - abs(s - 6)}) for s in range(4, 4 + MOST)]
    scene = scene_of(*cells, result("sync", outcomes=[True]))
    assert [named.series for named in scene.cells] == ["vlash s=6", "sync"]


def test_a_latency_model_is_told_with_its_numbers() -> None:
    assert latency_words({"name": "fixed", "ticks": 8, "bind_fraction": 0.0}) == "8 ticks"
    assert latency_words({"name": "lognormal", "p50": 4, "p95": 6, "bind_fraction": 0}) == "lognormal (p50 4, p95 6)"


def test_a_late_binding_is_told() -> None:
    late = result(latency={"name": "fixed", "ticks": 8, "bind_fraction": 0.5})
    assert name_cells([late])[0].setting == "8 ticks, state bound after 50%"

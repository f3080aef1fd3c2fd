import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig, OmegaConf

from rollahead.commands.app import options
from rollahead.commands.demo import DemoOptions, cells_of
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, check
from rollahead.sim.render import backend

from .conftest import Ran, refusal

Command = Callable[..., Ran]
CONFIGS = Path(__file__).parents[2] / "src/rollahead/configs"
SMALL = (
    *("episodes=4", "traces=2", "workers=1", "live=0", "delays=[0,2]", "featured=2", "name=mine"),
    *("~schedules", "+schedules={sync: [8, 8], vlash: [8, 8]}"),
)


def config(**changes: object) -> DictConfig:
    shipped = OmegaConf.load(CONFIGS / "demo.yaml")
    groups = {name: OmegaConf.load(CONFIGS / path) for name, path in GROUPS.items()}
    merged = OmegaConf.merge(shipped, groups, changes)
    assert isinstance(merged, DictConfig)
    return merged


def cells(shipped: DictConfig) -> list[Cell]:
    return cells_of(shipped, options(shipped, DemoOptions, (*GROUPS, "defaults", "hydra")))


GROUPS = {"task": "task/mole.yaml", "planner": "planner/scripted.yaml"}


def test_a_demo_plays_a_cell_per_delay_and_strategy_each_at_its_own_s() -> None:
    shipped = config()
    played = cells(shipped)
    assert len(played) == len(shipped.delays) * len(shipped.schedules)
    for cell in played:
        at = list(shipped.delays).index(cell.latency["ticks"])
        assert cell.strategy.s == shipped.schedules[cell.strategy.name][at]


def test_every_cell_of_the_demo_that_is_shipped_can_be_run() -> None:
    for cell in cells(config()):
        check(cell)


def test_traces_are_kept_at_the_featured_delay_only() -> None:
    for cell in cells(config(traces=3)):
        assert cell.traces == (3 if cell.latency["ticks"] == 8 else 0)


def test_a_schedule_needs_one_s_for_each_delay() -> None:
    with pytest.raises(ConfigError, match=r"schedules\.sync has 4 values and delays has 3"):
        cells(config(delays=[0, 4, 8]))


def test_fewer_than_no_episodes_in_real_time_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"live is -1; give 0 .nothing in real time. or more"):
        cells(config(live=-1))


OTHER_KINDS = {
    "delays=3": "delays is 3; give a list, as in [a, b]",
    "delays=[0,soon]": "delays[1] is 'soon'; give a whole number",
    "schedules=3": "schedules is 3; give names with their values, as in {name: value}",
    "schedules.sync=3": "schedules.sync is 3; give a list, as in [a, b]",
    "schedules.sync=[1,2.5]": "schedules.sync[1] is 2.5; give a whole number",
}


@pytest.mark.parametrize("wrong", OTHER_KINDS)
def test_what_is_no_list_or_has_no_names_is_refused(wrong: str, rollahead: Command) -> None:
    assert refusal(rollahead("demo", wrong), "demo") == OTHER_KINDS[wrong]
    assert not Path("runs").exists()


@pytest.mark.parametrize("featured", [5, -1])
def test_what_is_featured_is_one_of_the_delays(featured: int) -> None:
    with pytest.raises(ConfigError, match=rf"featured is {featured}, and the delays are .*; give one of them"):
        cells(config(featured=featured))


def test_a_demo_leaves_figures_records_a_report_and_a_clip_if_anything_renders(rollahead: Command) -> None:
    ran = rollahead("demo", *SMALL, "live=1")
    assert (ran.status, ran.err) == (0, "")
    left = {path.name for path in Path("runs/mine").iterdir()}
    expected = {"config.yaml", "summary.json", "episodes.parquet", "ticks.parquet", "inferences.parquet", "report.html"}
    assert expected <= left
    assert ("clip.webp" in left) == (backend() is not None)
    summary = json.loads(Path("runs/mine/summary.json").read_text())
    cells = [(cell["latency"]["ticks"], cell["strategy"]["name"]) for cell in summary["cells"]]
    assert cells == [(0, "sync"), (0, "vlash"), (2, "sync"), (2, "vlash")]
    assert summary["command"] == "demo"
    live = [(ran["strategy"]["name"], ran["figures"]["episodes"]) for ran in summary["realtime"]]
    assert live == [("sync", 1), ("vlash", 1)]
    assert all(ran["gauges"]["delay_planned"] == 2 for ran in summary["realtime"])
    assert "the same in real time" in ran.out
    episodes = pq.read_table("runs/mine/episodes.parquet").to_pylist()
    assert [(row["cell"], row["episode"]) for row in episodes] == [(c, e) for c in range(4) for e in range(4)]
    traced = pq.read_table("runs/mine/ticks.parquet", columns=["cell", "episode"]).to_pylist()
    assert {(row["cell"], row["episode"]) for row in traced} == {(2, 0), (2, 1), (3, 0), (3, 1)}
    for words in ("sync", "vlash", "40 ms", "report: runs/mine/report.html"):
        assert words in ran.out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["+schedules={sync: [8, 8], vlahs: [8, 8]}"], "did you mean 'vlash'"),
        (["+schedules={sync: [8, 8], vlash: [1, 1]}"], "s = 1"),
        (["+schedules={sync: [8, 8, 8], vlash: [8, 8]}"], "schedules.sync has 3 values and delays has 2"),
        (["+schedules={sync: [8, 8], vlash: [8, 8]}", "workers=0"], "workers"),
        (["+schedules={sync: [8, 8], vlash: [8, 8]}", "task.pace=2"], "pace is 2"),
        (["+schedules={sync: [8, 8], vlash: [8, 8]}", "featured=3"], "featured is 3"),
    ],
    ids=["strategy", "schedule", "number of values", "workers", "task", "featured"],
)
def test_a_demo_that_is_refused_leaves_nothing(arguments: list[str], part: str, rollahead: Command) -> None:
    message = refusal(rollahead("demo", *SMALL[:-1], *arguments), "demo")
    assert part in message
    assert not Path("runs").exists()


def test_a_schedule_of_no_known_strategy_is_named(rollahead: Command) -> None:
    assert "vlahs" in refusal(rollahead("demo", "+schedules.vlahs=[8, 8, 8, 8]"), "demo")


def test_a_demo_where_nothing_is_traced_has_no_clip_and_still_its_figures(rollahead: Command) -> None:
    ran = rollahead("demo", *SMALL, "traces=0", "episodes=1")
    assert (ran.status, ran.err) == (0, "")
    left = {path.name for path in Path("runs/mine").iterdir()}
    assert {"summary.json", "episodes.parquet", "report.html"} <= left
    assert "clip.webp" not in left
    assert "clip:" not in ran.out
    assert "in real time" not in ran.out

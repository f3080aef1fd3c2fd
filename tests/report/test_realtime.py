"""The page of what ran in real time."""

import json
from pathlib import Path
from typing import Any

import pytest

from rollahead.errors import ConfigError
from rollahead.report.load import load
from rollahead.report.page import make
from rollahead.report.realtime import live_rows, stage_rows
from rollahead.runtime.recording.gauges import Gauges
from rollahead.runtime.recording.run_folder import provenance

SPREAD = {"p50": 120.0, "p95": 300.0, "p99": 450.0, "max": 2000.0}


def ran(success: float | None = 80.0, **gauges: Any) -> dict[str, Any]:
    figures = None if success is None else {"success": success, "success_ci": [60.0, 90.0], "episodes": 10}
    counted = {"underruns": 3, "skipped": 1, "rows_lost": 2, "ticks": 500, "guard": {"ramp": 50, "rate": 2}}
    known = {"rate_hz": 49.99, "late_us": SPREAD, "delay_ticks": SPREAD, "age_ticks": SPREAD, "delay_planned": 8}
    return {
        "strategy": {"name": "vlash", "s": 8},
        "figures": figures,
        "gauges": {**Gauges(50.0).figures(), **known, **counted, **gauges},
    }


def page_of(folder: Path, **summary: Any) -> str:
    content = {"command": "run", "cells": [], **provenance(0), **summary}
    (folder / "summary.json").write_text(json.dumps(content))
    return make(load(folder))


def words(one: dict[str, Any]) -> dict[str, tuple[str, str]]:
    (row,) = live_rows([one])
    return {entry.heading: (entry.value, entry.detail) for entry in row.entries}


def test_a_row_says_how_the_clock_was_kept_and_what_the_guard_did() -> None:
    found = words(ran())
    assert found["success"] == ("80", "60 to 90, 10 episodes")
    assert found["late p50"] == ("0.12", "p99 0.45, max 2.00")
    assert found["delay p50"] == ("120", "planned 8")
    assert found["underruns"] == ("3", "of 500")
    assert found["guard"] == ("ramp 50, rate 2", "")


def test_one_episode_is_not_several() -> None:
    one = ran()
    assert words({**one, "figures": {**one["figures"], "episodes": 1}})["success"] == ("80", "60 to 90, 1 episode")


def test_a_robot_without_a_task_has_no_success_and_a_run_without_a_tick_no_numbers() -> None:
    gauges = Gauges(50.0).figures()
    found = words({"strategy": {"name": "sync", "s": 4}, "figures": None, "gauges": gauges})
    assert found["success"][0] == found["rate"][0] == found["late p50"][0] == found["age p50"][0] == "\N{EN DASH}"
    assert found["guard"][0] == "nothing to do"


def test_the_page_of_a_real_robot_has_its_row_and_nothing_of_episodes(tmp_path: Path) -> None:
    html = page_of(tmp_path, realtime=[ran(None)])
    assert "drove a robot with vlash for 10.0 s" in html
    assert 'id="realtime"' in html
    for absent in ('id="figures"', 'id="timelines"', "No episode of this run"):
        assert absent not in html


def test_the_page_says_where_the_time_of_an_inference_goes_for_stages_that_were_reported(tmp_path: Path) -> None:
    none = dict.fromkeys(SPREAD)
    one = ran(None, stages_us={"queue": SPREAD, "infer": SPREAD, "encode": none}, no_answer=3, inferences=40)
    assert [(row.name, row.p50, row.p99) for row in stage_rows(one)] == [
        ("queue", "0.12", "0.45"),
        ("infer", "0.12", "0.45"),
    ]
    assert words(one)["no answer"] == ("3", "of 40 inferences")
    html = page_of(tmp_path, realtime=[one])
    assert "Where the time of an inference goes" in html
    assert "images and task text" not in html


def test_a_run_of_an_older_version_has_a_page_without_stages(tmp_path: Path) -> None:
    one = ran(None)
    for name in ("stages_us", "no_answer"):
        del one["gauges"][name]
    assert "Where the time of an inference goes" not in page_of(tmp_path, realtime=[one])


def test_a_run_of_neither_cells_nor_anything_in_real_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it lists no cells"):
        page_of(tmp_path, realtime=[])

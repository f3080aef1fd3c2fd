"""The cells of the comparison with absolute targets, and how their figures are told."""

from typing import Any

import numpy as np
import pytest
from benchmarks.absolute import ASKED, DELAYS, LIMITS, STRATEGIES, TRIED, cases, main, rows, table

from rollahead.evaluation.evaluation import check_all
from rollahead.evaluation.search import candidates
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation
from rollahead.sim.gantry import SPEED
from rollahead.sim.mole import WhackAMole

ENTRY = {"task": "mole", "limits": "none", "delay": 8, "strategy": "naive", "s": 8}
ENTRY |= {"success": 95.2, "success_ci": [91.0, 97.4], "time_s": 0.734, "jerk": 58.2, "guard_hits": 33.4}
ENTRY |= {"switch_step": 0.1062, "switch_step_max": 0.3812}


def entries() -> list[dict[str, Any]]:
    """An entry of each delay, strategy and kind of limits."""
    return [
        {**ENTRY, "limits": limits, "delay": delay, "strategy": strategy}
        for limits in LIMITS
        for delay in DELAYS
        for strategy in STRATEGIES
    ]


def test_every_cell_can_be_played_and_has_several_s_to_try_on_whack_a_mole() -> None:
    found = list(cases())
    check_all([case.cell for case in found])
    assert all(len(candidates(case.cell, TRIED)[0]) >= 2 for case in found if case.task == "mole" and case.delay < 12)


def test_a_plan_of_the_expert_keeps_to_its_own_limits_and_nearly_needs_them() -> None:
    task, rates, accels = WhackAMole("absolute"), [], []
    plan = task.expert(32)
    for seed in range(60):
        task.reset(seed)
        state, mole = task.state(), frozen(np.array(task._after).ravel())
        chunk = plan(Observation(0, state, mole), np.random.default_rng(0))
        rates.append(np.abs(np.diff(chunk, axis=0)).max() * 50.0)
        accels.append(np.abs(np.diff(chunk, n=2, axis=0)).max() * 50.0**2)
    assert 0.8 * SPEED < max(rates) <= SPEED
    assert 0.8 * ASKED < max(accels) <= ASKED


def test_the_goal_is_of_vlash_at_160_ms_within_the_limits_of_the_expert() -> None:
    found = {one.name: one for one in rows(entries())}
    assert {one.name: one.goal for one in found.values() if one.goal} == {"absolute_limits_vlash_d8": ">= 95"}
    assert found["absolute_limits_vlash_d8"].verdict == "met"
    assert found["absolute_limits_naive_d12_jerk"].value == 58.2
    assert found["absolute_limits_naive_d12_guard_hits"].value == 33.4
    assert not any("ensemble" in name or "d4" in name for name in found)


def test_a_table_goes_by_delay_and_says_jumps_in_cm() -> None:
    late = {**ENTRY, "limits": "expert", "delay": 12, "strategy": "vlash", "time_s": None}
    other = {**ENTRY, "task": "belt"}
    assert table({"cells": [late, ENTRY, other], "rate_hz": 50.0}, "mole").splitlines()[2:] == [
        "| 160 ms | none | `naive` | 8 | 95 <sub>91..97</sub> | 0.73 | 58 | 10.6, max 38 | 33 |",
        "| 240 ms | expert | `vlash` | 8 | 95 <sub>91..97</sub> |  | 58 | 10.6, max 38 | 33 |",
    ]


@pytest.mark.parametrize("argument", ["tabel", "table=mole"])
def test_what_cannot_be_made_is_refused_with_what_can(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([argument]) == 2
    assert "python -m benchmarks.absolute table" in capsys.readouterr().out

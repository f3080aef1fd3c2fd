"""`rollahead.evaluate`, by names and with objects, against what `rollahead eval` measures."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead import ConfigError, Evaluation, Observation, Planning, StrategyConfig, evaluate, load_policy
from rollahead.evaluation.evaluation import Cell, summarise
from rollahead.evaluation.evaluation import evaluate as measured
from rollahead.policies.checkpoints.card import CARD
from rollahead.policies.checkpoints.shipped import FOLDER
from rollahead.runtime.types.arrays import FloatArray
from rollahead.sim.task import make_task
from rollahead.sim.task_calls import expert_of

FREE = 5_000_000  # a seed that no policy has learned from


def test_an_evaluation_has_the_figures_of_the_cell_as_shares_and_seconds() -> None:
    strategy = StrategyConfig("vlash", s=9)
    result = evaluate("mole", strategy, latency=0.16, episodes=4, seed=3)
    cell = Cell({"name": "mole"}, strategy, {"name": "fixed", "ticks": 8}, episodes=4, seed=3)
    figures = summarise(measured(cell))
    assert result.figures == figures
    assert (result.episodes, 100 * result.success, 100 * result.idle) == (4, figures["success"], figures["idle"])
    assert [100 * end for end in result.success_interval] == pytest.approx(figures["success_ci"])
    assert (result.reaction_p50_s, result.reaction_p95_s) == (
        figures["reaction_s"]["p50"],
        figures["reaction_s"]["p95"],
    )
    assert result.time_s == figures["time_s"]


def test_several_processes_give_the_same() -> None:
    one, two = (evaluate("mole", latency=0.04, episodes=3, workers=workers).figures for workers in (1, 2))
    assert one == two


def test_without_reactions_there_are_none() -> None:
    result = evaluate("mole", latency=0.04, episodes=1, reactions=False)
    assert result.reaction_p50_s is result.reaction_p95_s is None


def same(one: Evaluation, two: Evaluation) -> bool:
    return repr(one.figures) == repr(two.figures)  # NaN among them


def test_a_function_a_planning_and_a_task_that_is_an_object_give_what_their_names_give() -> None:
    task = make_task("mole")
    expert = expert_of(task, 32)

    def function(seen: Observation) -> FloatArray:
        return expert(seen, np.random.default_rng(0))

    wanted = evaluate("mole", "naive", latency=0.04, episodes=2)
    assert same(evaluate(task, "naive", latency=0.04, episodes=2), wanted)
    assert same(evaluate("mole", "naive", latency=0.04, planner=function, episodes=2), wanted)
    assert evaluate(make_task("mole"), latency=0.04, planner=lambda seen: np.zeros((16, 2)), episodes=1).success == 0


def test_a_loaded_policy_is_evaluated_as_by_its_name() -> None:
    policy = load_policy("mole_flow", device="cpu")
    assert policy.spec.action == ("vx", "vy")
    by_name = evaluate(
        "mole", latency=0.08, planner={"name": "policy", "checkpoint": "mole_flow"}, episodes=1, seed=FREE
    )
    assert same(evaluate("mole", latency=0.08, planner=policy, episodes=1, seed=FREE), by_name)
    assert same(evaluate("mole", latency=0.08, planner="flow", episodes=1, seed=FREE), by_name)


def test_a_loaded_policy_is_not_evaluated_on_episodes_that_it_learned_from(tmp_path: Path) -> None:
    copytree(FOLDER / "mole_flow", folder := tmp_path / "learned")
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, "demonstrated": [40, 60]}))
    policy = load_policy(folder, device="cpu")
    assert evaluate("mole", planner=policy, latency=0.08, episodes=1, seed=60).episodes == 1
    with pytest.raises(ConfigError, match="the policy has learned from the episodes of mole with the seeds"):
        evaluate("mole", planner=policy, episodes=1, seed=59)


def test_a_latency_model_is_given_by_its_name_and_options() -> None:
    fixed = evaluate("mole", latency={"name": "fixed", "ticks": 3}, episodes=1)
    assert same(fixed, evaluate("mole", latency=0.06, episodes=1))
    assert evaluate("mole", latency="lognormal", episodes=1).episodes == 1


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "milliseconds": (
        lambda: evaluate("mole", latency=160),
        r"latency is 160 s; give from 0 to 10 seconds, as latency=0.16",
    ),
    "no time": (lambda: evaluate("mole", latency=math.nan), r"latency is nan s; give from 0 to 10 seconds"),
    "a task without a name": (
        lambda: evaluate({"mode": "absolute"}),
        r"task is \{'mode': 'absolute'\}, which has no name",
    ),
    "an unknown task": (lambda: evaluate("mol"), r"there is no task 'mol'; did you mean 'mole'"),
    "an unknown strategy": (lambda: evaluate("mole", "vlahs"), r"there is no strategy 'vlahs'; did you mean 'vlash'"),
    "an object in many processes": (
        lambda: evaluate("mole", planner=lambda seen: np.zeros((8, 2)), workers=2),
        r"workers is 2, and a task or a planner that is an object cannot be sent .*; give workers=1, or register it",
    ),
    "rows of another robot": (
        lambda: evaluate("mole", planner=lambda seen: np.zeros((8, 6))),
        r"the planner gives rows of shape \(8, 6\) for a blank observation; make it give \(H, 2\)",
    ),
    "no planner": (lambda: evaluate("mole", planner=3), r"the planner is made as int; make it a Planning"),  # type: ignore[arg-type]
}


@every("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(name: str) -> None:
    evaluating, said = REFUSED[name]
    with pytest.raises(ConfigError, match=said) as caught:
        evaluating()
    assert "\n" not in str(caught.value)


def test_a_planning_without_an_answer_is_evaluated_too() -> None:
    class Silent:
        horizon = 8

        def infer(self, *given: Any) -> None:
            return None

    result = evaluate("mole", planner=Planning(Silent(), 8), episodes=1, reactions=False)
    assert (result.success, result.idle) == (0.0, 1.0)

import math
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.assembly.planning import Planning
from rollahead.errors import ConfigError, ControlError, InferenceError
from rollahead.evaluation import evaluation
from rollahead.evaluation.evaluation import (
    Cell,
    Episode,
    _key,
    check,
    evaluate,
    evaluate_all,
    measure,
    run_episode,
    summarise,
)
from rollahead.runtime.config.build import StrategyConfig, make_delay
from rollahead.runtime.config.techniques import BidConfig, GuidanceConfig
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.planning.latency import Lognormal
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.safety.guard import Flag, GuardConfig
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.sim.mole import WhackAMole
from rollahead.sim.pool import processes
from rollahead.sim.task import Task

MOLE = {"name": "mole"}


def cell(name: str = "vlash", ticks: int = 8, *, episodes: int = 3, reactions: bool = False, **options: Any) -> Cell:
    """A cell at a fixed latency of so many `ticks`; `options` are the strategy's, or the cell's own."""
    own = {key: options.pop(key) for key in ("task", "latency", "planner", "seed", "traces") if key in options}
    values = {"task": MOLE, "latency": {"name": "fixed", "ticks": ticks}} | own
    return Cell(strategy=StrategyConfig(name, **options), episodes=episodes, reactions=reactions, **values)


def plain(value: Any) -> Any:
    """In values that compare equal if they are the same to the bit, NaN included."""
    if isinstance(value, Trace):
        return [value.ticks.tobytes(), value.inferences]
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return repr(value)


def figures(episode: Episode) -> Mapping[str, Any]:
    return {field.name: plain(getattr(episode, field.name)) for field in fields(episode)}


def hits(episodes: list[Episode]) -> int:
    return sum(episode.success for episode in episodes)


# --- the claim ---


def test_under_160_ms_of_inference_vlash_hits_where_waiting_and_stale_plans_miss() -> None:
    names = ("sync", "naive", "vlash")
    played = dict(zip(names, evaluate_all([cell(name, 8, s=8, episodes=60) for name in names]), strict=True))
    assert hits(played["vlash"]) >= 54  # 90 %
    assert hits(played["sync"]) <= 42  # 70 %
    assert hits(played["naive"]) <= 6  # 10 %


def test_waiting_is_idle_and_jolts_and_thinking_while_moving_is_not_and_does_not() -> None:
    sync, vlash = (summarise(evaluate(cell(name, 8, s=8, episodes=8))) for name in ("sync", "vlash"))
    assert vlash["idle"] == 0.0
    assert sync["idle"] == pytest.approx(50, abs=5)  # 8 ticks of thinking for 8 of moving
    assert math.isnan(sync["switch_step"])  # holds lie between its chunks: none takes over from another
    assert vlash["switch_step"] > 0
    assert vlash["jerk"] < 0.8 * sync["jerk"]


@pytest.mark.parametrize("mode", ["velocity", "absolute"])
@pytest.mark.parametrize("s", [1, 5])
def test_an_instant_policy_makes_all_strategies_the_same_to_the_bit(mode: str, s: int) -> None:
    task = WhackAMole(mode)
    for seed in range(2):
        traces = {
            name: run_episode(cell(name, 0, s=s), task, seed).ticks
            for name in ("sync", "naive", "naive_arrival", "vlash")
        }
        for name, ticks in traces.items():
            for column in ("tick", "status", "action", "state", "environment", "age"):
                np.testing.assert_array_equal(ticks[column], traces["vlash"][column], err_msg=f"{name}: {column}")


def test_binding_the_state_late_does_not_hurt_where_the_robot_is_pushed() -> None:
    task = {**MOLE, "noise": 0.3}
    early, late = (
        evaluate(cell(s=8, episodes=30, task=task, latency={"name": "fixed", "ticks": 8, "bind_fraction": bound}))
        for bound in (0.0, 0.9)
    )
    assert hits(late) >= hits(early)
    assert 5 < hits(early) < 30  # hard enough to tell


# --- episodes ---


def test_the_same_seed_gives_the_same_figures_in_any_number_of_processes() -> None:
    noisy = {"name": "lognormal", "p50": 3.0, "p95": 7.0}
    cells = [cell(s=8, latency=noisy, reactions=True, traces=1), cell("sync", 2, s=8, episodes=2)]
    here, there = (list(evaluate_all(cells, workers=workers)) for workers in (1, 2))
    for one, other in zip(here, there, strict=True):
        assert list(map(figures, one)) == list(map(figures, other))


@pytest.mark.parametrize("workers", [1, 2])
def test_episodes_come_cell_by_cell_in_the_order_of_their_seeds(workers: int) -> None:
    quick = {**MOLE, "window_s": 0.1}
    counts = [27, 1, 3]
    cells = [
        cell("sync", 0, s=24, episodes=n, seed=seed, task=quick) for n, seed in zip(counts, (5, 900, 0), strict=True)
    ]
    seeds = [[episode.seed for episode in episodes] for episodes in evaluate_all(cells, workers=workers)]
    assert seeds == [list(range(5, 32)), [900], [0, 1, 2]]


class Notes:
    """A journal in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[int, Episode]] = {}

    def played(self, cell: Cell) -> Mapping[int, Episode]:
        return self.kept.get(cell.strategy.name, {})

    def add(self, cell: Cell, episode: Episode) -> None:
        assert episode.seed not in self.played(cell)
        self.kept.setdefault(cell.strategy.name, {})[episode.seed] = episode


@pytest.mark.parametrize("workers", [1, 2])
def test_each_episode_is_noted_as_it_is_played_and_one_that_is_noted_is_not_played_again(workers: int) -> None:
    cells = [cell("sync", 2, s=8, seed=3, episodes=5), cell("vlash", 2, s=8, episodes=2)]
    notes = Notes()
    first = list(evaluate_all(cells, workers=workers, journal=notes))
    assert {name: sorted(played) for name, played in notes.kept.items()} == {"sync": [3, 4, 5, 6, 7], "vlash": [0, 1]}
    marked = replace(notes.kept["sync"].pop(4), time_s=-1.0)
    notes.kept["sync"] = {6: replace(notes.kept["sync"][6], time_s=-1.0)}
    again = list(evaluate_all(cells, workers=workers, journal=notes))
    assert [episode.time_s for episode in again[0]].count(-1.0) == 1
    assert figures(again[0][1]) == figures(first[0][1]) != figures(marked)


def test_what_was_played_before_an_episode_fails_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(some: Cell, task: Task, seed: int, planning: Planning) -> Episode:
        if seed == 2:
            raise InferenceError("no more")
        return made(seed)

    monkeypatch.setattr(evaluation, "measure", fails)
    notes = Notes()
    with pytest.raises(InferenceError, match="no more"):
        list(evaluate_all([cell("sync", s=8, episodes=5)], journal=notes))
    assert sorted(notes.kept["sync"]) == [0, 1]


def test_a_pool_that_is_given_plays_and_is_left_running() -> None:
    with processes(1) as pool:
        cells = [cell("sync", 2, s=8, task={**MOLE, "window_s": window}) for window in (0.1, 0.2, 0.3, 0.4, 0.5)]
        there = [list(map(figures, played)) for played in evaluate_all(cells, pool=pool)]
        assert pool.submit(sum, [1, 2]).result() == 3
    assert there == [list(map(figures, played)) for played in evaluate_all(cells)]


def test_episodes_that_nobody_waits_for_are_not_begun() -> None:
    with processes(1) as pool:
        some = evaluate_all([cell("sync", 2, s=8, episodes=1), cell("sync", 2, s=8, seed=10, episodes=400)], pool=pool)
        next(some)
        some.close()
        began = time.monotonic()
        pool.submit(sum, [1]).result()  # behind what was begun
        assert time.monotonic() - began < 2.0


def test_episodes_of_one_seed_are_paired_across_strategies() -> None:
    task = WhackAMole()
    sync, vlash = (run_episode(cell(name, s=8), task, 3) for name in ("sync", "vlash"))
    ticks = min(len(sync.ticks), len(vlash.ticks))
    np.testing.assert_array_equal(sync.ticks["environment"][:ticks], vlash.ticks["environment"][:ticks])
    events = [[e.event_tick for e in evaluate(cell(name, s=8))] for name in ("sync", "naive", "vlash")]
    assert events[0] == events[1] == events[2]


def test_an_episode_does_not_depend_on_those_before_it() -> None:
    three = evaluate(cell("sync", 5, s=9, seed=20))
    assert figures(three[2]) == figures(evaluate(cell("sync", 5, s=9, seed=22, episodes=1))[0])


def test_only_as_many_traces_are_kept_as_were_asked_for() -> None:
    kept = evaluate(cell(s=8, seed=40, traces=2))
    assert [episode.trace is not None for episode in kept] == [True, True, False]


def test_every_tick_of_an_episode_is_in_its_trace_and_figures_count_from_the_stimulus() -> None:
    (episode,) = evaluate(cell(s=8, episodes=1, traces=1))
    assert episode.trace is not None
    ticks = episode.trace.ticks
    assert ticks["tick"].tolist() == list(range(len(ticks)))
    after = len(ticks) - episode.event_tick
    assert episode.time_s == pytest.approx(after / 50)
    assert len(episode.ages) == after  # vlash holds nowhere after the event
    assert len(episode.switch_steps) + len(episode.other_steps) == after - 1
    calls = sum(record.calls for record in episode.trace.inferences)
    assert episode.calls_per_s == pytest.approx(calls / (len(ticks) / 50))


def test_a_reaction_takes_the_delay_and_at_most_a_cycle_more() -> None:
    episodes = evaluate(cell("vlash", 4, s=8, reactions=True, episodes=12))
    ticks = [round(episode.reaction_s * 50) for episode in episodes]
    assert min(ticks) >= 1 + 4  # the event is seen at the head of its tick, and acted on 4 ticks later
    assert max(ticks) <= 1 + 4 + 8 + 2  # where the response is small at first
    assert len(set(ticks)) > 3  # over all phases
    assert evaluate(cell(s=8, episodes=1))[0].reaction_s is None  # not asked for


def test_a_robot_that_never_reacts_has_an_infinite_reaction_time() -> None:
    (episode,) = evaluate(cell("sync", 500, s=8, reactions=True, episodes=1))
    assert episode.reaction_s == math.inf


# --- latencies ---


def test_every_latency_model_runs_and_gives_finite_figures(tmp_path: Path) -> None:
    recording = tmp_path / "latencies.txt"
    recording.write_text("0.05\n0.081\n0.12\n")
    models: list[Mapping[str, Any]] = [
        {"name": "lognormal", "p50": 3.0, "p95": 6.0},
        {"name": "spikes", "ticks": 2, "probability": 0.2, "low": 10, "high": 14},
        {"name": "recorded", "path": str(recording)},
    ]
    for latency in models:
        found = summarise(evaluate(cell(latency=latency, s=12, episodes=2)))
        assert found["calls_per_s"] > 1
        assert math.isfinite(found["jerk"])


def test_delays_vary_as_the_latency_model_says_and_are_planned_for_by_their_median() -> None:
    spikes = {"name": "spikes", "ticks": 2, "probability": 0.3, "low": 6, "high": 7}
    (episode,) = evaluate(cell(latency=spikes, s=8, episodes=1, traces=1))
    assert episode.trace is not None
    assert {record.delay for record in episode.trace.inferences} <= {2, 6, 7}
    assert {record.delay_planned for record in episode.trace.inferences} == {2}
    lost = {record.delay: record.lost for record in episode.trace.inferences}
    assert lost == {delay: delay - 2 for delay in lost}
    assert episode.lost == sum(record.lost for record in episode.trace.inferences) > 0


@pytest.mark.parametrize("name", ["sync", "naive", "vlash"])
def test_a_planner_that_answers_after_the_episode_leaves_it_unanswered_and_harms_nothing(name: str) -> None:
    task = WhackAMole()
    slow = cell(name, 500, s=8, d=3, episodes=1)
    episode = measure(slow, task, 0)
    assert not episode.success
    assert episode.idle == 1.0
    assert episode.calls_per_s == 0.0
    assert len(episode.ages) == episode.lost == 0
    assert not run_episode(slow, task, 0).inferences
    quick = cell(s=8)
    assert figures(measure(quick, task, 1)) == figures(measure(quick, WhackAMole(), 1))  # what came before is over


def test_every_episode_starts_with_the_delay_that_the_cell_was_checked_with() -> None:
    noisy = {"name": "lognormal", "p50": 4.0, "p95": 12.0}
    for seed in (0, 7):
        some = cell("naive", s=12, latency=noisy, seed=seed, episodes=8, traces=8)
        delay = make_delay(some.strategy, Lognormal(4.0, 12.0), seed).delay
        traces = [episode.trace for episode in evaluate(some)]
        assert {trace.inferences[0].delay_planned for trace in traces if trace is not None} == {delay}


def test_a_cell_that_was_checked_refuses_none_of_its_episodes() -> None:
    noisy = {"name": "lognormal", "p50": 6.0, "p95": 14.0}
    passed = 0
    for seed in range(0, 100, 10):
        some = cell(latency=noisy, s=7, seed=seed, episodes=10, task={**MOLE, "window_s": 0.1})
        try:
            check(some)
        except ConfigError:
            continue
        passed += 1
        assert len(evaluate(some)) == 10
    assert passed


def test_where_nothing_was_answered_no_planned_delay_is_told() -> None:
    assert summarise(evaluate(cell("vlash", 500, s=8, d=3, episodes=1)))["delay_planned"] is None


# --- errors ---


class Expertless(WhackAMole):
    """A mole whose expert is `plan`."""

    def __init__(self, plan: Callable[[int], FloatArray]) -> None:
        super().__init__()
        self._plan = plan

    def expert(self, horizon: int) -> Plan:
        def rows(observation: Observation, rng: np.random.Generator) -> FloatArray:
            return self._plan(horizon)

        return rows


def _out_of_memory(horizon: int) -> FloatArray:
    raise MemoryError("17 GB asked for")


@pytest.mark.parametrize(
    ("plan", "parts"),
    [
        (_out_of_memory, ("MemoryError", "17 GB asked for", "tick 0")),
        (lambda horizon: np.full((horizon, 2), np.nan), ("NaN", "row 0", "tick 0")),
        (lambda horizon: np.zeros((horizon, 3)), ("(32, 3)", "(32, 2)")),
        (lambda horizon: np.zeros((horizon - 1, 2)), ("(31, 2)", "(32, 2)")),
    ],
    ids=["raises", "nan", "dimensions", "rows"],
)
def test_a_planner_that_fails_ends_the_episode_with_one_error(
    plan: Callable[[int], FloatArray], parts: tuple[str, ...]
) -> None:
    with pytest.raises(InferenceError) as caught:
        run_episode(cell(s=8), Expertless(plan), 0)
    for part in parts:
        assert part in str(caught.value)


def test_an_error_that_a_planner_raises_on_purpose_is_passed_on_as_it_is() -> None:
    refusal = ConfigError("the checkpoint has no horizon; give one")

    def plan(horizon: int) -> FloatArray:
        raise refusal

    with pytest.raises(ControlError) as caught:
        run_episode(cell(s=8), Expertless(plan), 0)
    assert caught.value is refusal


# --- refusals ---

REFUSED: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "no episodes": (lambda: cell(episodes=0), ("episodes is 0", "at least 1")),
    "a negative seed": (lambda: cell(seed=-3), ("seed -3", "from 0 to")),
    "a seed past 2**31": (lambda: cell(seed=2**31 - 2), ("episodes is 3", "2147483646", "2147483645")),
    "d > s": (lambda: check(cell("vlash", 8, s=4)), ("H = 32", "s = 4", "d = 8", "d <= s")),
    "s > H": (lambda: check(cell("sync", 8, s=33)), ("H = 32", "s = 33")),
    "no s": (lambda: check(cell("sync", 0, s=0)), ("H = 32", "s = 0")),
    "d + s > H": (lambda: check(cell("naive", 20, s=14)), ("H = 32", "s = 14", "d = 20")),
    "an estimated d": (
        lambda: check(cell(latency={"name": "lognormal", "p50": 9.0, "p95": 12.0}, s=4)),
        ("s = 4", "d <= s"),
    ),
    "q": (lambda: check(cell("sync", 0, s=20, q=2)), ("H = 16", "s = 20")),
    "strategy": (lambda: check(cell("vlahs")), ("'vlahs'", "did you mean 'vlash'")),
    "task": (lambda: check(cell(task={"name": "moel"})), ("'moel'", "did you mean 'mole'")),
    "latency": (lambda: check(cell(latency={"name": "fixd"})), ("'fixd'", "did you mean 'fixed'")),
    "planner": (
        lambda: check(cell(s=8, planner={"name": "scriptd", "horizon": 32})),
        ("'scriptd'", "did you mean 'scripted'"),
    ),
    "horizon": (lambda: check(cell("sync", 0, planner={"name": "scripted", "horizon": 0})), ("0", "from 1 to 10000")),
    "a long horizon": (
        lambda: check(cell("sync", 0, planner={"name": "scripted", "horizon": 10_001})),
        ("planner.horizon is 10001", "from 1 to 10000"),
    ),
    "an option of the planner": (
        lambda: check(cell(s=8, planner={"name": "scripted", "horizon": 32, "horzion": 16})),
        ("horzion",),
    ),
}


@every("name", REFUSED)
def test_a_cell_that_cannot_be_is_refused_with_its_numbers(name: str) -> None:
    make, parts = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)


class Boundless(WhackAMole):
    """A mole whose robot takes any action."""

    def __init__(self) -> None:
        super().__init__()
        action = tuple(replace(dim, low=-math.inf, high=math.inf) for dim in self.spec.action)
        self.spec = replace(self.spec, action=action)


def test_no_reaction_is_asked_for_where_actions_have_no_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "make_task", lambda name: Boundless())
    check(cell(s=8))
    with pytest.raises(ConfigError, match=r"task 'mole' has an action without a range.*; give .* reactions=false$"):
        check(cell(s=8, reactions=True))


def test_one_cell_that_cannot_be_stops_all_before_the_first_is_run() -> None:
    with pytest.raises(ConfigError, match="s = 4"):
        next(evaluate_all([cell(s=8), cell(s=4)]))


def test_what_can_be_is_passed_without_a_word() -> None:
    for name in ("sync", "naive", "naive_arrival", "ensemble", "vlash"):
        assert check(cell(name, 8, s=8)) is None


# --- figures ---


def made(seed: int = 0, **changes: Any) -> Episode:
    """An episode with figures of one's own."""
    some = Episode(
        seed=seed,
        success=True,
        event_tick=50,
        time_s=0.5,
        reaction_s=0.2,
        jerk=10.0,
        idle=0.25,
        guard_hits=0.5,
        calls_per_s=6.0,
        ages=np.array([1.0, 2.0, 3.0]),
        switch_steps=np.array([0.4]),
        other_steps=np.array([0.1, 0.1]),
        action_unit="m",
        lost=1,
        delay_planned=4,
    )
    return replace(some, **changes)


def test_shares_are_percent_of_all_episodes() -> None:
    found = summarise([made(), made(success=False), made(), made()])
    assert (found["episodes"], found["success"], found["idle"], found["guard_hits"]) == (4, 75.0, 25.0, 50.0)
    low, high = found["success_ci"]
    assert 0 < low < 75 < high < 100


def test_task_time_is_that_of_the_episodes_that_succeed() -> None:
    found = summarise([made(time_s=0.4), made(time_s=0.6), made(time_s=9.0, success=False)])
    assert found["time_s"] == pytest.approx(0.5)
    assert found["time_s_ci"] == [0.4, 0.6]


def test_where_nothing_succeeds_there_is_no_task_time() -> None:
    found = summarise([made(success=False)] * 3)
    assert math.isnan(found["time_s"])
    assert all(map(math.isnan, found["time_s_ci"]))


def test_reactions_that_never_came_are_in_the_tail_and_those_not_asked_for_nowhere() -> None:
    found = summarise([made(reaction_s=0.1), made(reaction_s=0.2), made(reaction_s=math.inf)])
    assert found["reaction_s"] == {"p50": 0.2, "p95": math.inf, "max": math.inf}
    assert summarise([made(reaction_s=None)])["reaction_s"] is None


def test_ages_and_steps_are_pooled_over_episodes() -> None:
    episodes = [made(), made(ages=np.array([9.0]), switch_steps=np.array([0.8]), other_steps=np.array([0.3]))]
    found = summarise(episodes)
    assert found["age_ticks"] == {"p50": 2.0, "p95": 9.0, "max": 9.0}
    assert found["switch_step"] == pytest.approx(0.6)
    assert (found["switch_step_max"], found["action_unit"]) == (0.8, "m")
    assert found["median_step_elsewhere"] == 0.1
    assert (found["rows_lost"], found["calls_per_s"], found["delay_planned"]) == (2, 6.0, 4)


def test_an_episode_too_short_for_a_jerk_is_left_out_of_it() -> None:
    assert summarise([made(), made(jerk=math.nan)])["jerk"] == 10.0
    assert math.isnan(summarise([made(jerk=math.nan)] * 2)["jerk"])


def test_episodes_of_a_tick_or_two_have_no_jerk_and_warn_of_nothing() -> None:
    found = summarise(evaluate(cell("sync", 0, s=8, episodes=2, task={**MOLE, "window_s": 0.04})))
    assert math.isnan(found["jerk"])


def test_a_cell_of_which_no_episode_has_ages_or_steps_still_has_its_figures() -> None:
    empty = np.empty(0)
    found = summarise([made(ages=empty, switch_steps=empty, other_steps=empty)])
    assert all(map(math.isnan, (found["switch_step"], found["switch_step_max"], found["age_ticks"]["p50"])))
    assert math.isnan(found["median_step_elsewhere"])


LIMITS = {"default": {"rate_limit": 1.5, "accel_limit": 8.4}}
ABSOLUTE = {"name": "mole", "mode": "absolute"}


def limited_cell(limits: Any = LIMITS, **changes: Any) -> Cell:
    changes = {"episodes": 1, "reactions": False, "limits": limits, **changes}
    return Cell(ABSOLUTE, StrategyConfig("naive", s=8, d=8), {"name": "fixed", "ticks": 8}, **changes)


def rates(ticks: Any) -> Any:
    """The rates at which targets move, and how fast these change, each the largest of its kind."""
    rate = np.diff(ticks["action"], axis=0) * 50.0
    return float(np.abs(rate).max()), float(np.abs(np.diff(rate, axis=0) * 50.0).max())


def test_limits_hold_in_every_tick_of_an_episode_and_without_them_the_targets_jump() -> None:
    rate, accel = rates(run_episode(limited_cell(), WhackAMole("absolute"), 0).ticks)
    assert 1.0 < rate <= 1.5 + 1e-9
    assert 1.0 < accel <= 8.4 + 1e-6
    free = rates(run_episode(limited_cell({}), WhackAMole("absolute"), 0).ticks)
    assert free[0] > 3.0
    assert free[1] > 100.0


def test_the_guard_is_at_work_where_there_are_limits_and_only_if_it_is_enabled() -> None:
    (kept,), (free,), (off,) = (
        evaluate(one) for one in (limited_cell(), limited_cell({}), limited_cell(guard=GuardConfig(enabled=False)))
    )
    assert kept.guard_hits > 0.1
    assert (free.guard_hits, off.guard_hits) == (0.0, 0.0)
    assert max(kept.switch_steps) < 0.05 < max(off.switch_steps)


def test_a_ramp_is_a_guard_hit_of_each_of_its_ticks() -> None:
    ticks = run_episode(limited_cell({}, guard=GuardConfig(ramp_s=0.2)), WhackAMole("absolute"), 0).ticks
    assert (ticks["guard"] == Flag.RAMP).sum() == 10


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"z": {"rate_limit": 1.0}}, "there is no dimension of the robot 'z'; Known: default, x, y"),
        ({"x": {"rate_limit": -1.0}}, "dimension 'x' has rate_limit -1.0; give a positive one"),
    ],
)
def test_limits_that_cannot_be_are_refused_before_an_episode(limits: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(limited_cell(limits))


def test_cells_with_other_limits_do_not_share_a_stage_and_can_be_sent_to_a_process() -> None:
    alone = [next(iter(evaluate(one))) for one in (limited_cell(), limited_cell({}))]
    assert _key(limited_cell()) != _key(limited_cell({}))
    evaluation._STAGES.clear()
    sent = [pickle.loads(pickle.dumps(one)) for one in (limited_cell(), limited_cell({}), limited_cell())]
    together = [evaluation._measure(one, 0) for one in sent]
    for one, other in zip(together, [*alone, alone[0]], strict=True):
        assert plain(one) == plain(other)


@pytest.mark.parametrize("lag", [-1, 6])
def test_a_lag_beyond_what_counts_as_stale_is_refused(lag: int) -> None:
    with pytest.raises(ConfigError, match=f"lag is {lag}; give from 0 to 5 ticks"):
        Cell({"name": "mole"}, StrategyConfig("vlash"), {"name": "fixed", "ticks": 4}, lag=lag)


def test_sensors_that_are_late_are_late_in_the_trace() -> None:
    cell = Cell({"name": "mole"}, StrategyConfig("vlash", s=8, d=4), {"name": "fixed", "ticks": 4}, lag=2)
    ticks = run_episode(cell, WhackAMole(), 0).ticks
    assert ticks["state_age"].tolist() == [0, 1, *[2] * (len(ticks) - 2)]


@pytest.mark.parametrize(
    "others",
    [
        {"name": "bid", "bid": BidConfig(candidates=2, modes=1)},
        {"name": "vlash", "guidance": GuidanceConfig(enabled=True)},
        {"name": "rtc"},
    ],
)
def test_cells_whose_chunks_are_made_to_agree_otherwise_do_not_share_a_planner(others: dict[str, Any]) -> None:
    flow = {"name": "policy", "checkpoint": "mole_flow"}
    first, second = (cell(planner=flow, ticks=2, episodes=1, s=4, d=2, **one) for one in (others, {"name": "vlash"}))
    alone = [next(iter(evaluate(one))) for one in (first, second)]
    evaluation._STAGES.clear()
    together = [evaluation._measure(one, 0) for one in (first, second, first)]
    for one, other in zip(together, [*alone, alone[0]], strict=True):
        assert plain(one) == plain(other)

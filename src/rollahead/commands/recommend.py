"""`rollahead recommend`: recommends a schedule, and compares its measured figures with the predicted ones."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rollahead.assembly.rollers import LEFT_BEHIND, Scene, leaves_behind
from rollahead.commands.app import console, options, run_folder
from rollahead.commands.bench import GROUPS, HORIZON, Bench, RecommendOptions, bench_of, kept
from rollahead.commands.schedules import Shown, schedule_options, schedule_words, table
from rollahead.evaluation.advice import KNOWN, Advice, advise
from rollahead.evaluation.evaluation import check_all, evaluate_all, summarise
from rollahead.runtime.analysis.recommend import (
    Candidate,
    Recommendation,
    candidate,
    expected_delay,
    following,
    most_q,
    rank,
    recommend,
    sampled,
)
from rollahead.runtime.analysis.rehearsal import rehearse
from rollahead.runtime.analysis.shortlist import shortlist
from rollahead.runtime.config.build import WARM_UP, StrategyConfig
from rollahead.runtime.recording.run_folder import SUMMARY, provenance
from rollahead.sim.pool import processes

REHEARSED = 10_000  # length of a rehearsal in ticks
HOPELESS = 0.1  # largest share of solved episodes that is called next to nothing
OTHER_SEED = 1_000_003  # difference between the seeds of rehearsal and forecast
ASIDE = (  # options of the command line that are not for `rollahead run`
    *("latency", "strategy", "name", "runs"),
    *("horizon", "speed", "inferences", "episodes", "workers"),
)


def main(config: DictConfig) -> None:
    """Recommends a schedule for the robot or task and the latency of `config`, and writes a run folder."""
    chosen = options(config, RecommendOptions, (*GROUPS, "robot", "task"))
    bench = bench_of(config, chosen)
    forecast = recommend(bench.setting)
    playing = bool(chosen.episodes) and bench.task is not None
    if playing:
        _check(bench, forecast, chosen)
    folder = run_folder(config)
    bench = kept(bench, folder)
    advice = _played(bench, forecast, chosen) if playing else None
    shown = list(_shown(bench, forecast, advice, chosen))
    best = shown[0].candidate
    most = most_q(bench.setting, best, rank(sampled(bench.setting), 0.5))
    folder.write_json(SUMMARY, _summary(bench, forecast, advice, shown) | {"most_q": most} | provenance(chosen.seed))
    for words in _words(bench, forecast, advice):
        console().print(words, soft_wrap=True)
    console().print(f"the largest speed-up that its chunks would bear is q = {most}", soft_wrap=True)
    console().print(table(shown, bench.setting.spec.period_s))
    console().print(f"to use it: {_command(bench, best.strategy)}", soft_wrap=True)
    if advice is None and best.strategy.name == "vlash" and (estimated := following(best.strategy, bench.setting)):
        console().print(_following(estimated), soft_wrap=True)


def _check(bench: Bench, forecast: Recommendation, chosen: RecommendOptions) -> None:
    """Checks that the schedules to play would be accepted; a measured latency is replaced by its median.

    Raises: ConfigError, if one would be refused.
    """
    latency = bench.cell.latency or {"name": "fixed", "ticks": rank(sampled(bench.setting), 0.5)}
    cells = [replace(bench.cell, strategy=one, latency=latency) for one in shortlist(bench.setting, forecast)]
    check_all(cells, workers=chosen.workers)


def _played(bench: Bench, forecast: Recommendation, chosen: RecommendOptions) -> Advice:
    """Plays the shortlist of schedules on the task, and returns the advice that follows from the episodes."""
    schedules = shortlist(bench.setting, forecast)
    told = partial(console().print, soft_wrap=True)
    if chosen.workers == 1:
        return advise(bench.cell, schedules, evaluate_all, told)
    with processes(chosen.workers) as pool:
        return advise(bench.cell, schedules, partial(evaluate_all, pool=pool), told)


def _schedules(bench: Bench, forecast: Recommendation, advice: Advice | None) -> Iterator[tuple[str, Candidate]]:
    """Yields the schedules to show, each with its label; the recommended one comes first."""
    if advice is None:
        yield from {"recommended": forecast.chosen, **forecast.neighbours}.items()
        return
    body, said = rank(sampled(bench.setting), 0.5), forecast.chosen.strategy
    for strategy in advice.order:
        known = strategy.name if strategy.name in KNOWN else "runner-up"
        name = "recommended" if strategy == advice.chosen else "as forecast" if strategy == said else known
        yield name, candidate(bench.setting, strategy, body)


def _shown(bench: Bench, forecast: Recommendation, advice: Advice | None, chosen: RecommendOptions) -> Iterator[Shown]:
    """Yields each schedule with the results of its rehearsal and its episodes, if there are any.

    A rehearsal draws other latencies than the forecast.
    """
    setting, seed = bench.setting, chosen.seed + OTHER_SEED
    for name, one in _schedules(bench, forecast, advice):
        measured = None  # with late=moved the result depends on how the robot moves, which no rehearsal simulates
        if one.strategy.late == "tick":
            measured = rehearse(one.strategy, setting.horizon, setting.latency, ticks=REHEARSED, seed=seed)
        yield Shown(name, one, measured, None if advice is None else summarise(advice.episodes(one.strategy)))


def _summary(bench: Bench, forecast: Recommendation, advice: Advice | None, shown: Sequence[Shown]) -> dict[str, Any]:
    """The content of `summary.json`; its `why` holds the reasons of the forecast, not of the episodes."""
    ticks = sampled(bench.setting)
    return {
        "command": "recommend",
        "latency": {
            "source": dict(bench.cell.latency),
            "measured_s": list(bench.seconds),
            "ticks": {f"p{round(100 * share)}": rank(ticks, share) for share in (0.5, 0.95, 0.99, 1.0)},
        },
        "rate_hz": bench.setting.spec.rate_hz,
        "horizon": bench.setting.horizon,
        "q": bench.setting.q,
        "why": list(forecast.why),
        "chosen": asdict(shown[0].candidate.strategy),
        "forecast": asdict(forecast.chosen.strategy),
        "shown": [one.row for one in shown],
        "screened": [] if advice is None else [one.row for one in advice.screened],
        "candidates": [
            {"strategy": one.strategy.name, "s": one.strategy.s, "d": one.strategy.d, "cost_ticks": one.cost}
            | asdict(one.forecast)
            for one in forecast.candidates
        ],
    }


def _words(bench: Bench, forecast: Recommendation, advice: Advice | None) -> Iterator[str]:
    """Yields lines for the user: the latencies, the recommended schedule and its reasons, and hints on the roller."""
    setting, strategy = bench.setting, forecast.chosen.strategy if advice is None else advice.chosen
    ticks, ms = sampled(setting), 1000 * setting.spec.period_s
    p50, p95, most = (rank(ticks, share) for share in (0.5, 0.95, 1.0))
    yield (
        f"inferences ({bench.source}) take {p50} ticks of {ms:.3g} ms at the median, {p95} at the p95, {most} at most; "
        f"chunks have {setting.horizon} rows"
    )
    if bench.seconds:
        low, high = (1000 * share for share in np.quantile(bench.seconds, [0.5, 0.95]))
        yield f"in ms: p50 {low:.3g}, p95 {high:.3g}, on this machine, with nothing else to do"
    yield from _why(bench, forecast, advice)
    considered = (strategy, forecast.chosen.strategy, *(() if advice is None else advice.order))
    rolling = next((one for one in considered if one.name == "vlash"), None)
    if rolling is None:
        return
    alone = bench.cell.roller["name"] != "scene"
    if bench.moving_scene and alone and bench.offsets < (d := expected_delay(rolling, ticks)):
        yield (
            "the scene moves on its own, and rolling the robot alone does not move it on: for vlash use roller=scene, "
            f"or a policy that was trained with offsets of {d} or more"
        )
    if leaves_behind(Scene(setting.spec, bench.task), bench.cell.roller):
        yield LEFT_BEHIND


def _why(bench: Bench, forecast: Recommendation, advice: Advice | None) -> Iterator[str]:
    """Yields lines with the recommended schedule, the reason for it, and the schedule of the forecast."""
    said, q, reasons = forecast.chosen, bench.setting.q, "; ".join(forecast.why)
    if advice is None:
        yield f"use {schedule_words(said.strategy)}, q = {q}: {reasons}"
        yield "this is the forecast alone: no episode was played, so what late plans cost on the task is not known"
        if said.forecast.late and "late plans moved" in forecast.neighbours:
            share = 100 * said.forecast.late
            yield f"{share:.0f} % of the plans will be late: see what strategy.late=moved makes of them"
        return
    yield (
        f"use {schedule_words(advice.chosen)}, q = {q}: of {len(advice.screened)} schedules that were played it came "
        f"out first, and on fresh episodes, of which it solves {_solved(advice, advice.chosen)}, none beats it beyond "
        "chance"
    )
    if _share(advice, advice.chosen) <= HOPELESS:
        yield "that is next to nothing: make inferences faster, or try the policy without latency first"
    same = said.strategy == advice.chosen
    also = "the same" if same else schedule_words(said.strategy)
    solved = "" if same else f", which solves {_solved(advice, said.strategy)} of the same episodes"
    yield f"the forecast had said {also}{solved}: {reasons}"


def _solved(advice: Advice, strategy: StrategyConfig) -> str:
    return f"{100 * _share(advice, strategy):.0f} %"


def _share(advice: Advice, strategy: StrategyConfig) -> float:
    """Share of the episodes that `strategy` solves, from 0 to 1."""
    played = advice.episodes(strategy)
    return sum(one.success for one in played) / len(played)


def _following(strategy: StrategyConfig) -> str:
    """A sentence that recommends an estimated delay for latencies that drift, and names the estimator's window."""
    numbers = " ".join(schedule_options(strategy))
    return f"or, where the latency drifts over some {WARM_UP} inferences or more, with d estimated: {numbers}"


def _command(bench: Bench, strategy: StrategyConfig) -> str:
    """The shell command that runs `strategy`.

    It keeps the options of this command line that `rollahead run` has as well. If no planner is among them, it names
    one, with chunks of the same length.
    """
    given = {word: word.partition("=")[0].partition(".")[0] for word in HydraConfig.get().overrides.task}
    kept = [word for word, name in given.items() if name not in ASIDE and not word.startswith("~")]
    if bench.task is None:
        kept += ["planner=policy", "planner.checkpoint=CHECKPOINT"]
    elif "planner" not in given.values() and bench.setting.horizon != HORIZON:
        kept += [f"planner.horizon={bench.setting.horizon}"]
    return shlex.join(["rollahead", "run", f"strategy={strategy.name}", *schedule_options(strategy), *kept])

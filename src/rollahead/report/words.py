"""Texts of the page: what was run, what the strategies do, and what the measures mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from rollahead.report.comparison import Named
from rollahead.report.labels import kind
from rollahead.report.load import CellResult, Results
from rollahead.report.study import Study
from rollahead.report.training import TrainingResult
from rollahead.runtime.planning.latency import latency_words

IN_WORDS = {
    "sync": "The robot waits: it holds from each request until the plan is there, then runs its first s rows.",
    "naive": "The robot goes on while the policy computes. When a plan comes, the ticks of its first rows have passed, "
    "and it fits the state that the robot had at the request, not the one that it has now.",
    "naive_arrival": "The robot goes on while the policy computes. A plan starts with its first row when it comes, as "
    "if no time had passed since the request.",
    "ensemble": "The robot goes on while the policy computes, as with naive, but each action is the mean of all plans "
    "that have a row for the tick.",
    "vlash": "The robot goes on while the policy computes. The plan is made for the tick at which it will take over, "
    "and from the state that the robot will have then: rolled ahead over the rows that are committed until then.",
    "rtc": "The robot goes on while the policy computes. The plan starts from the state at the request, and is guided "
    "towards the last plan, whose next d rows run meanwhile.",
    "tt_rtc": "The robot goes on while the policy computes. The plan starts from the state at the request, and the "
    "policy is given the d rows of the last plan that run meanwhile.",
    "bid": "The robot goes on while the policy computes. Several plans are sampled from the state at the request, and "
    "the one that continues the last plan best is used.",
}
SHORT = {
    "sync": "it stops and waits for each plan",
    "naive": "it goes on, and uses the rows that are left of each plan when that comes",
    "naive_arrival": "it goes on, and begins each plan when that comes",
    "ensemble": "it goes on, and uses the mean of all plans",
    "vlash": "it goes on, and each plan starts from where it will be by then",
    "rtc": "it goes on, and each plan is guided towards the last",
    "tt_rtc": "it goes on, and each plan is given the rows that run meanwhile",
    "bid": "it goes on, and uses the one of several plans that continues the last best",
}
# With these strategies, the ticks of a plan's first rows have always passed when it comes.
BY_DESIGN = dict.fromkeys(("naive", "ensemble"), ", as the first rows of each plan always do with this strategy")

ROLLERS = {
    "robot": "with its state rolled ahead by the task's model of it",
    "scene": "with what moves in the scene rolled ahead too",
    "told": "with its last position targets taken as its state",
    "attached": "with what its gripper holds rolled ahead too",
    "none": "with the state as it was measured",
    "identified": "with its state rolled ahead by the identified lags",
}
OLD_ROLLERS = {"still": "none"}  # names in the folders of older runs

_MEASURES = (
    ("success", "The share of episodes that succeeded, with its Wilson 95 % interval."),
    (
        "task time",
        "Simulated seconds from the event, or in a task without one from the start, to the end, waiting included: "
        "the mean over the episodes that succeeded, with its bootstrap 95 % interval.",
    ),
    (
        "reaction",
        "From the event to the end of the first tick whose action differs from that of the same episode without the "
        "event: by more than 5 % of the action's range, towards what the expert would do, for at least 2 ticks. "
        "Median, 95th percentile and maximum over the episodes; “never” where there was no such tick.",
    ),
    ("age", "Ticks from the observation behind an action to the tick at which it was sent; holds have none."),
    ("idle", "The share of ticks, from the event on, in which the robot held because no plan had an action."),
    (
        "guard hits",
        "The share of ticks, from the event on, in which the guard changed the action to keep the limits.",
    ),
    (
        "jump at switches",
        "The distance that the action moves in the tick in which a plan takes over from another, in the action's unit: "
        "the mean and the maximum over all such ticks, and the median step within a plan. It is measured on what was "
        "sent, after the guard applied the limits.",
    ),
    ("jerk", "The mean size of the third derivative of the driven positions; less is smoother."),
    ("calls", "Network calls per second of control, batch elements counted."),
    ("rows lost", "Rows that came after their tick, and could have been used, over all episodes."),
    ("planned d", "The delay that the strategy planned for, in ticks, at the end of the last episode."),
)


def measures() -> tuple[tuple[str, str], ...]:
    """Measures of the table, each with its definition."""
    return _MEASURES


def sentence(cells: Sequence[Named], command: str) -> str:
    """Sentence that says what was run."""
    tasks = list(dict.fromkeys(str(named.cell.task["name"]) for named in cells))
    return f"rollahead {command} measured {_series(cells)} on {listed(tasks)} {_how(cells)}."


def trained(cells: Sequence[Named], trainings: Sequence[TrainingResult]) -> str:
    """Sentence that says what was trained and, if there was a task, measured."""
    tasks = list(dict.fromkeys(one.task for one in trainings if one.task))
    each = "; ".join(f"{one.policy['name']}, {one.steps:,} steps on {one.source}" for one in trainings)
    what, it = ("a policy", "it") if len(trainings) == 1 else (f"{len(trainings)} policies", "them")
    made = f"rollahead train made {what}{f' for {listed(tasks)}' if tasks else ''} ({each})"
    return f"{made} and measured {it} with {_series(cells)} {_how(cells)}." if cells else f"{made}."


def studied(study: Study, command: str) -> str:
    """Sentence that says what a study consists of."""
    planners, latencies = (
        listed(list(dict.fromkeys(getattr(chart.condition, name) for chart in study.charts)))
        for name in ("planner", "latency")
    )
    delays = listed([f"{delay:g}" for delay in study.delays])
    cells = [named for chart in study.charts for named in chart.cells]
    return (
        f"rollahead {command} measured {listed(study.series)} on {listed(list(study.tasks))}, with {planners} as the "
        f"planner, under {latencies} latency of {delays} ticks, {_episodes(cells)}."
    )


def rolled(cell: CellResult) -> str:
    """Text that says how a cell differs from the same strategy under another roller."""
    name = OLD_ROLLERS.get(cell.roller["name"], cell.roller["name"])
    return f"as {cell.strategy['name']}, {ROLLERS.get(name, 'by another roller')}"


def driven(results: Results) -> str:
    """Sentence that says what was run, where there were no episodes."""
    ran = results.realtime[0]
    seconds = ran["gauges"]["ticks"] / (ran["gauges"]["rate_hz"] or 1.0)
    left = " It left no summary: it was killed, or still goes on." if results.last else ""
    return f"rollahead {results.command} drove a robot with {ran['strategy']['name']} for {seconds:.1f} s.{left}"


def _series(cells: Sequence[Named]) -> str:
    return listed(list(dict.fromkeys(named.series for named in cells)))


def _how(cells: Sequence[Named]) -> str:
    """Text about the latencies and the number of episodes."""
    return f"at a latency of {_latencies(cells)}, {_episodes(cells)}"


def _episodes(cells: Sequence[Named]) -> str:
    counts = sorted({int(named.cell.figures["episodes"]) for named in cells})
    return (
        f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} "
        f"episode{'s' if counts[-1] > 1 else ''}{' each' if len(cells) > 1 else ''}"
    )


def facts(results: Results) -> list[tuple[str, str]]:
    """Facts about where, when and with which options it was run, as pairs of term and text."""
    rates = dict.fromkeys(f"{cell.rate_hz:g} Hz" for cell in results.cells)
    found = [
        ("date", results.date),
        ("machine", results.machine),
        ("took", _took(results)),
        ("episodes", _played(results)),
        ("seeds", _seeds(results)),
        ("control rate", ", ".join(rates)),
        ("policy", "; ".join(dict.fromkeys(_options(one.policy) for one in results.trainings))),
        ("trained with", "; ".join(dict.fromkeys(_values(one.aims) for one in results.trainings))),
        ("planner", "; ".join(dict.fromkeys(_options(cell.planner) for cell in results.cells))),
        ("latency", "; ".join(dict.fromkeys(_options(kind(cell.latency)) for cell in results.cells if _varies(cell)))),
        ("versions", ", ".join(f"{name} {version}" for name, version in results.versions.items())),
    ]
    left = ", ".join(results.unfinished)
    unfinished = [("unfinished", f"run {left} of this sweep left no figures")] if left else []
    return [(term, fact) for term, fact in [*found, *unfinished] if fact]


def _latencies(cells: Sequence[Named]) -> str:
    fixed = list(dict.fromkeys(f"{named.cell.delay_ticks:g}" for named in cells if named.cell.delay_ticks is not None))
    others = dict.fromkeys(latency_words(named.cell.latency) for named in cells if named.cell.delay_ticks is None)
    return listed([*([f"{listed(fixed)} ticks"] if fixed else []), *others])


def _varies(cell: CellResult) -> bool:
    return bool(cell.latency["name"] != "fixed")


def _took(results: Results) -> str:
    """Text about the time that all runs took together."""
    known = f", {len(results.took_s):,} of {results.runs:,} runs" if len(results.took_s) < results.runs else ""
    together = f", {results.runs:,} runs together" if results.runs > 1 and not known else ""
    return f"{_duration(sum(results.took_s))}{known}{together}" if results.took_s else ""


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _played(results: Results) -> str:
    n = sum(int(cell.figures["episodes"]) for cell in results.cells)
    return f"{n:,}, in {len(results.cells):,} cells" if len(results.cells) > 1 else ""


def _seeds(results: Results) -> str:
    if not results.cells:
        return ""
    sets = {tuple(sorted(cell.episodes)) for cell in results.cells}
    seeds = [seed for seen in sets for seed in seen]
    ends = f"{min(seeds)} to {max(seeds)}" if seeds else "none"
    return (
        ends if len(results.cells) == 1 else f"{ends}, {'the same in every cell' if len(sets) == 1 else 'not paired'}"
    )


def _options(options: Mapping[str, Any]) -> str:
    rest = _values({key: value for key, value in options.items() if key != "name" and value is not None})
    return f"{options['name']} ({rest})" if rest else str(options["name"])


def _values(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in options.items())


def listed(words: Sequence[str]) -> str:
    """Joins texts: 'a', 'a and b', 'a, b and c'."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

"""Feasibility checks of a configuration: schedules by H, s and d, and techniques by pairs.

Both tables are in docs/design.md. H: horizon in ticks; s: execution horizon; d: planned delay.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from rollahead.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Need:
    """A condition that a schedule must meet.

    Attributes:
        words: The condition as a formula.
        holds: Whether the condition holds for H, s and d.
        why: Reason for the condition.
        remedy: What to change if it does not hold.
    """

    words: str
    holds: Callable[[int, int, int], bool]
    why: str
    remedy: str


WHOLE = Need(
    "1 <= s <= H",
    lambda H, s, d: 1 <= s <= H,
    "a chunk has H rows to run",
    "give an s from 1 to H",
)
FROM_OBSERVATION = Need(
    "d + max(s, d) <= H",
    lambda H, s, d: d + max(s, d) <= H,
    "rows count from the observation, so the first d come late, and one request is open at a time",
    "lower s or the latency, or use vlash or sync",
)
FROM_ARRIVAL = Need(
    "d <= s",
    lambda H, s, d: d <= s,
    "the next chunk is asked for s ticks after the last and needs d to come",
    "raise s to d, or use sync",
)
CHUNKED = Need(
    "d <= s <= H - d",
    lambda H, s, d: d <= s <= H - d,
    "a chunk gives rows d to s + d, and the next one needs d to come",
    "lower s or the latency, or use vlash or sync",
)
SCHEDULES: Mapping[str, tuple[Need, ...]] = {  # built-in strategies; others are checked for `WHOLE` only
    "sync": (WHOLE,),
    "naive": (WHOLE, FROM_OBSERVATION),
    "naive_arrival": (WHOLE, FROM_ARRIVAL),
    "ensemble": (WHOLE, FROM_OBSERVATION),
    "vlash": (WHOLE, FROM_ARRIVAL),
    "rtc": (WHOLE, CHUNKED),
    "tt_rtc": (WHOLE, CHUNKED),
    "bid": (WHOLE, CHUNKED),
}


def check_schedule(strategy: str, horizon: int, s: int, delay: int) -> None:
    """Checks that the schedule of a strategy is feasible.

    Args:
        strategy: Name of the strategy.
        horizon: H in ticks.
        s: Execution horizon in ticks.
        delay: d, planned delay in ticks.

    Raises: ConfigError, if a condition does not hold, with the numbers and what to change.
    """
    if delay < 0:
        raise ConfigError(f"{strategy}: the delay d is {delay} ticks; give 0 or more")
    for need in SCHEDULES.get(strategy, (WHOLE,)):
        if not need.holds(horizon, s, delay):
            raise ConfigError(
                f"{strategy} needs {need.words}, and H = {horizon}, s = {s}, d = {delay}: {need.why}; {need.remedy}"
            )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Two techniques that cannot be combined.

    Attributes:
        pair: Names of both.
        why: Reason.
        remedy: What to change.
    """

    pair: frozenset[str]
    why: str
    remedy: str


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        frozenset({"rolling", "prefix"}),
        "both make up for the delay: the policy would see the state at t_obs + d with a prefix from t_obs",
        "keep one of the two",
    ),
    Refusal(
        frozenset({"guidance", "prefix"}),
        "both hold the plan to the rows that will run anyway",
        "keep one of the two",
    ),
    Refusal(
        frozenset({"ensembling", "rolling"}),
        "a chunk that starts from the rolled state has no rows before it to average with",
        "use ensemble, or vlash, alone",
    ),
    Refusal(
        frozenset({"ensembling", "guidance"}),
        "the mean undoes the agreement that guidance pays for",
        "use ensemble, or rtc, alone",
    ),
    Refusal(
        frozenset({"ensembling", "prefix"}),
        "the mean changes the rows that the prefix was promised",
        "use ensemble, or tt_rtc, alone",
    ),
    Refusal(
        frozenset({"ensembling", "selection"}),
        "the mean of the chunk that was chosen and one that was not is neither",
        "use ensemble, or bid, alone",
    ),
    *(
        Refusal(
            frozenset({"speed-up", technique}),
            "rows sent are groups of policy rows, and it compares rows one by one",
            "set q = 1, or leave it out",
        )
        for technique in ("guidance", "prefix", "selection", "correction")
    ),
)

TECHNIQUES: Mapping[str, str] = {  # the technique that each strategy uses
    "ensemble": "ensembling",
    "vlash": "rolling",
    "rtc": "guidance",
    "tt_rtc": "prefix",
    "bid": "selection",
    "a2c2": "correction",
}


def check_techniques(techniques: Collection[str]) -> None:
    """Checks that `techniques` can be combined.

    Raises: ConfigError, if two of them cannot.
    """
    for refusal in REFUSALS:
        if refusal.pair <= set(techniques):
            first, second = sorted(refusal.pair)
            raise ConfigError(f"{first} does not go with {second}: {refusal.why}; {refusal.remedy}")


def tables() -> dict[str, str]:
    """Both tables in Markdown, for docs/design.md."""
    schedules = ["| strategy | needs | because | else |", "|---|---|---|---|"]
    for strategy, needs in SCHEDULES.items():
        schedules += [f"| `{strategy}` | `{need.words}` | {need.why} | {need.remedy} |" for need in needs]
    refusals = ["| technique | with | because | else |", "|---|---|---|---|"]
    for refusal in REFUSALS:
        first, second = sorted(refusal.pair)
        refusals.append(f"| {first} | {second} | {refusal.why} | {refusal.remedy} |")
    return {"schedules": "\n".join(schedules), "refusals": "\n".join(refusals)}

"""Results of a training: its options, and what was measured while it went on.

The options are in `config.yaml`, the measurements in `training.jsonl`, one line each; the last line of a training that
was killed may be cut off.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from rollahead.errors import ConfigError
from rollahead.runtime.recording.run_folder import CONFIG

LOG = "training.jsonl"
AIMS = ("offsets", "delay_input", "prefixes")  # options by which a policy is trained for a delay


@dataclass(frozen=True, slots=True)
class Look:
    """Measurements after a number of steps.

    Attributes:
        step: Number of training steps so far.
        cold_error: Error of a cold step, see `Trainer.cold_error`; None if it is not known.
        success: Success in play, in percent; None if it is not known.
        time_s: Wall-clock time in seconds.
    """

    step: int
    cold_error: float | None
    success: float | None
    time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """Results of one training run.

    Attributes:
        run: Name of the run.
        policy: Options of the policy.
        task: Name of the task; None without one.
        aims: Options by which it was trained for a delay.
        dataset: Name of the data set; None for demonstrations of the task.
        demonstrations: Number of demonstrations.
        steps: Number of training steps.
        batch: Examples per step.
        played: Episodes played at each measurement.
        looks: The measurements.
        minutes: Duration; None if it is not known.
        weights: Number of weights; None if it is not known.
    """

    run: str
    policy: Mapping[str, Any]
    task: str | None
    aims: Mapping[str, Any]
    dataset: str | None
    demonstrations: int
    steps: int
    batch: int
    played: int
    looks: tuple[Look, ...]
    minutes: float | None
    weights: int | None

    @property
    def source(self) -> str:
        """Text that says what was learned from."""
        return f"{self.demonstrations:,} demonstrations" if self.dataset is None else f"data set {self.dataset}"


def read_training(run: Path, summary: Mapping[str, Any]) -> TrainingResult:
    """Reads the results of the training run in `run`. Raises ConfigError if a file is missing or damaged."""
    path, looks, known = run / CONFIG, _looks(run / LOG), summary.get("training") or {}
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(path))
        return TrainingResult(
            run=run.resolve().name,
            policy=config["policy"],
            task=config["task"]["name"] if config.get("task") else None,
            aims={name: config[name] for name in AIMS},
            dataset=config["dataset"],
            demonstrations=config["demonstrations"]["count"],
            steps=config["training"]["steps"],
            batch=config["training"]["batch"],
            played=config["watch"]["episodes"],
            looks=looks,
            minutes=known.get("minutes", _minutes(looks)),
            weights=known.get("weights"),
        )
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, f"no {error}") from error


def names(trainings: Sequence[TrainingResult]) -> list[str]:
    """Name of each training: its policy, in a sweep with the number of its run."""
    return [str(one.policy["name"]) if len(trainings) == 1 else f"{one.run} {one.policy['name']}" for one in trainings]


def in_words(training: TrainingResult) -> str:
    """Sentence about the length of a training and the measurements at its end."""
    weights = [] if training.weights is None else [f"{_count(training.weights)} weights"]
    minutes = [] if training.minutes is None else [_minutes_words(training.minutes)]
    steps = f"{training.steps:,} steps of {training.batch} examples"
    return f"{', '.join([*weights, steps, *minutes])}{_at_the_end(training)}."


def _at_the_end(training: TrainingResult) -> str:
    if not training.looks:
        return ""
    last = training.looks[-1]
    error = [] if last.cold_error is None else [f"the error of a cold step is {last.cold_error:.3f}"]
    play = [] if last.success is None else [f"{last.success:.0f} % of {training.played} episodes succeed without delay"]
    return f"; at the end {', and '.join([*error, *play])}" if error or play else ""


def _minutes_words(minutes: float) -> str:
    return "less than a minute" if minutes < 0.95 else f"about {minutes:.0f} minute{'' if minutes < 1.5 else 's'}"


def _count(weights: int) -> str:
    return f"{weights / 1e6:.1f} M" if weights >= 1e5 else f"{weights:,}"


def _minutes(looks: Sequence[Look]) -> float | None:
    """Duration of all steps at the median pace between two measurements.

    So a night between two of them, before the training was resumed, does not count.
    """
    paces = [(b.time_s - a.time_s) / (b.step - a.step) for a, b in pairwise(looks) if b.step > a.step]
    return median(paces) * looks[-1].step / 60.0 if paces else None


def _looks(path: Path) -> tuple[Look, ...]:
    """Measurements of all whole lines of the log."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    found = []
    for i, line in enumerate(lines):
        try:
            seen = json.loads(line)
            found.append(Look(seen["step"], seen.get("cold_error"), seen.get("success"), seen["time"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if i < len(lines) - 1:
                raise _damaged(path, f"line {i + 1}, {error}") from error
    return tuple(found)


def _damaged(path: Path, reason: object) -> ConfigError:
    words = str(reason).strip().splitlines()[0]
    return ConfigError(f"{path} cannot be read ({words}); make the run again, under another name")

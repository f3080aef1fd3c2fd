"""Names of a policy's dimensions, and its rate, from the first source that has them.

    1. the checkpoint's own card                 rollahead.json
    2. the data set that it was trained on       as given, or as train_config.json beside the weights names it
    3. the robot                                 assumed, with a note: the order of dimensions, and the rate

Threads: setup only.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.card import CARD, Card
from rollahead.policies.checkpoints.hub import INFO, described_folder
from rollahead.policies.checkpoints.train_config import TRAIN_CONFIG, TrainedOn, trained_on
from rollahead.policies.data.schema import dimension_names
from rollahead.policies.lerobot import features as known
from rollahead.policies.lerobot.features import Features
from rollahead.runtime.types.spec import RobotSpec, names_of

PARTS: Mapping[str, str] = {part: feature for feature, part in known.PARTS.items()}
REMEDY = "give the folder of the data set that it was trained on (planner.dataset=...), or drive a robot of these sizes"
NOTHING: Mapping[str, str] = {}


def named(
    folder: Path,
    features: Features,
    card: Card | None,
    dataset: str | Path | None,
    robot: RobotSpec | None,
    *,
    trust_order: bool = False,
    rename: Mapping[str, str] = NOTHING,
) -> tuple[Card, tuple[str, ...]]:
    """The card of a checkpoint, or one made from its data set and the robot, and lines about what was assumed.

    Args:
        folder: Folder of the checkpoint.
        features: Inputs and outputs of the policy.
        card: The checkpoint's own card, None if it has none.
        dataset: Data set that it was trained on, a folder or an id on the Hub; None for the one in train_config.json.
        robot: The robot to drive.
        trust_order: Whether the robot may give names and rate that no file has.
        rename: The policy's names of features, by the data set's.

    Raises: ConfigError, if a number of names differs from the policy's, no source has the names or the rate, only the
    robot has them and `trust_order` is false, or the data set cannot be read, whether it is needed or not.
    """
    recorded = _Recorded() if dataset is None else _of_dataset(described_folder(dataset), rename)
    if card is not None:
        for part in PARTS:
            _check_size(f"{folder / CARD}", part, getattr(card, part), getattr(features, part), "mend it")
        return card, ()
    trained = trained_on(folder) if dataset is None else TrainedOn()
    if trained.folder is not None:
        recorded = _of_dataset(trained.folder, rename)
    joined = _joined(folder, features, recorded, robot)
    rate_hz = joined.rate_hz if recorded.rate_hz is None else None
    assumed = _assumed(joined, recorded)
    unordered = [part for part, names in assumed.items() if len(names) > 1]
    if not trust_order and (rate_hz is not None or unordered):
        raise ConfigError(_untrusted(folder, unordered, rate_hz, trained))
    notes = [f"names and rate are those of {recorded.who}, which {TRAIN_CONFIG} names"] if trained.folder else []
    return joined, (*notes, *_lines(folder, assumed, rate_hz))


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Names and rate of a data set.

    `who`: the data set, for messages; `names`: by feature, where the data set has them.
    """

    who: str = ""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rate_hz: float | None = None


def _joined(folder: Path, features: Features, recorded: _Recorded, robot: RobotSpec | None) -> Card:
    """A card with the names and the rate of the data set, and the robot's where the data set has none."""
    rate_hz = recorded.rate_hz if recorded.rate_hz is not None else (robot.rate_hz if robot is not None else None)
    if rate_hz is None:
        raise ConfigError(f"nothing says at what rate {folder} was trained; {REMEDY}")
    state, environment, action = (_pick(folder, part, features, recorded, robot) for part in PARTS)
    return Card(state, action, rate_hz, environment)


def _pick(folder: Path, part: str, features: Features, recorded: _Recorded, robot: RobotSpec | None) -> tuple[str, ...]:
    size = getattr(features, part)
    if not size:
        return ()
    if PARTS[part] in recorded.names:
        return _check_size(recorded.who, part, recorded.names[PARTS[part]], size)
    if robot is not None:
        return _check_size("the robot", part, names_of(getattr(robot, part)), size)
    raise ConfigError(f"nothing names the {size} numbers of {part} that {folder} has; {REMEDY}")


def _check_size(who: str, part: str, names: tuple[str, ...], size: int, remedy: str = REMEDY) -> tuple[str, ...]:
    if len(names) != size:
        raise ConfigError(
            f"{who} has {len(names)} names of {part} ({', '.join(names) or 'none'}), and the policy {size}; {remedy}"
        )
    return names


# ---- assumptions ----------------------------------------------------------------------------------------------------


def _assumed(card: Card, recorded: _Recorded) -> dict[str, tuple[str, ...]]:
    """The robot's names, in its order, for each part whose names no file has."""
    return {part: names for part in PARTS if (names := getattr(card, part)) and PARTS[part] not in recorded.names}


def _lines(folder: Path, assumed: Mapping[str, Sequence[str]], rate_hz: float | None) -> list[str]:
    """A line for each assumption about the checkpoint in `folder`.

    `rate_hz`: the robot's rate, None if a file has the rate.
    """
    lines = [
        f"assumed: the {part} of {folder} is in the robot's order, {', '.join(names)}; no file names it"
        for part, names in assumed.items()
    ]
    if rate_hz is not None:
        lines.append(f"assumed: {folder} was trained at the robot's rate, {rate_hz:g} Hz; no file gives one")
    return lines


def _untrusted(folder: Path, unordered: Sequence[str], rate_hz: float | None, trained: TrainedOn) -> str:
    """The error for a checkpoint if no file has the order of the parts `unordered`, or the rate."""
    *some, last = unordered or [""]
    parts = f"{', '.join(some)}{' and ' if some else ''}{last}"
    unknown = {f"in which order {folder} has its {parts}": "order"} if unordered else {}
    if rate_hz is not None:
        unknown[f"at what rate {'it' if unordered else folder} was trained"] = f"rate ({rate_hz:g} Hz)"
    remote = trained.repo if trained.folder is None else None
    dataset = f" ({TRAIN_CONFIG} names {remote}, which is not on this machine)" if remote else ""
    return (
        f"no file says {', nor '.join(unknown)}{dataset}; give the data set that it was trained on "
        f"(planner.dataset={remote or '...'}), or, if the robot has the same {' and '.join(unknown.values())}, "
        "planner.trust_order=true"
    )


# ---- data sets ------------------------------------------------------------------------------------------------------


def _of_dataset(folder: Path, rename: Mapping[str, str]) -> _Recorded:
    path = folder / INFO
    try:
        info: Mapping[str, Any] = json.loads(path.read_text())
        features, rate_hz = {rename.get(key, key): each for key, each in info["features"].items()}, float(info["fps"])
        dims = {key: dimension_names(features[key]) for key in PARTS.values() if key in features}
        if not 0 < rate_hz < math.inf:
            raise ValueError(f"fps is {info['fps']}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error!r}); give the folder of a LeRobotDataset") from error
    return _Recorded(f"data set {folder}", {key: names for key, names in dims.items() if names}, rate_hz)

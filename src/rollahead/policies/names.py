"""Names of a policy's dimensions, of whoever knows them: its card, the data set it was trained on, or the robot."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError
from rollahead.policies import features as known
from rollahead.policies.card import CARD, Card
from rollahead.policies.features import Features
from rollahead.policies.schema import told_names
from rollahead.runtime.spec import RobotSpec, names_of

PARTS: Mapping[str, str] = {part: feature for feature, part in known.PARTS.items()}
REMEDY = "give the folder of the data set that it was trained on (planner.dataset=...), or drive a robot of these sizes"


def named(
    folder: Path, features: Features, card: Card | None, dataset: str | Path | None, robot: RobotSpec | None
) -> Card:
    """The card of the checkpoint in `folder`, or, if it has none, one made of what `dataset` and `robot` say.

    Raises: ConfigError, if a number of names is not the policy's, nobody gives the names or the rate, or the data set
    cannot be read, whether it is needed or not.
    """
    said = _Said(f"data set {dataset}", {}, None) if dataset is None else _of_dataset(Path(dataset))
    if card is not None:
        for part in PARTS:
            _check_size(f"{folder / CARD}", part, getattr(card, part), getattr(features, part), "mend it")
        return card
    rate_hz = said.rate_hz if said.rate_hz is not None else (robot.rate_hz if robot is not None else None)
    if rate_hz is None:
        raise ConfigError(f"nothing says at what rate {folder} was trained; {REMEDY}")
    state, environment, action = (_pick(folder, part, features, said, robot) for part in PARTS)
    return Card(state, action, rate_hz, environment)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a data set says. names: by feature, of those that it names."""

    who: str
    names: Mapping[str, tuple[str, ...]]
    rate_hz: float | None


def _pick(folder: Path, part: str, features: Features, said: _Said, robot: RobotSpec | None) -> tuple[str, ...]:
    size = getattr(features, part)
    if not size:
        return ()
    if PARTS[part] in said.names:
        return _check_size(said.who, part, said.names[PARTS[part]], size)
    if robot is not None:
        return _check_size("the robot", part, names_of(getattr(robot, part)), size)
    raise ConfigError(f"nothing names the {size} numbers of {part} that {folder} has; {REMEDY}")


def _check_size(who: str, part: str, names: tuple[str, ...], size: int, remedy: str = REMEDY) -> tuple[str, ...]:
    if len(names) != size:
        raise ConfigError(
            f"{who} has {len(names)} names of {part} ({', '.join(names) or 'none'}), and the policy {size}; {remedy}"
        )
    return names


def _of_dataset(folder: Path) -> _Said:
    path = folder / "meta" / "info.json"
    try:
        info: Mapping[str, Any] = json.loads(path.read_text())
        features, rate_hz = info["features"], float(info["fps"])
        found = {key: told_names(features[key]) for key in PARTS.values() if key in features}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be read ({error!r}); give the folder of a LeRobotDataset") from error
    return _Said(f"data set {folder}", {key: names for key, names in found.items() if names}, rate_hz)

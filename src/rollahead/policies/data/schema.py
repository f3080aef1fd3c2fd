"""Schemas: the columns of a LeRobotDataset that are read, and the names of their dimensions and cameras."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError, unknown_name
from rollahead.policies.data.stored import damaged
from rollahead.policies.lerobot.features import ACTION, PARTS, STATE, camera_name

Features = Mapping[str, Mapping[str, Any]]  # the features in LeRobot's info.json
COLOURS = 4  # the most colour channels of an image


@dataclass(frozen=True, slots=True)
class Schema:
    """The parts of a data set that are read.

    Attributes:
        columns: Column of the state, the action and, if there is one, the environment.
        names: Names of the dimensions of each, empty where there is no column.
        cameras: Column, or feature of the videos, of each camera.
        sizes: (height, width) of each camera's images.
    """

    columns: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]
    cameras: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int]]


def read_schema(
    folder: Path, features: Features, rename: Mapping[str, str], cameras: Sequence[str] | None = None
) -> Schema:
    """The schema of the data set in `folder`.

    Args:
        folder: Root of the data set.
        features: The features in its info.json.
        rename: New names of columns, dimensions or cameras, by those in the data set.
        cameras: Cameras to keep, by their new names; None for all.

    Raises: ConfigError, if state or action is missing, one of them is not a vector, a name in `rename` or `cameras` is
    unknown, or info.json is damaged.
    """
    try:
        return _read(folder, features, rename, cameras)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise damaged(folder, f"no {error}" if isinstance(error, KeyError) else str(error)) from error


def _read(folder: Path, features: Features, rename: Mapping[str, str], cameras: Sequence[str] | None) -> Schema:
    columns = _columns(folder, features, rename)
    names = {feature: _names(folder, feature, column, features[column]) for feature, column in columns.items()}
    seen = {camera_name(key): key for key in features if features[key]["dtype"] in ("image", "video")}
    _check_known(folder, rename, [*features, *seen, *(name for each in names.values() for name in each)])
    kept = _kept(folder, dict(zip(_renamed(folder, "cameras", seen, rename), seen.values(), strict=True)), cameras)
    return Schema(
        columns=columns,
        names={feature: _renamed(folder, feature, names.get(feature, ()), rename) for feature in PARTS},
        cameras=kept,
        sizes={camera: _size(features[key]["shape"]) for camera, key in kept.items()},
    )


def dimension_names(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a feature's dimensions, empty if it has none.

    LeRobot stores a list of names, lists of names by title or group, or an index by name. Raises: ValueError, if
    `feature` has none of these forms.
    """
    return _flat(feature.get("names") or ())


def _flat(names: Any) -> tuple[str, ...]:
    if isinstance(names, Mapping):
        if all(isinstance(place, int) for place in names.values()):
            return _flat(sorted(names, key=names.__getitem__))
        return tuple(name for group in names.values() for name in _flat(group))
    if not (isinstance(names, list | tuple) and all(isinstance(name, str | int) for name in names)):
        raise ValueError(f"{names!r} is neither a list of names, nor lists by group, nor an index by name")
    return tuple(map(str, names))


def _columns(folder: Path, features: Features, rename: Mapping[str, str]) -> dict[str, str]:
    renamed = {rename.get(key, key): key for key in features}
    for feature in (STATE, ACTION):
        if feature not in renamed:
            raise ConfigError(
                f"data set {folder} has no {feature}, only {', '.join(features)}; if one of these is it, rename it, as "
                f"in rename={{'its name': {feature!r}}}"
            )
    return {feature: renamed[feature] for feature in PARTS if feature in renamed}


def _names(folder: Path, feature: str, column: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a feature's dimensions; state_0, state_1, ... if the data set has none."""
    shape = entry["shape"]
    if len(shape) != 1:
        raise ConfigError(
            f"data set {folder} has {column} of shape {tuple(shape)}, and a vector is needed; write it as one of "
            f"{math.prod(shape)} numbers"
        )
    names = dimension_names(entry) or tuple(f"{PARTS[feature]}_{i}" for i in range(shape[0]))
    if len(names) != shape[0]:
        raise ValueError(f"{column} has shape {tuple(shape)}, and {len(names)} names")
    return names


def _size(shape: Sequence[int]) -> tuple[int, int]:
    """(height, width) of images whose shape is (height, width, C) or (C, height, width)."""
    if len(shape) != 3:
        raise ValueError(f"images have shape {tuple(shape)}")
    height, width = shape[:2] if shape[2] <= COLOURS else shape[1:]
    return height, width


def _kept(folder: Path, seen: dict[str, str], cameras: Sequence[str] | None) -> dict[str, str]:
    for name in cameras or ():
        if name not in seen:
            raise unknown_name(f"camera in data set {folder}:", name, seen)
    return seen if cameras is None else {name: seen[name] for name in cameras}


def _check_known(folder: Path, rename: Mapping[str, str], known: Sequence[str]) -> None:
    for name in rename:
        if name not in known:
            raise unknown_name(f"name to change in data set {folder}:", name, known)


def _renamed(folder: Path, what: str, names: Iterable[str], rename: Mapping[str, str]) -> tuple[str, ...]:
    after = tuple(rename.get(name, name) for name in names)
    if twice := sorted({name for name in after if after.count(name) > 1}):
        raise ConfigError(
            f"data set {folder} has {', '.join(twice)} twice in {what}; names must be unique: change rename"
        )
    return after

"""Schemas: which columns of a LeRobotDataset are read, and what their dimensions and cameras are called."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError, unknown_name
from rollahead.policies.data.stored import damaged
from rollahead.policies.lerobot.features import ACTION, PARTS, STATE, camera_name

Features = Mapping[str, Mapping[str, Any]]  # as in LeRobot's info.json
COLOURS = 4  # the most that an image has


@dataclass(frozen=True, slots=True)
class Schema:
    """columns: of state, action and, if there is one, environment the column; names: of their dimensions, none where
    there is no column; cameras: of each the column, or what its videos are called; sizes: of each (height, width) of
    its images."""

    columns: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]
    cameras: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int]]


def read_schema(
    folder: Path, features: Features, rename: Mapping[str, str], cameras: Sequence[str] | None = None
) -> Schema:
    """The schema of the data set in `folder`. rename: what is to be called otherwise: columns, dimensions, cameras;
    cameras: which to keep, as they are called then; None for all.

    Raises: ConfigError, if it has no state or action, one that is no vector, not what is named here, or is damaged.
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


def told_names(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a feature's dimensions, none if it does not say them. LeRobot has a list, lists by title or group,
    or a place by each name. Raises: ValueError, if they are none of these."""
    return _flat(feature.get("names") or ())


def _flat(names: Any) -> tuple[str, ...]:
    if isinstance(names, Mapping):
        if all(isinstance(place, int) for place in names.values()):
            return _flat(sorted(names, key=names.__getitem__))
        return tuple(name for group in names.values() for name in _flat(group))
    if not (isinstance(names, list | tuple) and all(isinstance(name, str | int) for name in names)):
        raise ValueError(f"{names!r} is no list of names, no lists by group, and no place by each name")
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
    """Of a feature's dimensions; state_0, state_1, ... if it says none."""
    shape = entry["shape"]
    if len(shape) != 1:
        raise ConfigError(
            f"data set {folder} has {column} of shape {tuple(shape)}, and a vector is needed; write it as one of "
            f"{math.prod(shape)} numbers"
        )
    names = told_names(entry) or tuple(f"{PARTS[feature]}_{i}" for i in range(shape[0]))
    if len(names) != shape[0]:
        raise ValueError(f"{column} has shape {tuple(shape)}, and {len(names)} names")
    return names


def _size(shape: Sequence[int]) -> tuple[int, int]:
    """(height, width) of images (height, width, C) or (C, height, width)."""
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
            f"data set {folder} has {', '.join(twice)} twice in {what}; every name must be its own: change rename"
        )
    return after

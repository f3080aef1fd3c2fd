"""The files of a LeRobotDataset (v3.0), read and checked.

meta/info.json                        version, rate, features
meta/stats.json                       statistics of each feature
meta/episodes/chunk-000/*.parquet     a row per episode
data/chunk-000/*.parquet              a row per frame
"""

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rollahead.errors import ConfigError, one_line
from rollahead.policies.data.frames import Floats, Stats
from rollahead.runtime.types.arrays import FloatArray

VERSION = "v3.0"
CONVERTED = "v2.1"  # the version that LeRobot converts
CONVERTER = "lerobot.scripts.convert_dataset_v21_to_v30"  # its --root is the folder itself
OLD_CONVERTER = "lerobot.datasets.v30.convert_dataset_v21_to_v30"  # before LeRobot 0.5; its --root is the parent folder
FETCHED = re.compile(r"datasets--(.+)--(.+)/snapshots/[^/]+$")  # where huggingface_hub keeps a data set
INDICES = ["index", "episode_index"]


def read_info(folder: Path) -> Mapping[str, Any]:
    """The contents of info.json. Raises: ConfigError, if `folder` is not a data set, or one of another version."""
    path = folder / "meta/info.json"
    if not path.is_file():
        raise ConfigError(
            f"there is no data set at {folder} (no meta/info.json in it); give the root of a LeRobotDataset, or record "
            "one"
        )
    info = _read_json(path)
    version = info.get("codebase_version")
    if version != VERSION:
        raise ConfigError(
            f"data set {folder} is of LeRobot's format {version}, and {VERSION} is read; {_converted(folder, version)}"
        )
    if missing := [key for key in ("features", "fps", "total_frames") if key not in info]:
        raise ConfigError(f"{path} has no {', '.join(missing)}; record the data set again, or copy it whole")
    features, fps = info["features"], info["fps"]
    if not isinstance(features, Mapping):
        raise damaged(folder, f"features is {features!r}")
    if type(fps) not in (int, float) or not 0 < fps < math.inf:
        raise damaged(folder, f"fps is {fps!r}")
    return info


def damaged(folder: Path, reason: str) -> ConfigError:
    """The error for an info.json whose contents are impossible."""
    return ConfigError(
        f"meta/info.json of data set {folder} is damaged ({reason}); copy the data set again, or record it again"
    )


def _converted(folder: Path, version: str | None) -> str:
    """The command that converts a data set of an older format, as part of a sentence."""
    if version != CONVERTED:
        return f"convert it to {CONVERTED} with the LeRobot of its time, and then from there"
    place = folder.resolve()
    if match := FETCHED.search(place.as_posix()):
        name = "/".join(match.groups())
        return f"convert a copy in LeRobot's own folder with {_command(f'--repo-id={name}')}, and give dataset={name}"
    root = place.parent if _converter() == OLD_CONVERTER else place
    command = _command(f"--repo-id={place.name}", f"--root={root}")
    return f"convert it in place, which keeps the old one as {place.name}_old, with {command}"


def _command(*options: str) -> str:
    """The command line of LeRobot's converter. Without --push-to-hub=false it would upload the result."""
    return shlex.join(["python", "-m", _converter(), *options, "--push-to-hub=false"])


def _converter() -> str:
    """The module of the installed LeRobot's converter. It moved between versions."""
    return OLD_CONVERTER if _found(OLD_CONVERTER) else CONVERTER


def _found(module: str) -> bool:
    """Whether the installed LeRobot has `module`."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def read_table(folder: Path, frames: int, columns: Sequence[str]) -> pa.Table:
    """The `columns` and `INDICES` of all frames, a row per frame, in order. `frames`: the expected number of frames.

    Raises: ConfigError, if the data set is incomplete.
    """
    recorded = sum(
        sum(_read_parquet(folder, path, ["length"])["length"].to_pylist())
        for path in sorted(folder.glob("meta/episodes/*/*.parquet"))
    )
    paths = sorted(folder.glob("data/*/*.parquet"))
    tables = [_read_parquet(folder, path, [*columns, *INDICES]) for path in paths]
    stored = sum(table.num_rows for table in tables)
    if not stored == recorded == frames:
        raise ConfigError(
            f"data set {folder} says it has {frames} frames, its episodes {recorded} and its files {stored}; it was "
            "not finalised, or not copied whole"
        )
    if not frames:
        raise ConfigError(f"data set {folder} has no frames; record some")
    return pa.concat_tables(tables).sort_by("index")


def _read_parquet(folder: Path, path: Path, columns: list[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if not missing:
                return file.read(columns=columns).select(columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(
            f"data set {folder} was not finalised, or not copied whole ({path.relative_to(folder)} cannot be read); "
            "call finalize() after the last save_episode(), and record it again"
        ) from error
    raise ConfigError(
        f"data set {folder} has no {', '.join(missing)} in {path.relative_to(folder)}, and its info.json says so; "
        "record it again"
    )


def vectors_of(folder: Path, table: pa.Table, column: str, dims: int) -> Floats:
    """The vectors in `column`, (N, dims). Raises: ConfigError, if a row does not have `dims` numbers."""
    values = table[column].combine_chunks()
    flat = values.flatten() if pa.types.is_nested(values.type) else values
    if len(flat) != table.num_rows * dims:
        raise ConfigError(
            f"data set {folder} has {len(flat)} numbers of {column} in {table.num_rows} frames, and {dims} names of "
            "dimensions; record it again, with a name for each"
        )
    return flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, dims)


def bounds_of(table: pa.Table) -> NDArray[np.intp]:
    """The bounds of the episodes, (M + 1,): episode k is the frames `[bounds[k], bounds[k + 1])`."""
    episode = table["episode_index"].to_numpy()
    return np.concatenate([[0], np.flatnonzero(np.diff(episode)) + 1, [len(episode)]]).astype(np.intp)


def read_stats(folder: Path, features: Mapping[str, str]) -> Stats:
    """The statistics of `features`, each given with its name in the data set.

    Raises: ConfigError, if the statistics of a feature are missing.
    """
    path = folder / "meta/stats.json"
    stored = _read_json(path) if path.is_file() else {}
    if missing := [name for name in features.values() if name not in stored]:
        raise ConfigError(
            f"data set {folder} has no statistics of {', '.join(missing)} in meta/stats.json, and a policy's numbers "
            "are normalised by them; copy the data set whole, or record it again"
        )
    return {feature: _figures(folder, name, stored[name]) for feature, name in features.items()}


def _figures(folder: Path, name: str, stored: Any) -> dict[str, FloatArray]:
    try:
        return {figure: np.asarray(value, np.float64) for figure, value in stored.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"data set {folder} has statistics of {name} in meta/stats.json that are not numbers ({one_line(error)}); "
            "let LeRobot recompute them, or record it again"
        ) from error


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({one_line(error)}); copy the data set again") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} is not a JSON object; copy the data set again")
    return content

"""The folder that a run leaves: `runs/<name>/` with its configuration, figures and records."""

import errno
import json
import math
import os
import platform
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError, ControlError

# Files in the folder of a run; not every command leaves all of them.
CONFIG = "config.yaml"
SUMMARY = "summary.json"  # figures, with machine, versions, seed and date; written last
EPISODES = "episodes.parquet"
TICKS = "ticks.parquet"
INFERENCES = "inferences.parquet"
REPORT = "report.html"  # made from the others
PACKAGES = ("rollahead", "numpy", "mujoco", "hydra-core", "pyarrow", "torch", "lerobot")

TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)  # error numbers: no more files can be opened
MORE_FILES = "let it open more, with ulimit -n 1024"


class RunFolder:
    """The folder of a run at `path`; nothing is ever written over another run."""

    def __init__(self, path: Path) -> None:
        """Makes a new folder. Raises ConfigError if it exists, ControlError if it cannot be made."""
        self.path = path
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            raise ConfigError(f"the run folder {path} exists already; give another name=..., or remove it") from error
        except OSError as error:
            raise ControlError(
                f"the run folder {path} cannot be made ({error.strerror}); give another runs=..."
            ) from error

    @classmethod
    def again(cls, path: Path) -> "RunFolder":
        """Opens the folder of an earlier run. Raises ConfigError if there is none."""
        if not (path / CONFIG).exists():
            raise ConfigError(
                f"{path} is not the folder of a run: it has no {CONFIG}; give one that a command has left"
            )
        folder = cls.__new__(cls)
        folder.path = path
        return folder

    def write_text(self, name: str, text: str) -> Path:
        """Writes a file, whole or not at all, and returns its path.

        Raises ControlError if the disk does not take it.
        """
        path = self.path / name
        with written_whole(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
        return path

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Writes `content` as JSON, with null for numbers that are not finite, and returns the path."""
        return self.write_text(name, json.dumps(finite(content), indent=1, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """Copy of `value` with None for every number in it that is NaN or infinite, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def damaged(path: Path, reason: object) -> ConfigError:
    """Error for a file of a run that does not hold what it should; `reason` is why."""
    words = next(iter(str(reason).strip().splitlines()), type(reason).__name__)
    return ConfigError(f"{path} cannot be read ({words}); make the run again, under another name")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to, which becomes `path` at the end; after an error it is removed.

    Raises ControlError if the disk does not take it.
    """
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        yield unfinished
        with unfinished.open(
            "rb"
        ) as file:  # otherwise a power failure may leave a file of that name without its content
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> ControlError:
    """Error for a file that the disk does not take, or the system does not open."""
    remedy = MORE_FILES if error.errno in TOO_MANY_FILES else "free some space, or give another runs=..."
    return ControlError(f"{path.name} could not be written to {path.parent} ({error.strerror or error}); {remedy}")


def open_files() -> int:
    """Number of files that this program may have open at once."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def provenance(seed: int) -> dict[str, Any]:
    """Machine, versions, seed and date of a run, which a figure needs to be judged."""
    return {
        "machine": machine(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))}
        | {"python": platform.python_version()},
        "seed": seed,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def machine() -> str:
    """Processor, number of cores and system as one text: 'AMD EPYC, 2 cores, Linux 6.1'."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.release().split('-')[0]}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

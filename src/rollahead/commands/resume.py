"""Resuming of runs and sweeps: the folder that was begun with the same options is found and used again."""

import hashlib
import json
import os
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from rollahead import __version__
from rollahead.commands.app import console, in_sweep, run_folder, run_path
from rollahead.commands.literal import to_yaml
from rollahead.errors import ConfigError
from rollahead.runtime.recording.run_folder import CONFIG, RunFolder, damaged

ASIDE = ("name", "runs", "resume", "workers")  # options that do not change the results
INPUTS = "inputs.json"  # file of the version and the digests of all that the run reads beside its configuration

_FOUND: dict[Path, dict[str, Path]] = {}  # folder of each run, by options, for each sweep resumed by this process
_HELD: dict[Path, int] = {}  # locked file descriptor of each folder that this process uses, which keeps others out


def folder_of(config: DictConfig, *, resume: bool) -> RunFolder:
    """The folder of this run, locked against other processes until this one ends.

    It is a new folder, or, with `resume`, the folder in which the run was begun, if there is one.

    Raises: ConfigError, if the run of that name was begun with other options, or the files that they name have changed,
    or another process plays it.
    """
    path = run_path(config)
    folder = None if resume and path.exists() else run_folder(config)
    _hold(path)
    folder = folder or (_of_sweep(path, config) if in_sweep() else _of_run(path, config))
    _same_inputs(folder, config)
    return folder


def _hold(path: Path) -> None:
    whole = path.resolve()
    if whole in _HELD:
        return
    held = os.open(path, os.O_RDONLY)
    try:
        flock(held, LOCK_EX | LOCK_NB)
    except BlockingIOError as error:
        os.close(held)
        raise ConfigError(
            f"{path} is being played by another process; wait until it ends, or give another name=..."
        ) from error
    _HELD[whole] = held


def _of_run(path: Path, config: DictConfig) -> RunFolder:
    folder = RunFolder.again(path)
    before, now = _begun(path / CONFIG), _flat(config)
    for key in sorted(before | now):
        if before.get(key) != now.get(key):
            raise ConfigError(
                f"{path} was begun with {key}={before.get(key)}, and {key} is {now.get(key)} now; give it the same, or "
                "another name=..."
            )
    return folder


def _of_sweep(path: Path, config: DictConfig) -> RunFolder:
    """The folder of this run of a sweep, found by its options, so that runs may be added to a sweep in any order."""
    if (path / CONFIG).exists():
        raise ConfigError(f"{path} is the folder of a single run; give a sweep another name=...")
    whole = path.resolve()
    if whole not in _FOUND:
        _FOUND[whole] = _index(path)
    found = _FOUND[whole]
    key = repr(sorted(_flat(config).items()))
    if key in found:
        return RunFolder.again(found[key])
    numbers = [int(run.name) for run in path.iterdir() if run.name.isdigit()]
    folder = RunFolder(path / str(max(numbers, default=-1) + 1))
    folder.write_text(CONFIG, to_yaml(config))
    found[key] = folder.path
    return folder


def _index(path: Path) -> dict[str, Path]:
    """The folders of a sweep's runs, by options; tells the user of those whose configuration cannot be read."""
    found = {}
    for file in (run / CONFIG for run in path.iterdir() if run.name.isdigit() and (run / CONFIG).exists()):
        try:
            found[repr(sorted(_begun(file).items()))] = file.parent
        except ConfigError as error:
            console().print(f"{error}; {file.parent} is left alone", soft_wrap=True)
    return found


def _begun(file: Path) -> dict[str, str]:
    """The options that a run was begun with. Raises: ConfigError, if `file` is damaged."""
    try:
        config = OmegaConf.load(file)
        if not isinstance(config, DictConfig):
            raise damaged(file, "it holds no options")
        return _flat(config)
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise damaged(file, error) from error


def _same_inputs(folder: RunFolder, config: DictConfig) -> None:
    """Writes the digests of a new run's inputs, or compares them with those of a resumed run.

    Raises: ConfigError, if an input has changed.
    """
    now, path = _inputs(config), folder.path / INPUTS
    if not path.exists():
        folder.write_json(INPUTS, now)
        return
    try:
        before = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise damaged(path, error) from error
    for what in sorted(before | now):
        if before.get(what) != now.get(what):
            raise ConfigError(
                f"{folder.path} was begun with {what} {before.get(what)}, and it is {now.get(what)} now; put that "
                "back, or give another name=..."
            )


def _inputs(config: DictConfig) -> dict[str, str]:
    """The version of this package, and a digest of each file or folder that an option names."""
    values: Any = OmegaConf.to_container(config, resolve=True)
    named = [(name, Path(value)) for name, value in _options(values) if isinstance(value, str) and value]
    files = {
        f"the contents of {name}={path}": _digest(path)
        for name, path in named
        if name.rpartition(".")[2] != "name" and (path.is_file() or path.is_dir())
    }
    return {"rollahead": __version__, **files}


def _digest(path: Path) -> str:
    """Digest of a file, or of the files of a folder with their names.

    For a LeRobotDataset it is the digest of its `meta`, since nothing else of it is read.
    """
    root = path / "meta" if (path / "meta").is_dir() else path
    digest = hashlib.sha256()
    try:
        for file in sorted(file for file in (root, *root.rglob("*")) if file.is_file()):
            digest.update(f"{file.relative_to(root)} {file.stat().st_size}\n".encode())
            with file.open("rb") as content:
                while part := content.read(2**20):
                    digest.update(part)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give one that can") from error
    return digest.hexdigest()[:16]


def _flat(config: DictConfig) -> dict[str, str]:
    """The options that change the results, by dotted name, as text."""
    values: Any = OmegaConf.to_container(config, resolve=True)
    return {name: repr(value) for name, value in _options(values)}


def _options(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """The options that change the results, as pairs of dotted name and value."""
    return _items({key: value for key, value in values.items() if key not in ASIDE}, "")


def _items(value: Any, name: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    return [item for key, inner in value.items() for item in _items(inner, f"{name}.{key}" if name else str(key))]

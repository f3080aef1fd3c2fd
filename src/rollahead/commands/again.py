"""Run folders that are gone on with: what was run already, under which options, is found by the options."""

import os
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rollahead.commands.app import in_sweep, run_folder, run_path
from rollahead.errors import ConfigError
from rollahead.runtime.run_folder import CONFIG, RunFolder

ASIDE = ("name", "runs", "resume", "workers")  # options that change nothing of what comes out

_FOUND: dict[Path, dict[str, Path]] = {}  # of each sweep that this process goes on with: options to folder
_HELD: dict[Path, int] = {}  # the folders of runs and sweeps that this process plays: what keeps others out


def folder_of(config: DictConfig, *, resume: bool) -> RunFolder:
    """The folder of this run, which no other process has until this one ends: a new one, or, to `resume`, that in
    which it was begun, if it was.

    Raises: ConfigError, if the run of that name had other options, or is played by another process.
    """
    path = run_path(config)
    folder = None if resume and path.exists() else run_folder(config)
    _hold(path)
    return folder or (_of_sweep(path, config) if in_sweep() else _of_run(path, config))


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
    before, now = (_flat(each) for each in (OmegaConf.load(path / CONFIG), config))
    for key in sorted(before | now):
        if before.get(key) != now.get(key):
            raise ConfigError(
                f"{path} was begun with {key}={before.get(key)}, and {key} is {now.get(key)} now; give it the same, or "
                "another name=..."
            )
    return folder


def _of_sweep(path: Path, config: DictConfig) -> RunFolder:
    """Runs of a sweep are found by their options, so that it may be given more of them, in any order."""
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
    folder.write_text(CONFIG, OmegaConf.to_yaml(config, resolve=True))
    found[key] = folder.path
    return folder


def _index(path: Path) -> dict[str, Path]:
    configs = (run / CONFIG for run in path.iterdir() if run.name.isdigit())
    return {repr(sorted(_flat(OmegaConf.load(file)).items())): file.parent for file in configs if file.exists()}


def _flat(config: Any) -> dict[str, str]:
    """Each option, by its whole name, as text."""
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict), "what a command has written"
    return dict(_items({key: value for key, value in values.items() if key not in ASIDE}, ""))


def _items(value: Any, name: str) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(name, repr(value))]
    return [item for key, inner in value.items() for item in _items(inner, f"{name}.{key}" if name else str(key))]

"""The frame of every command: a Hydra application with a run folder, whose errors are one sentence each."""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from rollahead.commands.config_files import CONFIGS, FOREIGN, Line
from rollahead.commands.help import help_of
from rollahead.commands.literal import taken_literally, to_yaml
from rollahead.commands.mistakes import HELP, SWEEP, check, explain
from rollahead.commands.offered import composed, flatten
from rollahead.errors import ConfigError, ControlError
from rollahead.runtime.config.extensions import load
from rollahead.runtime.recording.run_folder import CONFIG, MORE_FILES, TOO_MANY_FILES, RunFolder, open_files
from rollahead.runtime.types.options import call

Main = Callable[[DictConfig], None]
T = TypeVar("T")

WIDE = 160  # columns of output that does not go to a terminal
OF_ONE = ("guidance", "bid", "ensemble")  # groups of options that only strategies of this package use
FOLDER_OPTIONS = ("name", "runs")
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
WITHOUT_REPORT = ("identify", "recommend", "tune")  # commands whose run folder has no figures of cells


def start(command: str, main: Main, arguments: Sequence[str]) -> int:
    """Runs `main` with the configuration composed from `arguments`, and returns the exit status.

    Errors that the user can mend go to stderr, one sentence each; others are raised. In a sweep, a run that is refused
    does not end the others.
    """
    runs = _Runs(command, main)
    try:
        check(command, arguments)
        if any(argument in HELP for argument in arguments):
            return _help(command, arguments)
        _hand_to_hydra(command, runs, arguments)
        for sweep in runs.sweeps:
            report_on(sweep)
    except ControlError as error:
        return _complain(command, error)
    except (HydraException, OmegaConfBaseException) as error:
        return _complain(command, explain(command, arguments, error))
    except ValueError as error:
        if "Config group override" not in str(error):
            raise
        return _complain(command, explain(command, arguments, error))
    except KeyboardInterrupt:
        return _complain(command, "interrupted")
    return 2 if runs.refused else 0


def _help(command: str, arguments: Sequence[str]) -> int:
    """Prints the help of `command`, including options of other packages' members.

    Raises the error of Hydra, if it cannot compose the configuration.
    """
    _register(arguments)
    others = [argument for argument in arguments if argument not in (*SWEEP, *HELP)]
    config = composed(command, [_removed(one) for one in taken_literally(command, others, sweep=False)])
    names = {kind: flatten(config[kind]) for kind in FOREIGN if isinstance(config.get(kind), DictConfig)}
    foreign = {kind: [_line(config[kind], name) for name in options] for kind, options in names.items()}
    sys.stdout.write(help_of(command, arguments, foreign) or "")
    return 0


def _line(config: DictConfig, name: str) -> Line:
    value = OmegaConf.select(config, name, throw_on_missing=False)
    missing = OmegaConf.is_missing(config, name)
    written = "" if isinstance(value, DictConfig) else "???" if missing else "null" if value is None else str(value)
    return Line(name, written, "")


class _Runs:
    """The function that Hydra calls, once, or for each run of a sweep."""

    def __init__(self, command: str, main: Main) -> None:
        self._command = command
        self._main = main
        self.refused = 0
        self.sweeps: set[Path] = set()

    def __call__(self, config: DictConfig) -> None:
        try:
            self._main(config)
            reports = "runs" in config and self._command not in WITHOUT_REPORT
            if reports and in_sweep():
                self.sweeps.add(run_path(config))
        except (ControlError, OmegaConfBaseException) as error:
            self.refused += 1
            _complain(self._command, error)
        except OSError as error:
            if error.errno not in TOO_MANY_FILES:
                raise
            self.refused += 1
            _complain(self._command, f"this program may open {open_files()} files, which are too few; {MORE_FILES}")


def _hand_to_hydra(command: str, runs: Main, arguments: Sequence[str]) -> None:
    _register(arguments)
    flags = [argument for argument in arguments if argument in SWEEP]  # argparse takes them only before the overrides
    sweep = any(flag in SWEEP for flag in flags)
    others = [_removed(argument) for argument in taken_literally(command, arguments, sweep=sweep)]
    others = [argument for argument in others if argument not in flags]
    with TemporaryDirectory(ignore_cleanup_errors=True) as notes:  # files that Hydra writes in a sweep
        sys.argv = [f"rollahead {command}", *flags, *others, f"hydra.sweep.dir={notes}"]
        hydra.main(version_base="1.3", config_path="pkg://rollahead.configs", config_name=command)(
            lambda config: runs(config)
        )()


def _register(arguments: Sequence[str]) -> None:
    """Registers the resolver `began` and the members of other packages, and turns Hydra's own error messages off."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise exceptions instead of printing them
    began = datetime.now().strftime("%Y%m%d-%H%M%S")
    OmegaConf.register_new_resolver("began", lambda: began, replace=True)
    offer_foreign(arguments)


def _removed(argument: str) -> str:
    """Replaces `group=null`, which Hydra does not accept, by `~group`."""
    name, _, value = argument.partition("=")
    return f"~{name}" if value == "null" and name and "/" not in name and (CONFIGS / name).is_dir() else argument


def console() -> Console:
    """The console that commands print to, as wide as the terminal, or else wide enough for the tables."""
    terminal = sys.stdout is not None and sys.stdout.isatty()  # None if it was closed before Python began
    return Console() if terminal or "COLUMNS" in os.environ else Console(width=WIDE)


def report_on(folder: Path) -> None:
    """Writes the report of a run or a sweep, and prints its path."""
    from rollahead.report.page import write_report

    console().print(f"report: {write_report(folder)}", soft_wrap=True)


def run_folder(config: DictConfig) -> RunFolder:
    """Makes the folder of this run: `runs/<name>`, or, in a sweep, a numbered folder inside it."""
    path = run_path(config)
    if in_sweep():
        if (whole := path.resolve()) not in _CLAIMED:
            RunFolder(path)
            _CLAIMED.add(whole)
        path = path / str(HydraConfig.get().job.num)
    folder = RunFolder(path)
    folder.write_text(CONFIG, to_yaml(config))
    return folder


_CLAIMED: set[Path] = set()  # folders of sweeps made by this process


def in_sweep() -> bool:
    """Whether this run is one of several in a sweep."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def group(config: DictConfig, name: str) -> dict[str, Any]:
    """The values of one group, in plain Python types. Raises: ConfigError, if it or a required value is missing."""
    chosen = config.get(name)
    if not isinstance(chosen, DictConfig):
        if not (CONFIGS / name).is_dir():
            raise ConfigError(f"{name} is {chosen!r}; give its options by their names, as {name}.<option>=...")
        raise ConfigError(f"{name} is {chosen!r}; choose one of the group, as --help lists them, with {name}=...")
    if missing := OmegaConf.missing_keys(chosen):
        keys = sorted(key if key.startswith(f"{name}.") else f"{name}.{key}" for key in missing)
        raise ConfigError(f"{' and '.join(keys)} must be given; add {keys[0]}=...")
    values: dict[str, Any] = OmegaConf.to_container(chosen, resolve=True)  # type: ignore[assignment]
    return values


def given_options() -> list[str]:
    """Names of the options on the command line, without their values."""
    return [override.split("=", 1)[0].lstrip("+~") for override in HydraConfig.get().overrides.task]


def options(config: DictConfig, make: Callable[..., T], groups: Sequence[str]) -> T:
    """Calls `make` with the options of `config` that are in none of its `groups` and do not name the run folder.

    Raises: ConfigError, if `make` takes no such option, or another kind of value.
    """
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return call(make, {name: value for name, value in values.items() if name not in (*groups, *FOLDER_OPTIONS)})


def run_path(config: DictConfig) -> Path:
    """The path `runs/<name>`. Raises: ConfigError, if `name` is no plain name, or `runs` no path."""
    name = _written(config.name)
    if name in ("", ".", "..") or Path(name).name != name:
        raise ConfigError(f"name is {config.name!r}; give the plain name of a new folder, and its place in runs=...")
    return runs_path(config) / name


def runs_path(config: DictConfig) -> Path:
    """The folder in which run folders are made. Raises: ConfigError, if `runs` is no path."""
    if not (runs := _written(config.runs)):
        raise ConfigError(f"runs is {config.runs!r}; give the folder that run folders are made in, such as runs=runs")
    return Path(runs)


def _written(value: Any) -> str:
    """The text of a scalar; empty for null, a list or a mapping."""
    return "" if value is None or OmegaConf.is_config(value) else str(value)


def offer_foreign(arguments: Sequence[str]) -> None:
    """Adds the members that other packages register, such as tasks, to Hydra's groups.

    They have no file in `rollahead/configs`. The options of a chosen member are added too.
    """
    for kind, (registered, _) in FOREIGN.items():
        for name in entry_points(group=registered).names:
            if not (CONFIGS / kind / f"{name}.yaml").exists():
                chosen = any(name in argument for argument in arguments if argument.startswith(f"{kind}="))
                node = _node(kind, name) if chosen else {"name": name}
                ConfigStore.instance().store(group=kind, name=name, node=node)


def _node(kind: str, name: str) -> dict[str, Any]:
    """The configuration of the member `name` of the group `kind`: its options with their defaults."""
    if kind != "strategy":
        return {"name": name, **_defaults(kind, name)}
    from rollahead.runtime.config.build import StrategyConfig

    shared = {key: value for key, value in asdict(StrategyConfig(name)).items() if key not in OF_ONE}
    return {**shared, "options": _defaults(kind, name)}


def _defaults(kind: str, name: str) -> dict[str, Any]:
    """The options of a member that another package registers, with their defaults; '???' for one that must be given."""
    registered, others = FOREIGN[kind]
    try:
        parameters = inspect.signature(load(registered, kind, name, "")).parameters.values()
    except ConfigError:  # raised again when the member is made
        return {}
    options = {one.name: one.default for one in parameters if one.name not in others and one.kind not in VARIADIC}
    given = {key: "???" if value is inspect.Parameter.empty else value for key, value in options.items()}
    return {key: value for key, value in given.items() if _can_be_written(value)}


def _can_be_written(value: object) -> bool:
    """Whether a value can be written on the command line: a text, a number, or a list of these."""
    if isinstance(value, list | tuple):
        return all(map(_can_be_written, value))
    return isinstance(value, bool | int | float | str | None)


def _complain(command: str, error: object) -> int:
    if sys.stderr is not None:
        with suppress(OSError):  # the terminal was closed
            said = str(error).strip().splitlines()[0] if isinstance(error, OmegaConfBaseException) else str(error)
            sys.stderr.write(f"rollahead {command}: {' '.join(said.split())}\n")
    return 2

"""What the commands share: each is a Hydra application whose errors are one sentence."""

import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from rollahead.errors import ConfigError, ControlError, unknown_name
from rollahead.runtime.run_folder import RunFolder

Main = Callable[[DictConfig], None]


def start(command: str, main: Main, arguments: list[str]) -> int:
    """Runs `main` with the configuration that `arguments` make; the exit status. Errors of the user's go to stderr,
    one sentence each; others are raised."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to here
    sys.argv = [f"rollahead {command}", *arguments]
    _offer_foreign_tasks()
    errors: list[ControlError] = []
    sweeps: set[Path] = set()

    def job(config: DictConfig) -> None:
        try:
            main(config)
            if "runs" in config and HydraConfig.get().mode is RunMode.MULTIRUN:
                sweeps.add(Path(config.runs) / config.name)
        except ControlError as error:  # in a sweep, the other runs go on
            errors.append(error)
            _complain(command, error)

    try:
        hydra.main(version_base="1.3", config_path="pkg://rollahead.configs", config_name=command)(job)()
        for sweep in sweeps:
            report_on(sweep)
    except ControlError as error:
        return _complain(command, error)
    except (HydraException, OmegaConfBaseException) as error:
        return _complain(command, explain(command, arguments, error))
    except KeyboardInterrupt:
        return _complain(command, "interrupted")
    return 2 if errors else 0


def report_on(folder: Path) -> None:
    """Makes the report of a run or a sweep, and says where it is."""
    from rollahead.report.page import write_report

    Console().print(f"report: {write_report(folder)}", soft_wrap=True)


def run_folder(config: DictConfig) -> RunFolder:
    """The new folder of this run: `runs/<name>`, and a numbered one inside it for each run of a sweep."""
    path = Path(config.runs) / config.name
    job = HydraConfig.get()
    if job.mode is RunMode.MULTIRUN:
        if job.job.num == 0 and path.exists():
            raise ConfigError(f"the run folder {path} exists already; give another name=..., or remove it")
        path = path / str(job.job.num)
    folder = RunFolder(path)
    folder.write_text("config.yaml", OmegaConf.to_yaml(config, resolve=True))
    return folder


def group(config: DictConfig, name: str) -> dict[str, Any]:
    """The values of one group, as plain Python. Raises: ConfigError, if one that must be given is not."""
    if missing := _missing(config, name):
        raise ConfigError(f"{' and '.join(sorted(missing))} must be given; add {min(missing)}=...")
    values: dict[str, Any] = OmegaConf.to_container(config[name], resolve=True)  # type: ignore[assignment]
    return values


def explain(command: str, arguments: list[str], error: Exception) -> str:
    """What the user wrote that made Hydra raise `error`, with what was perhaps meant."""
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        name, _, choice = error.missing_cfg_file.rpartition("/")
        return str(unknown_name(name, choice, error.options))
    known = list(_known_options(command))
    for argument in arguments:
        key = argument.split("=", 1)[0].lstrip("+~")
        if "=" in argument and not key.startswith(("hydra.", "-")) and key not in known:
            return str(unknown_name("option", key, _nearby(key, known)))
    return str(error).strip().splitlines()[0]


def _missing(config: DictConfig, name: str) -> set[str]:
    return {key if key.startswith(f"{name}.") else f"{name}.{key}" for key in OmegaConf.missing_keys(config[name])}


def _known_options(command: str) -> Iterator[str]:
    GlobalHydra.instance().clear()
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        yield from _flatten(compose(command), "")


def _flatten(config: DictConfig, prefix: str) -> Iterator[str]:
    for key in map(str, config):
        yield f"{prefix}{key}"
        if not OmegaConf.is_missing(config, key) and isinstance(config._get_node(key), DictConfig):
            yield from _flatten(config[key], f"{prefix}{key}.")


def _nearby(key: str, known: list[str]) -> list[str]:
    """Those of `known` in the same group as `key`, or all outside groups, if there is no such group."""
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    return siblings or [name for name in known if "." not in name]


def _offer_foreign_tasks() -> None:
    """Makes `task=<name>` work for tasks that other packages register, which ship no file among our configs."""
    shipped = Path(__file__).parent.parent / "configs" / "task"
    for found in entry_points(group="rollahead.tasks"):
        if not (shipped / f"{found.name}.yaml").exists():
            ConfigStore.instance().store(group="task", name=found.name, node={"name": found.name})


def _complain(command: str, error: object) -> int:
    sys.stderr.write(f"rollahead {command}: {error}\n")
    return 2

"""`rollahead report`: writes the report of a run or a sweep again."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rollahead.commands.app import console, report_on
from rollahead.errors import ConfigError
from rollahead.report.unfinished import note


def main(config: DictConfig) -> None:
    """Writes `report.html` to the folder `run`."""
    if OmegaConf.is_missing(config, "run") or config.run is None:
        raise ConfigError("run must be given; add run=<a folder that a run has left>, such as run=runs/demo")
    folder = Path(str(config.run))
    if line := note(folder):
        console().print(line, soft_wrap=True)
    report_on(folder)

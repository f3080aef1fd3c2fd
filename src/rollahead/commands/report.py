"""`rollahead report`: makes the report of a run, or of a sweep, again."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from rollahead.errors import ConfigError


def main(config: DictConfig) -> None:
    """Writes `report.html` into the folder `run`."""
    if OmegaConf.is_missing(config, "run"):
        raise ConfigError("run must be given; add run=<a folder that a run has left>, such as run=runs/demo")
    from rollahead.report.page import write_report

    path = write_report(Path(config.run))
    Console().print(f"report: {path}", soft_wrap=True)

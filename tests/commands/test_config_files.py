"""The files of the configuration, read as text: against Hydra's own reading of them."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from every import every
from rollahead.cli import COMMANDS
from rollahead.commands.config_files import CONFIGS, HIDDEN, foreign_members, keys, members, own_members, read_config
from rollahead.commands.offered import flatten

FILES = sorted(path.relative_to(CONFIGS).with_suffix("") for path in CONFIGS.rglob("*.yaml"))
SHOWN = [path for path in FILES if path.parent.name != "study"]  # studies set options of a command, and have none


@pytest.mark.parametrize("path", SHOWN, ids=str)
def test_the_options_of_a_file_are_read_as_by_hydra_with_their_values(path: Path) -> None:
    config = OmegaConf.load(CONFIGS / f"{path}.yaml")
    wanted = [name for name in flatten(config) if name.partition(".")[0] not in HIDDEN]
    found = read_config(str(path.parent), path.name).options
    assert [line.name for line in found] == wanted
    for line in found:
        if line.value:
            value = OmegaConf.to_container(config, resolve=False)
            for name in line.name.split("."):
                value = value[name]  # type: ignore[index, call-overload]
            assert yaml.safe_load(line.value) == value, line


@pytest.mark.parametrize("path", SHOWN, ids=str)
def test_every_option_and_every_file_says_in_one_line_what_it_is(path: Path) -> None:
    file = read_config(str(path.parent), path.name)
    assert len(file.title) > 10
    for line in file.options:
        if line.name == "name" and path.parent != Path():
            continue  # of the member itself
        assert len(line.comment) > 8, f"{path}: {line.name} has no comment beside it"
        assert "#" not in line.comment


@every("command", COMMANDS)
def test_every_group_of_a_command_says_what_it_is(command: str) -> None:
    for line in read_config("", command).defaults:
        if line.value and "override" not in line.name:
            assert len(line.comment) > 8, line
            assert own_members(line.name.removeprefix("defaults."))


def test_members_are_the_files_of_a_group_and_what_other_packages_register() -> None:
    assert own_members("sampler") == ["auto", "ddim", "ddpm", "euler", "rti"]
    assert set(members("task")) == {*own_members("task"), *foreign_members("task")}
    assert foreign_members("sampler") == []


def test_keys_are_the_options_of_a_file_without_those_inside_of_groups() -> None:
    assert keys("strategy", "bid")[:3] == ["name", "s", "d"]
    assert "bid" in keys("strategy", "bid")
    assert "bid.rho" not in keys("strategy", "bid")
    assert keys("strategy", "of nobody") == []

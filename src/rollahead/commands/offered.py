"""All options that there are with the members of groups that a command line chooses, as Hydra composes them."""

from collections.abc import Iterator, Mapping, Sequence

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from rollahead.commands.config_files import members


def composed(command: str, overrides: Sequence[str], *, hydra: bool = False) -> DictConfig:
    """The configuration of `command` with `overrides`. hydra: with what Hydra adds. Raises: what Hydra does."""
    GlobalHydra.instance().clear()
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        return compose(command, overrides=[*overrides], return_hydra_config=hydra)


def options(command: str, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
    """All options that there are with the groups that `arguments` choose; and what is chosen of each group."""
    chosen = dict(composed(command, [], hydra=True).hydra.runtime.choices)  # also those that are null
    pairs = [argument.split("=", 1) for argument in arguments if "=" in argument]
    given = {group: name for group, name in pairs if group in chosen and name in members(group)}
    config = composed(command, [f"{group}={name}" for group, name in given.items()])
    return list(flatten(config)), {**chosen, **given}


def flatten(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Names of all options in `config`, with dots; groups of options included."""
    for key in map(str, config):
        yield f"{prefix}{key}"
        if not OmegaConf.is_missing(config, key) and isinstance(config._get_node(key), DictConfig):
            yield from flatten(config[key], f"{prefix}{key}.")


def nearby(key: str, known: Sequence[str]) -> list[str]:
    """Returns the `known` options in the group of `key`, or those outside groups if there is no such group."""
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    return siblings or [name for name in known if "." not in name]

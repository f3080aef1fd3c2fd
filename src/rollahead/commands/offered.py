"""The options of a command with the members of groups that its command line chooses, composed by Hydra."""

from collections.abc import Iterator, Mapping, Sequence

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from rollahead.commands.config_files import members


def composed(command: str, overrides: Sequence[str], *, hydra: bool = False) -> DictConfig:
    """Composes the configuration of `command` with `overrides`; raises Hydra's errors.

    With `hydra` True it includes Hydra's own node, `hydra`.
    """
    GlobalHydra.instance().clear()
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        return compose(command, overrides=[*overrides], return_hydra_config=hydra)


def options(command: str, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
    """Names of all options with the members of groups that `arguments` choose, and the chosen member of each group."""
    chosen = dict(composed(command, [], hydra=True).hydra.runtime.choices)  # including groups that are null
    pairs = [argument.split("=", 1) for argument in arguments if "=" in argument]
    given = {group: name for group, name in pairs if group in chosen and name in members(group)}
    config = composed(command, [f"{group}={name}" for group, name in given.items()])
    return list(flatten(config)), {**chosen, **given}


def flatten(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yields the dotted names of all options in `config`, including groups of options."""
    for key in map(str, config):
        yield f"{prefix}{key}"
        if not OmegaConf.is_missing(config, key) and isinstance(config._get_node(key), DictConfig):
            yield from flatten(config[key], f"{prefix}{key}.")


def nearby(key: str, known: Sequence[str]) -> list[str]:
    """The `known` options in the group of `key`, or those outside groups if there is no such group."""
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    return siblings or [name for name in known if "." not in name]

"""The options that there are: of a command, and of the members of its groups, our own and those of other packages."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

CONFIGS = Path(__file__).parent.parent / "configs"
FOREIGN: Mapping[str, tuple[str, tuple[str, ...]]] = {  # where other packages register theirs; what is no option of it
    "task": ("rollahead.tasks", ()),
    "robot": ("rollahead.robots", ()),
    "roller": ("rollahead.rollers", ("scene",)),
    "strategy": ("rollahead.strategies", ("config", "trigger", "spec")),
    "planner": ("rollahead.planners", ("brief",)),
    "latency": ("rollahead.latencies", ("rate_hz",)),
}


def members(group: str) -> list[str]:
    """The names that may be chosen from `group`."""
    registered = FOREIGN.get(group, ("",))[0]
    return sorted({path.stem for path in (CONFIGS / group).glob("*.yaml")} | entry_points(group=registered).names)


def keys(group: str, name: str) -> list[str]:
    """The options of a member of `group` that comes with rollahead; without a group, of a command."""
    path = CONFIGS / group / f"{name}.yaml"
    return [str(key) for key in OmegaConf.load(path)] if path.exists() else []


def options(command: str, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
    """All options that there are with the groups that `arguments` choose; and what is chosen of each group."""
    GlobalHydra.instance().clear()
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        chosen = dict(compose(command, return_hydra_config=True).hydra.runtime.choices)  # also those that are null
        pairs = [argument.split("=", 1) for argument in arguments if "=" in argument]
        given = {group: name for group, name in pairs if group in chosen and name in members(group)}
        config = compose(command, overrides=[f"{group}={name}" for group, name in given.items()])
        return list(_flatten(config, "")), {**chosen, **given}


def _flatten(config: DictConfig, prefix: str) -> Iterator[str]:
    for key in map(str, config):
        yield f"{prefix}{key}"
        if not OmegaConf.is_missing(config, key) and isinstance(config._get_node(key), DictConfig):
            yield from _flatten(config[key], f"{prefix}{key}.")


def nearby(key: str, known: Sequence[str]) -> list[str]:
    """Returns the `known` options in the group of `key`, or those outside groups if there is no such group."""
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    return siblings or [name for name in known if "." not in name]

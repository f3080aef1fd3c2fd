"""Parts by name: the options of a member of a group, with the defaults that the command line has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rollahead.errors import ConfigError

Options = str | Mapping[str, Any]  # a name, or a `name` with options

CONFIGS = Path(__file__).parent.parent / "configs"


def options_of(group: str, given: Options, task: str = "") -> dict[str, Any]:
    """Returns the options of the member of `group` that `given` names, its `name` among them.

    Options that are not given have the defaults of `configs/<group>/<name>.yaml`. task: the name of the task, which
    some defaults contain.

    Raises: ConfigError, if `given` has no name.
    """
    chosen = {"name": given} if isinstance(given, str) else dict(given)
    name = chosen.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f'{group} is {given!r}, which has no name; give a name, or {{"name": ..., <options>}}')
    path = CONFIGS / group / f"{name}.yaml"
    if not path.is_file():  # of another package, or unknown, which is said where it is made
        return {"name": name, **chosen}
    whole = OmegaConf.create({"task": {"name": task}, group: OmegaConf.load(path)})[group]
    defaults = {str(key): whole[key] for key in whole if not OmegaConf.is_missing(whole, key)}
    plain: Any = OmegaConf.to_container(OmegaConf.create(defaults))
    return {**plain, **chosen}

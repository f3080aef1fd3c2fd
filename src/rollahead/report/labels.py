"""Labels: names for sets of options, with the options that tell those of the same name apart.

{"name": "fixed"}, {"name": "spikes", "low": 9}, {"name": "spikes", "low": 15}
fixed              spikes (low 9)                spikes (low 15)
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Options = Mapping[str, Any]


def key(options: Options) -> str:
    """Text that is equal for equal options, whatever their order."""
    return json.dumps(dict(options), sort_keys=True, default=str)


def labels(options: Iterable[Options]) -> dict[str, str]:
    """Label of each set of options, by its key."""
    by_key = {key(one): one for one in options}
    by_name: dict[str, list[Options]] = {}
    for one in by_key.values():
        by_name.setdefault(called(one), []).append(one)
    apart = {name: differing(same) for name, same in by_name.items()}
    return {found: _label(one, apart[called(one)]) for found, one in by_key.items()}


def called(options: Options) -> str:
    """Name alone; for a policy the name of its checkpoint, or of the run that left it."""
    if options.get("checkpoint") is None:
        return str(options["name"])
    path = Path(str(options["checkpoint"]))
    return path.parent.name if path.name == "checkpoint" and path.parent.name else path.name


def differing(among: Sequence[Options]) -> list[str]:
    """Names of the options whose values are not the same everywhere."""
    names = dict.fromkeys(name for options in among for name in options)
    return [name for name in names if len({repr(options.get(name)) for options in among}) > 1]


def kind(latency: Options) -> dict[str, Any]:
    """Options of a latency without its length, which is on an axis, and without what is not set."""
    aside = ("ticks", "median") if latency["name"] == "fixed" else ("median",)
    said = {name: value for name, value in latency.items() if name not in aside and value is not None}
    return said if said.get("bind_fraction") else {name: said[name] for name in said if name != "bind_fraction"}


def _label(options: Options, names: Sequence[str]) -> str:
    said = [f"{name} {options[name]}" for name in names if options.get(name) is not None]
    return f"{called(options)} ({', '.join(said)})" if said else called(options)

"""Options whose value is a text or a path: the value is used literally, whatever characters the user wrote.

Hydra has a grammar for values (quotes, lists, `a,b` for a sweep), and OmegaConf replaces `${...}`. Neither is meant in
`task_text=Pick up the cube, then place it` or `planner.checkpoint=runs/epoch=9-step=999`, so both are quoted here.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

TEXTS = ("task_text", "task.instruction", "name")
PATHS = (
    "runs",
    "run",
    "dataset",
    "planner.checkpoint",
    "planner.dataset",
    "latency.path",
    "roller.path",
    "strategy.corrector.path",
    "corrector.base",
)
PATHS_OF = {"train": ("resume",)}  # paths of one command only; `resume` of other commands is true or false
OPTIONAL = "null"  # value of a path that is not given; in a text it is a word
PART = re.compile(r"'[^']*'(?=,|\Z)|[^,]+")  # a path of a sweep, which may be in quotes
INTERPOLATED = re.compile(r"(\\*)\$\{")


def taken_literally(command: str, arguments: Sequence[str], *, sweep: bool) -> Iterator[str]:
    """Yields `arguments` with texts and paths quoted for Hydra.

    In a path `~` is expanded. With `sweep`, paths are split at commas, except inside single quotes.
    """
    for argument in arguments:
        key, equals, value = argument.partition("=")
        option = key.lstrip("+")
        if not equals or not (option in TEXTS or is_path(command, option)):
            yield argument
        elif option in TEXTS:
            yield f"{key}={value if option == 'name' and value == OPTIONAL else quoted(value)}"
        else:
            yield f"{key}={','.join(map(_path, _parts(value) if sweep else [value]))}"


def is_path(command: str, option: str) -> bool:
    """Whether the value of `option` of `command` is a path."""
    return option in PATHS or option in PATHS_OF.get(command, ())


def quoted(text: str) -> str:
    """Quotes `text` for Hydra, with interpolations escaped."""
    return str(QuotedString(escaped(text), Quote.single).with_quotes())


def escaped(text: str) -> str:
    """Escapes the interpolations in `text`, so that OmegaConf replaces none."""
    return INTERPOLATED.sub(lambda found: rf"{found[1] * 2}\${{", text)


def to_yaml(config: DictConfig) -> str:
    """Writes `config`, with interpolations resolved, as YAML that OmegaConf loads as the same values."""
    return str(OmegaConf.to_yaml(OmegaConf.create(_escaped(OmegaConf.to_container(config, resolve=True)))))


def _parts(value: str) -> list[str]:
    parts = [part.strip() for part in PART.findall(value)]
    return [part[1:-1] if len(part) > 1 and part[0] == part[-1] == "'" else part for part in parts] or [value]


def _path(value: str) -> str:
    return value if value == OPTIONAL else quoted(os.path.expanduser(value))


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return escaped(value) if isinstance(value, str) else value

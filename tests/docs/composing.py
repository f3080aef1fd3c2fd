"""A program: reads commands, a JSON list of their arguments each, and writes for each a line of JSON: what is said
against it when its options are read, and nothing is run. Of a sweep every value is tried once."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from rollahead.commands import app


def each(arguments: list[str]) -> Iterator[list[str]]:
    """The overrides of one run after the other."""
    plain = [app._removed(argument) for argument in arguments if not argument.startswith("-")]
    plain += [_searched(argument) for argument in arguments if argument.startswith("--config-dir=")]
    parsed = OverridesParser.create().parse_overrides(plain)
    values = [list(one.sweep_string_iterator()) if one.is_sweep_override() else [] for one in parsed]
    for i in range(max(1, *map(len, values), 1)):
        yield [written(one, swept, i) for one, swept in zip(parsed, values, strict=True)]


def _searched(flag: str) -> str:
    """The override that does what the flag `--config-dir` does."""
    return f"hydra.searchpath=[file://{Path(flag.partition('=')[2]).resolve()}]"


def written(override: Override, swept: list[str], i: int) -> str:
    """As it is given in run `i`."""
    return f"{override.get_key_element()}={swept[i % len(swept)]}" if swept else str(override.input_line)


def said(command: str, arguments: list[str]) -> str:
    """Nothing, if there is nothing against it."""
    app.offer_foreign(arguments)
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        try:
            for overrides in each(arguments):
                compose(command, overrides)
        except Exception as error:
            return str(error)
    return ""


if __name__ == "__main__":
    for command, *arguments in json.load(sys.stdin):
        sys.stdout.write(json.dumps(said(command, arguments)) + "\n")

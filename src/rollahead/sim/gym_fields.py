"""Places in a gymnasium observation: which of its numbers are the state, and which are the environment.

{"x": 0, "y": 1}                              of an array: indices
{"agent": "0:2"}                              a slice; its dimensions are agent_0 and agent_1
{"x": "observation.0", "goal": "desired_goal"}   of a dict: a key, alone or with an index or a slice; nested keys are
                                              joined by dots
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollahead.errors import ConfigError, counted
from rollahead.runtime.types.arrays import FloatArray

PART = re.compile(r"(?P<index>\d+)|(?P<start>\d*):(?P<stop>\d*)")


@dataclass(frozen=True, slots=True)
class Fields:
    """Numbers of an observation, by name. names: of the D dimensions; places: key path and slice of each group."""

    names: tuple[str, ...]
    places: tuple[tuple[str, slice], ...]

    def __call__(self, observation: Any) -> FloatArray:
        """(D,), the numbers in `observation`, a new array."""
        leaves = dict(leaves_of(observation))
        parts = [np.ravel(leaves[path])[part] for path, part in self.places]
        return np.concatenate([np.empty(0), *parts]).astype(np.float64)


def leaves_of(observation: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays in `observation` by their keys, joined by dots; an observation that is an array has the key ''."""
    if not isinstance(observation, Mapping):
        yield path, observation
        return
    for key, inner in observation.items():
        yield from leaves_of(inner, f"{path}.{key}" if path else str(key))


def fields_of(option: str, wanted: Mapping[str, int | str], observation: Any) -> Fields:
    """The fields that the user `wanted`, names with their places.

    option: its name, for messages; observation: one of the environment's.

    Raises: ConfigError, if the observation has no such key, or not so many numbers.
    """
    sizes = {path: np.size(values) for path, values in leaves_of(observation)}
    names: list[str] = []
    places: list[tuple[str, slice]] = []
    for name, where in wanted.items():
        path, part = _place(f"{option}.{name}", str(where), sizes)
        count = part.stop - part.start
        names += [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
        places.append((path, part))
    return Fields(tuple(names), tuple(places))


def _place(option: str, where: str, sizes: Mapping[str, int]) -> tuple[str, slice]:
    """The key and the slice that `where` means; the longest key is taken that fits."""
    for path in sorted(sizes, key=len, reverse=True):
        rest = where if not path else where.removeprefix(f"{path}.") if where != path else ":"
        found = PART.fullmatch(rest)
        if found:
            return path, _part(option, where, found, sizes[path])
    raise ConfigError(
        f"{option} is {where!r}, and the observation has {_told(sizes)}; give {_examples(sizes)} (docs/tasks.md)"
    )


def _part(option: str, where: str, found: re.Match[str], size: int) -> slice:
    """The slice of an array of `size` numbers. Raises: ConfigError, if it has not so many."""
    if found["index"] is not None:
        start, stop = int(found["index"]), int(found["index"]) + 1
    else:
        start, stop = int(found["start"] or 0), int(found["stop"] or size)
    if not 0 <= start < stop <= size:
        raise ConfigError(
            f"{option} is {where!r}, and there are {counted(size, 'number')}; count from 0, and give a stop of at most "
            f"{size}"
        )
    return slice(start, stop)


def _told(sizes: Mapping[str, int]) -> str:
    if list(sizes) == [""]:
        return f"no keys, but {counted(sizes[''], 'number')}"
    return "the keys " + ", ".join(f"{path} ({counted(size, 'number')})" for path, size in sizes.items())


def _examples(sizes: Mapping[str, int]) -> str:
    if list(sizes) == [""]:
        return "an index such as 0, or a slice such as '0:2'"
    path: Sequence[str] = list(sizes)
    return f"a key, alone or with an index or a slice, such as {path[0]}.0"

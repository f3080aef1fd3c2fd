"""Calling a constructor with what a person wrote: names and kinds are checked first, each refusal one sentence."""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from rollahead.errors import ConfigError, unknown_name

T = TypeVar("T")

KINDS: Mapping[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def call(make: Callable[..., T], options: Mapping[str, Any], where: str = "") -> T:
    """`make(**options)`. where: the group that the options belong to, named in what is refused.

    Raises: ConfigError, if `make` has no such option, needs one that is not given, or takes another kind of value.
    """
    parameters = inspect.signature(make).parameters
    prefix = f"{where}." if where else ""
    hints = get_type_hints(make.__init__ if inspect.isclass(make) else make)
    for name, value in options.items():
        if name not in parameters:
            raise unknown_name(f"option {f'of the {where}' if where else 'called'}", name, parameters)
        check_kind(f"{prefix}{name}", value, hints.get(name, Any))
    for name, parameter in parameters.items():
        if name not in options and parameter.default is parameter.empty:
            raise ConfigError(f"{prefix}{name} must be given; add {prefix}{name}=...")
    return make(**options)


def check_kind(name: str, value: Any, hint: Any) -> None:
    """Raises: ConfigError, if `value` is not of the kind that `hint` says; kinds not in `KINDS` are let through."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kinds = [kind for kind in options if kind in KINDS]
    if not kinds or (value is None and types.NoneType in options):
        return
    if not any(_is(value, kind) for kind in kinds):
        wanted = " or ".join([*(KINDS[kind] for kind in kinds), *(["null"] if types.NoneType in options else [])])
        raise ConfigError(f"{name} is {value!r}; give {wanted}")


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)

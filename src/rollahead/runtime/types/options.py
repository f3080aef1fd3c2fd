"""Calls of constructors with options from a configuration, whose names and types are checked first."""

import inspect
import math
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from rollahead.errors import ConfigError, unknown_name

T = TypeVar("T")

KINDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list: "a list, as in [a, b]",
    dict: "names with their values, as in {name: value}",
}
ALIKE: Mapping[Any, Any] = {Sequence: list, tuple: list, Mapping: dict}  # the key of `KINDS` for other type hints
TYPES: Mapping[Any, Any] = {int: int, float: int | float, bool: bool, str: str, list: list | tuple, dict: Mapping}


def call(make: Callable[..., T], options: Mapping[str, Any], where: str = "", **given: Any) -> T:
    """Calls `make(**options, **given)` and returns its result.

    A parameter whose type is a dataclass is made from the mapping that is given for it.

    Args:
        make: Function or class to call.
        options: Values by the names of parameters, which are checked against the type hints.
        where: Group of the options, named in errors.
        **given: Further arguments, which are not checked.

    Raises: ConfigError, if `make` has no such option, needs one that is not given, or takes another type of value, or
    a number is NaN or infinite.
    """
    parameters = inspect.signature(make).parameters
    prefix = f"{where}." if where else ""
    hints = _hints(make.__init__ if inspect.isclass(make) else make)
    known = parameters.keys() - given.keys()
    values = {}
    for name, value in options.items():
        if name not in known:
            raise _unknown(where, name, known)
        values[name] = _value(f"{prefix}{name}", value, hints.get(name, Any))
    for name, parameter in parameters.items():
        if name in known - options.keys() and parameter.default is parameter.empty:
            raise ConfigError(f"{prefix}{name} must be given; add {prefix}{name}=...")
    return make(**values, **given)


def _unknown(where: str, name: str, known: Collection[str]) -> ConfigError:
    if "." in where:
        return unknown_name("option", f"{where}.{name}", [f"{where}.{one}" for one in known])
    return unknown_name(f"option {f'of the {where}' if where else 'called'}", name, known)


def _value(name: str, value: Any, hint: Any) -> Any:
    """Returns `value` checked against `hint`; for the hint of a dataclass, the object that the mapping makes."""
    if not (inspect.isclass(hint) and is_dataclass(hint)) or isinstance(value, hint):
        check_kind(name, value, hint)
        return value
    if not isinstance(value, Mapping):
        first = fields(hint)[0].name
        raise ConfigError(f"{name} is {value!r}; give its options by their names, as {name}.{first}=...")
    return call(hint, value, name)


def _hints(make: Callable[..., Any]) -> Mapping[str, Any]:
    """Type hints of `make`; none if they cannot be evaluated, as with types imported only for type checkers."""
    try:
        return get_type_hints(make)
    except (NameError, TypeError, AttributeError):
        return {}


def check_kind(name: str, value: Any, hint: Any, *, endless: bool = False) -> None:
    """Checks that `value`, and every value in it, has the type `hint`, and that its numbers are finite.

    Args:
        name: Name of the option in errors.
        value: Value to check.
        hint: Type hint; a type that is not in `KINDS` is not checked.
        endless: Whether infinity is allowed.

    Raises: ConfigError, if it has another type, or a number is NaN or infinite.
    """
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kinds = {kind: choice for choice in choices if (kind := _kind(choice)) in KINDS}
    if not kinds or (value is None and types.NoneType in choices):
        return
    found = next((kind for kind in kinds if _is(value, kind)), None)
    if found is None:
        wanted = " or ".join([*(KINDS[kind] for kind in kinds), *(["null"] if types.NoneType in choices else [])])
        raise ConfigError(f"{name} is {value!r}; give {wanted}")
    if isinstance(value, float) and not (math.isfinite(value) or (endless and not math.isnan(value))):
        raise ConfigError(f"{name} is {value}; give a finite number")
    inner = get_args(kinds[found])
    if found is list and inner:
        _check_list(name, value, inner, endless)
    if found is dict and inner:
        for key, each in value.items():
            check_kind(f"a name in {name}", key, inner[0])
            check_kind(f"{name}.{key}", each, inner[1], endless=endless)


def _check_list(name: str, values: Sequence[Any], inner: Sequence[Any], endless: bool) -> None:
    """Checks each of `values`. `inner`: the type of all, or, for a tuple of a fixed length, the type of each."""
    alike = len(inner) == 1 or inner[1] is Ellipsis
    hints = [inner[0]] * len(values) if alike else inner
    if len(values) != len(hints):
        raise ConfigError(f"{name} has {len(values)} values; give {len(hints)}")
    for i, (each, hint) in enumerate(zip(values, hints, strict=True)):
        check_kind(f"{name}[{i}]", each, hint, endless=endless)


def _kind(hint: Any) -> Any:
    """Key of `KINDS` for `hint`, such as `list` for `Sequence[int]`; for other types, the type itself."""
    plain = get_origin(hint) or hint
    return ALIKE.get(plain, plain)


def _is(value: Any, kind: Any) -> bool:
    return kind is bool if isinstance(value, bool) else isinstance(value, TYPES[kind])

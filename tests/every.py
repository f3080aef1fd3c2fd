"""Runs a test for every case of a family in one item: pytest's collection of thousands of items takes longer than most
of them."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Test = Callable[..., None]


def every(names: str | Sequence[str], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Decorates a test like `pytest.mark.parametrize(names, cases)`, but loops over the cases in one item.

    names: comma-separated or a sequence; cases: a tuple of values for each case, or a value if there is one name. A
    failure has a note that names the case. Fixtures are made once for all cases.
    """
    keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    listed = [(case,) if len(keys) == 1 else tuple(case) for case in cases]
    if not listed:
        raise ValueError(f"there is no case of {names}")

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def looped(**others: Any) -> None:
            for case in listed:
                try:
                    test(**others, **dict(zip(keys, case, strict=True)))
                except Exception as error:
                    error.add_note(
                        f"case: {', '.join(f'{key}={value!r}' for key, value in zip(keys, case, strict=True))}"
                    )
                    raise

        signature = inspect.signature(test)
        left = [each for name, each in signature.parameters.items() if name not in keys]
        looped.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]  # pytest looks here
        return looped

    return decorate

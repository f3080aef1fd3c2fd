"""The torch device that a network is on: the one asked for, or the fastest that is here."""

import torch

from rollahead.errors import ConfigError, one_line


def device_of(name: str | None) -> str:
    """`name`, such as cpu, cuda or cuda:1; without one cuda if there is one, else cpu.

    Raises: ConfigError, if torch cannot use it on this machine.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name).item()
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        words = one_line(error).removesuffix(".") or type(error).__name__
        raise ConfigError(
            f"device is {name}, and torch cannot use it on this machine ({words}); leave it out, or give "
            f"{device_of(None)}"
        ) from error
    return name

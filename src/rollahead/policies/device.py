"""Selection of the torch device for a network."""

import torch

from rollahead.errors import ConfigError, one_line


def device_of(name: str | None) -> str:
    """The torch device `name`, such as cpu, cuda or cuda:1. If None, cuda if there is one, else cpu.

    Raises: ConfigError, if torch cannot use the device on this machine.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name).item()
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
        words = one_line(error).removesuffix(".") or type(error).__name__
        raise ConfigError(
            f"device is {name}, and torch cannot use it on this machine ({words}); leave it out, or give "
            f"{device_of(None)}"
        ) from error
    return name

"""Devices that a policy may be computed on."""

import torch

from rollahead.errors import ConfigError


def device_of(name: str | None) -> torch.device:
    """The device `name`: cpu, cuda, cuda:1, mps. None: cuda if there is one, else the CPU.

    Raises: ConfigError, if there is none such on this machine.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or (device.index or 0) >= there.get(device.type, 0):
        known = [kind if n == 1 else f"{kind}:{i}" for kind, n in there.items() for i in range(n)]
        raise ConfigError(f"planner.device is {name!r}, which this machine does not have; give {' or '.join(known)}")
    return device

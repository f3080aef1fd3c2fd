"""Stages of what happens before the first tick, which may take seconds each: how a command shows them.

    with stage("warming up") as at:
        at("1 of 5")

Threads: whoever enters the runtime.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

At = Callable[[str], None]  # tells how far it is
Stage = Callable[[str], AbstractContextManager[At]]  # shows, by its name, that the block goes on, and for how long


def unsaid(name: str) -> AbstractContextManager[At]:
    """Shows nothing."""
    return nullcontext(lambda words: None)

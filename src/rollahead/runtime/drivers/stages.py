"""Stages: how a command shows what happens before the first tick, where each step may take seconds.

    with stage("warming up") as at:
        at("1 of 5")

Threads: the one that enters the runtime.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

At = Callable[[str], None]  # shows the progress within a stage
Stage = Callable[[str], AbstractContextManager[At]]  # shows the name of a stage, and for how long it has gone on


def unsaid(name: str) -> AbstractContextManager[At]:
    """A stage that shows nothing."""
    return nullcontext(lambda words: None)

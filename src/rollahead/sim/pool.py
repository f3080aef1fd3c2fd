"""Processes that share the work. An interrupt is the affair of whoever started them: they finish what they are at, and
no more of it is begun. When whoever started them is gone, they end."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context, parent_process
from threading import Thread


@contextmanager
def processes(workers: int, gl: str | None = None) -> Iterator[ProcessPoolExecutor]:
    """So many, each new. gl: the backend that MuJoCo shall render with there.

    What is under way when the block is left is waited for; what is not yet begun is dropped.
    """
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(gl,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@cache
def kept(workers: int) -> ProcessPoolExecutor:
    """So many, the same ones whenever they are asked for, until the program ends: for many short runs."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(None,))


def _begin(gl: str | None) -> None:
    """In a new process, before MuJoCo is imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    if gl is not None:
        os.environ["MUJOCO_GL"] = gl


def _end_with_parent() -> None:
    """What waits for work would not notice: it holds both ends of the queue that it waits at."""
    parent = parent_process()
    assert parent is not None, "this is a process of a pool"
    parent.join()
    os._exit(1)

"""Worker processes for parallel work.

They ignore Ctrl-C, which is handled by the process that started them: they finish their current job, and no further job
is begun. They end when that process has ended.
"""

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
    """A pool of new worker processes, open while the context is open.

    `workers`: their number; `gl`: MuJoCo's rendering backend in them. When the context is left, running jobs are waited
    for, and jobs that have not begun are dropped.
    """
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(gl,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@cache
def kept(workers: int) -> ProcessPoolExecutor:
    """A pool of `workers` processes that is kept until the program ends, for many short runs.

    Later calls give the same pool.
    """
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(None,))


def _begin(gl: str | None) -> None:
    """Initialises a worker process, before MuJoCo is imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    if gl is not None:
        os.environ["MUJOCO_GL"] = gl


def _end_with_parent() -> None:
    """Ends this process when its parent has ended.

    A process that waits for a job would not notice otherwise, because it holds both ends of the queue that it waits at.
    """
    parent = parent_process()
    assert parent is not None, "this runs in a worker process"
    parent.join()
    os._exit(1)

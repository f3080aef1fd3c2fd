"""Training batches by step, prepared ahead by worker processes where images have to be decoded.

A batch depends on its step alone. So it is the same to the bit whichever process makes it, and also after a training is
resumed.

A signal that is sent to all processes of a group, as `timeout`, Slurm and systemd do, is handled by the training alone:
it ends its step and then its worker processes. A worker process that ended before the training asked for it would make
torch print a long traceback.

Threads: the caller's, and torch's pinning thread where there is CUDA. Each worker process has a thread that waits for
the signal to end. The processes are forked, and end with their iterator.
"""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

import torch
from torch.utils.data import DataLoader, Dataset

from rollahead.errors import ControlError, one_line
from rollahead.runtime.system.interrupts import ENDING

Batch = Mapping[str, torch.Tensor]
Make = Callable[[int], Batch]

FORKED = "(?s).*multi-threaded.*fork"  # Python's warning; the processes touch nothing that another thread locks
RAISED = "Caught "  # torch's words before the error of a worker process
PATIENCE_S = 300  # the longest wait for a batch
MANY = "This DataLoader will create"  # torch's warning of more processes than cores: the user chose so


class Batches:
    """The batches of a training, in order of their steps.

    Args:
        make: Function that makes the batch of a step.
        workers: Number of processes that make batches ahead, 0 for none.
        stop: The step after the last one.
        pinned: Whether the batches are to be moved to CUDA.
    """

    def __init__(self, make: Make, workers: int = 0, stop: int = 0, *, pinned: bool = False) -> None:
        self._made = _Made(make)
        self._workers, self._stop, self._pinned = workers, stop, pinned
        self._next: int | None = None
        self._ahead: Iterator[Batch | ControlError] = iter(())

    def of(self, step: int) -> Batch:
        """The batch of `step`. It is fast if `step` follows the last one asked for.

        Raises: ControlError, if `make` raises one, or a worker process was killed or hangs.
        """
        if step != self._next:
            self.close()
            self._ahead = self._from(step)
        self._next = step + 1
        try:
            batch = next(self._ahead)
        # EOFError and ConnectionResetError: the process died while it handed over a batch.
        except (RuntimeError, OSError, EOFError) as error:
            self.close()
            if not self._workers or str(error).startswith(RAISED):
                raise
            raise ControlError(
                f"a process that makes batches was killed, or made none in {PATIENCE_S} s ({one_line(error)}); look "
                "for the reason in the system's log, and give the training workers=1 if memory is short"
            ) from error
        except BaseException:
            self.close()
            raise
        if self._next == self._stop or isinstance(batch, ControlError):
            self.close()
        if isinstance(batch, ControlError):
            raise batch
        return batch

    def close(self) -> None:
        """Ends the worker processes."""
        ended = getattr(self._ahead, "_shutdown_workers", None)
        if ended is not None:  # torch has no public method, and the garbage collector needs seconds
            ended()
        self._ahead, self._next = iter(()), None

    def _from(self, step: int) -> Iterator[Batch | ControlError]:
        if not self._workers:
            return map(self._made.__getitem__, count(step))
        with _blocked_signals(), warnings.catch_warnings():
            for message in (FORKED, MANY):
                warnings.filterwarnings("ignore", message)
            return iter(
                DataLoader(
                    self._made,
                    batch_size=None,  # each item is a batch already
                    sampler=range(step, self._stop),
                    num_workers=self._workers,
                    timeout=PATIENCE_S,
                    multiprocessing_context="fork",
                    pin_memory=self._pinned,
                    worker_init_fn=_own_signals,
                    generator=torch.Generator(),  # else it draws from the generator that the training uses
                )
            )


class _Made(Dataset[Batch | ControlError]):
    """The data set that the worker processes read: item i is the batch of step i."""

    def __init__(self, make: Make) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Batch | ControlError:
        try:
            return self._make(step)
        except ControlError as error:  # returned, because torch would wrap a raised one in a long traceback
            return error


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Blocks the `ENDING` signals in this thread while the context is open.

    Processes that are forked meanwhile have them blocked from the start.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _own_signals(worker: int) -> None:
    """Starts a thread that ends this process at a SIGTERM of the training; all other `ENDING` signals stay blocked."""
    threading.Thread(target=_end_when_told, args=(os.getppid(),), name="rollahead batches", daemon=True).start()


def _end_when_told(parent: int) -> None:
    """Ends the process at a SIGTERM that comes from the process `parent`."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)

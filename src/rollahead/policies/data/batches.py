"""Batches of a training by step, made ahead by processes where that takes long: images have to be decoded.

A batch depends on its step alone, so it is the same to the bit whoever makes it, and whenever a training was resumed.

A signal that is sent to all processes, as `timeout`, Slurm and systemd do, is for the training alone: it ends its step
and then the processes. Torch would make a page of a process that ends before it is told to.

Threads: the caller's, and that of pinning where there is CUDA; in each process one that waits to be told to end. The
processes are forked, and end with their iterator.
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
RAISED = "Caught "  # torch's, before what a process raised
PATIENCE_S = 300  # for a batch
MANY = "This DataLoader will create"  # torch's, of more processes than cores: it is the user's choice


class Batches:
    """make: the batch of a step; workers: processes that make them ahead, 0 for none; stop: the step after the last;
    pinned: the batches are to be moved to CUDA."""

    def __init__(self, make: Make, workers: int = 0, stop: int = 0, *, pinned: bool = False) -> None:
        self._made = _Made(make)
        self._workers, self._stop, self._pinned = workers, stop, pinned
        self._next: int | None = None
        self._ahead: Iterator[Batch | ControlError] = iter(())

    def of(self, step: int) -> Batch:
        """The batch of `step`; fast if that is the one after the last asked for. Raises: what `make` raises
        of ours; ControlError, if a process was killed, or hangs."""
        if step != self._next:
            self.close()
            self._ahead = self._from(step)
        self._next = step + 1
        try:
            batch = next(self._ahead)
        except (
            RuntimeError,
            OSError,
            EOFError,
        ) as error:  # EOFError, ConnectionResetError: it died as it handed one over
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
        """Ends the processes."""
        ended = getattr(self._ahead, "_shutdown_workers", None)
        if ended is not None:  # torch has no public way, and the garbage collector comes late and takes ten seconds
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
                    generator=torch.Generator(),  # else it draws from torch's, as the training does
                )
            )


class _Made(Dataset[Batch | ControlError]):
    """What the processes work on."""

    def __init__(self, make: Make) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Batch | ControlError:
        try:
            return self._make(step)
        except ControlError as error:  # else torch makes a page of it
            return error


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Blocks the `ENDING` signals in this thread, and from the start in the processes that are forked meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _own_signals(worker: int) -> None:
    """Keeps the `ENDING` signals blocked in this process, except for `terminate` of the training, which ends it."""
    threading.Thread(target=_end_when_told, args=(os.getppid(),), name="rollahead batches", daemon=True).start()


def _end_when_told(parent: int) -> None:
    """Ends the process at a SIGTERM that comes from `parent`."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)

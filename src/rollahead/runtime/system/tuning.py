"""Settings of a process and of a thread that help a loop to keep its time; all are put back at the end.

    process   the interpreter's switch interval (how long a thread that computes may keep the others waiting: 5 ms by
              default in Python), torch's threads, objects kept out of garbage collection, memory locked
    thread    timer slack (50 us by default in Linux), time slice (3 ms by default; a shorter one is served earlier
              beside busy threads), scheduling class, cores

A setting that is not permitted is left as it is and reported; `rollahead doctor` says how to permit it.

Threads: `tuned_process` is called in the thread that starts the others, `tuned_thread` in the thread that it tunes.
"""

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from rollahead.errors import ConfigError

PR_SET_TIMERSLACK, PR_GET_TIMERSLACK = 29, 30
SCHED_SETATTR, SCHED_GETATTR = {"x86_64": (314, 315), "aarch64": (274, 275)}.get(os.uname().machine, (-1, -1))
MCL_CURRENT, MCL_FUTURE = 1, 2

Undo = Callable[[], object]
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Tuning:
    """Real-time settings of the executor's process and thread.

    Attributes:
        switch_interval_s: Switch interval of the Python interpreter, in seconds.
        timer_slack_ns: Timer slack of the executor's thread, in nanoseconds.
        spin_ns: How long before a deadline the executor stops sleeping and waits in a loop, if it has a process of its
            own (in a thread it would keep the others from running). 0 to 1000000.
        slice_ns: How long the scheduler lets the executor's thread run at a time, 100000 to 100000000. Takes effect
            from Linux 6.12 on.
        fifo: Priority under SCHED_FIFO, 1 to 99, used if the executor has a process of its own and where that is
            permitted; None for the normal scheduling class.
        cores: Cores that the executor may run on; None for all.
        lock_memory: Whether the process is kept from being paged out.
        torch_threads: Number of threads that torch may use for one operator, if torch is loaded.
    """

    switch_interval_s: float = 0.0005
    timer_slack_ns: int = 1
    spin_ns: int = 100_000
    slice_ns: int = 100_000
    fifo: int | None = 50
    cores: tuple[int, ...] | None = None
    lock_memory: bool = False
    torch_threads: int = 1

    def __post_init__(self) -> None:
        if not (self.switch_interval_s > 0 and self.timer_slack_ns > 0 and self.torch_threads > 0):
            raise ConfigError(
                f"switch_interval_s is {self.switch_interval_s}, timer_slack_ns {self.timer_slack_ns} and "
                f"torch_threads {self.torch_threads}; every one must be positive"
            )
        if not 0 <= self.spin_ns <= 1_000_000:
            raise ConfigError(f"spin_ns is {self.spin_ns}; give 0 (none) to 1000000 (1 ms)")
        if not 100_000 <= self.slice_ns <= 100_000_000:
            raise ConfigError(f"slice_ns is {self.slice_ns}; give 100000 (0.1 ms) to 100000000")
        if self.fifo is not None and not 1 <= self.fifo <= 99:
            raise ConfigError(f"the priority fifo is {self.fifo}; give one from 1 to 99, or null")
        present = os.sched_getaffinity(0)
        if self.cores is not None and not set(self.cores) & present:
            raise ConfigError(
                f"cores is {list(self.cores)}, and this process may run on {sorted(present)}; give some of these"
            )


@contextmanager
def tuned_process(tuning: Tuning) -> Iterator[dict[str, str]]:
    """Applies the settings of a process inside the `with`, and gives a text by setting of what was set.

    Phase: setup.
    """
    steps = {
        "switch_interval": lambda: _switch_interval(tuning.switch_interval_s),
        "torch_threads": lambda: _torch_threads(tuning.torch_threads),
        "garbage": _freeze,
        **({"memory": _lock_memory} if tuning.lock_memory else {}),
    }
    with _done(steps) as said:
        yield said


@contextmanager
def tuned_thread(tuning: Tuning) -> Iterator[dict[str, str]]:
    """Applies the settings of the calling thread inside the `with`, and gives a text by setting of what was set.

    Phase: setup.
    """
    fifo, cores = tuning.fifo, tuning.cores
    steps = {
        "timer_slack": lambda: _timer_slack(tuning.timer_slack_ns),
        "slice": lambda: _slice(tuning.slice_ns),
        **({"scheduling": lambda: _fifo(fifo)} if fifo is not None else {}),
        **({"cores": lambda: _affinity(cores)} if cores is not None else {}),
    }
    with _done(steps) as said:
        yield said


@contextmanager
def _done(steps: dict[str, Callable[[], tuple[str, Undo]]]) -> Iterator[dict[str, str]]:
    """Runs `steps`, each of which returns a text and how to undo it, and undoes them at the end."""
    said: dict[str, str] = {}
    with ExitStack() as undo:
        for name, step in steps.items():
            try:
                said[name], back = step()
                undo.callback(back)
            except OSError as error:
                said[name] = f"not permitted ({error.strerror})"
        yield said


def _switch_interval(seconds: float) -> tuple[str, Undo]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    return f"{seconds * 1e3:g} ms, was {before * 1e3:g} ms", lambda: sys.setswitchinterval(before)


def _torch_threads(n: int) -> tuple[str, Undo]:
    torch = sys.modules.get("torch")  # the runtime never imports it
    if torch is None:
        return "torch is not loaded", lambda: None
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    return f"{n}, was {before}", lambda: torch.set_num_threads(before)


def _freeze() -> tuple[str, Undo]:
    gc.collect()
    gc.freeze()
    return f"{gc.get_freeze_count()} objects set apart", gc.unfreeze


def _lock_memory() -> tuple[str, Undo]:
    _checked(_libc.mlockall(MCL_CURRENT | MCL_FUTURE))
    return "locked", _libc.munlockall


def _timer_slack(ns: int) -> tuple[str, Undo]:
    before = _libc.prctl(PR_GET_TIMERSLACK)
    _checked(_libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(ns)))
    return f"{ns} ns, was {before} ns", lambda: _libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(before))


class _Attributes(ctypes.Structure):
    """The kernel's `struct sched_attr` in its first version.

    In the normal scheduling class `runtime` is the time slice, 0 for the default.
    """

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def _slice(ns: int) -> tuple[str, Undo]:
    attributes = _Attributes()
    size = ctypes.sizeof(attributes)
    _checked(_libc.syscall(SCHED_GETATTR, 0, ctypes.byref(attributes), size, 0))
    before, attributes.runtime = attributes.runtime, ns

    def back() -> None:
        attributes.runtime = before
        _libc.syscall(SCHED_SETATTR, 0, ctypes.byref(attributes), 0)

    _checked(_libc.syscall(SCHED_SETATTR, 0, ctypes.byref(attributes), 0))
    return f"{ns} ns, was {before or 'the default'}", back


def _fifo(priority: int) -> tuple[str, Undo]:
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    return f"SCHED_FIFO {priority}", lambda: os.sched_setscheduler(0, before, parameters)


def _affinity(cores: tuple[int, ...]) -> tuple[str, Undo]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cores) & before)
    return f"{sorted(set(cores) & before)}, was {sorted(before)}", lambda: os.sched_setaffinity(0, before)


def _checked(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

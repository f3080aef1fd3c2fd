import ctypes
import gc
import os
import subprocess
import sys
import threading

import pytest

from rollahead.errors import ConfigError
from rollahead.runtime.system.tuning import PR_GET_TIMERSLACK, Tuning, tuned_process, tuned_thread

LIBC = ctypes.CDLL(None)


def slack_ns() -> int:
    return int(LIBC.prctl(PR_GET_TIMERSLACK))


def test_the_process_is_set_as_told_and_set_back() -> None:
    before = sys.getswitchinterval(), gc.get_freeze_count()
    with tuned_process(Tuning(switch_interval_s=0.002)) as said:
        assert sys.getswitchinterval() == 0.002
        assert gc.get_freeze_count() > before[1]
        assert said["switch_interval"] == "2 ms, was 5 ms"
    assert (sys.getswitchinterval(), gc.get_freeze_count()) == (before[0], 0)


def test_the_thread_is_set_as_told_and_set_back_and_no_other() -> None:
    before, cores = slack_ns(), os.sched_getaffinity(0)
    seen: list[object] = []

    def run() -> None:
        with tuned_thread(Tuning(timer_slack_ns=7, cores=(min(cores),), fifo=None)) as said:
            seen.extend([slack_ns(), os.sched_getaffinity(0), said])
        seen.extend([slack_ns(), os.sched_getaffinity(0)])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    inside, inside_cores, said, after, after_cores = seen
    assert (inside, inside_cores) == (7, {min(cores)})
    assert (after, after_cores) == (before, cores)
    assert isinstance(said, dict)
    assert said["timer_slack"] == f"7 ns, was {before} ns"
    assert (slack_ns(), os.sched_getaffinity(0)) == (before, cores)


def test_it_is_set_back_when_something_is_raised() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(KeyError), tuned_process(Tuning(switch_interval_s=0.001)):
        raise KeyError
    assert sys.getswitchinterval() == before


UNPRIVILEGED = """
import os, resource
from rollahead.runtime.system.tuning import Tuning, tuned_process, tuned_thread
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
if os.getuid() == 0:
    os.setuid(65534)
with tuned_thread(Tuning(fifo=50, timer_slack_ns=3)) as said, tuned_process(Tuning(lock_memory=True)) as more:
    print(said["scheduling"], said["timer_slack"].split(",")[0], more["memory"], sep=";")
"""


def test_what_is_not_permitted_is_said_and_the_rest_is_set() -> None:
    printed = subprocess.run([sys.executable, "-c", UNPRIVILEGED], capture_output=True, text=True, check=True).stdout
    scheduling, slack, memory = printed.strip().split(";")
    assert scheduling == "not permitted (Operation not permitted)"
    assert slack == "3 ns"
    assert memory.startswith("not permitted (")


def test_torchs_threads_are_set_only_where_torch_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as hidden:
        hidden.setitem(sys.modules, "torch", None)
        with tuned_process(Tuning()) as said:
            assert said["torch_threads"] == "torch is not loaded"
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    with tuned_process(Tuning(torch_threads=3)):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["switch_interval_s", "timer_slack_ns", "torch_threads"])
def test_numbers_that_are_not_positive_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} .*0.*every one must be positive"):
        Tuning(**{name: 0})


@pytest.mark.parametrize("spin_ns", [-1, 1_000_001])
def test_spinning_for_less_than_nothing_or_for_long_is_refused(spin_ns: int) -> None:
    with pytest.raises(ConfigError, match=f"spin_ns is {spin_ns}; give 0"):
        Tuning(spin_ns=spin_ns)


@pytest.mark.parametrize("slice_ns", [0, 99_999, 100_000_001])
def test_a_time_slice_that_the_kernel_does_not_take_is_refused(slice_ns: int) -> None:
    with pytest.raises(ConfigError, match=f"slice_ns is {slice_ns}; give 100000"):
        Tuning(slice_ns=slice_ns)


def test_a_time_slice_is_that_of_its_thread_alone_and_set_back() -> None:
    with tuned_thread(Tuning(slice_ns=200_000, fifo=None)) as said:
        inside = said["slice"]
        with tuned_thread(Tuning(slice_ns=300_000, fifo=None)) as nested:
            assert nested["slice"] == "300000 ns, was 200000"
    before = inside.removeprefix("200000 ns, was ")
    with tuned_thread(Tuning(slice_ns=200_000, fifo=None)) as again:
        assert again["slice"] == f"200000 ns, was {before}"


@pytest.mark.parametrize("fifo", [0, 100, -3])
def test_a_priority_that_does_not_exist_is_refused(fifo: int) -> None:
    with pytest.raises(ConfigError, match=f"the priority fifo is {fifo}; give one from 1 to 99"):
        Tuning(fifo=fifo)


def test_cores_that_are_not_there_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cores is \[5000\], and this process may run on"):
        Tuning(cores=(5000,))

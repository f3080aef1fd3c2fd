"""Processes that share the work."""

import os
import signal
import subprocess
import sys

import pytest

from rollahead.sim.pool import kept, processes

KILLED = """
import os, signal
from rollahead.sim.pool import kept, processes

if __name__ == "__main__":
    kept(2).submit(os.getpid).result()
    with processes(1) as pool:
        pool.submit(os.getpid).result()
        busy = pool.submit(signal.pause)
        while not busy.running():
            pass
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_when_whoever_started_them_is_killed() -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL  # and all that had its output open are gone, or this would not return


def test_an_interrupt_does_not_end_a_process() -> None:
    with processes(1) as pool:
        process = pool.submit(os.getpid).result()
        os.kill(process, signal.SIGINT)
        assert pool.submit(os.getpid).result() == process


def test_what_is_not_begun_when_the_block_is_left_is_dropped() -> None:
    with pytest.raises(KeyboardInterrupt), processes(1) as pool:
        futures = [pool.submit(sum, range(1_000_000)) for _ in range(300)]
        futures[0].result()
        raise KeyboardInterrupt
    dropped = [future for future in futures if future.cancelled()]
    assert dropped
    assert all(future.done() for future in futures)


def test_each_process_renders_with_the_backend_it_was_given() -> None:
    with processes(1, "osmesa") as pool:
        assert pool.submit(os.getenv, "MUJOCO_GL").result() == "osmesa"


def test_kept_processes_are_the_same_whenever_they_are_asked_for() -> None:
    first = kept(1).submit(os.getpid).result()
    assert kept(1).submit(os.getpid).result() == first != os.getpid()

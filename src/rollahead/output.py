"""Standard output that cannot end a run: once it cannot be written to, what is printed is lost and the work goes on.

A run with a robot must not end because a reader (`| head -1`) has gone or a disk is full. `Output.lost` says afterwards
whether something was lost.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import IO, Any, cast

GONE = (errno.EPIPE, errno.EIO)  # a reader that has gone, or a terminal that was closed: nobody to tell


class Output:
    """A file that discards what is written once that has failed. lost: why, empty if it has not, or nobody reads."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.lost = ""

    def write(self, text: str) -> int:
        """Writes `text`, or drops it."""
        try:
            return self._file.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Writes what is held back, or drops it."""
        try:
            self._file.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        """Redirects the file to /dev/null."""
        self.lost = "" if error.errno in GONE else str(error.strerror)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._file.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def output() -> Iterator[Output]:
    """Puts an `Output` in the place of `sys.stdout`, with escapes for characters that its encoding does not have."""
    before = sys.stdout
    if before is None:  # it was closed before Python began
        before = open(os.devnull, "w")  # noqa: SIM115  it lasts as long as the process
    if isinstance(before, TextIOWrapper):
        before.reconfigure(errors="backslashreplace")
    placed = Output(before)
    sys.stdout = cast(Any, placed)
    try:
        yield placed
    finally:
        placed.flush()
        sys.stdout = before

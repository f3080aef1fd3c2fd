"""Standard output whose failure does not end a run: once it cannot be written, further text is dropped.

A robot must not be let go of because a reader (`| head -1`) has gone or a disk is full. `Output.lost` says afterwards
whether anything was dropped.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import IO, Any, cast

GONE = (errno.EPIPE, errno.EIO)  # the reader has gone, or the terminal was closed


class Output:
    """A text file that drops everything written to it once a write has failed.

    `lost`: the reason, empty if no write failed or the reader has gone.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.lost = ""

    def write(self, text: str) -> int:
        """Writes `text`, or drops it, and returns its length."""
        try:
            return self._file.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Writes buffered text, or drops it."""
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
    """Replaces `sys.stdout` by an `Output` while the context is open.

    Characters that its encoding does not have are escaped.
    """
    before = sys.stdout
    if before is None:  # it was closed before Python started
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

"""What tests run in another process: it has to be imported there by name."""

from multiprocessing.connection import Connection
from typing import Any

from rollahead.runtime.bell import Bell
from rollahead.runtime.shared import SharedMailbox


def answer_bell(bell: Bell, back: Bell, control: Connection) -> None:
    """Says that it waits, waits, says what it heard, and rings back."""
    control.send("waiting")
    control.send(bell.wait(30.0))
    back.ring()


def count_torn(box: SharedMailbox[Any, Any], control: Connection) -> None:
    """Reads 300 messages whose values are all their number: how many were torn, or older than the one before."""
    seen, torn, backwards = [0], 0, 0
    control.send("reading")
    while len(seen) < 300:
        newest = box.peek()
        if newest is None or newest["number"] == seen[-1]:
            continue
        torn += int((newest["values"] != newest["number"]).any())
        backwards += int(newest["number"] < seen[-1])
        seen.append(int(newest["number"]))
    control.send((torn, backwards))

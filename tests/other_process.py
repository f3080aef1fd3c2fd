"""What tests run in another process: it has to be imported there by name."""

import os
import signal
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from rollahead.runtime.transport.latch import Latch
from rollahead.runtime.transport.shared import SharedMailbox
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.transport.wire import SharedInbox, SharedOutbox
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.spec import RobotSpec


def set_latch(latch: Latch) -> None:
    """Turns it on."""
    latch.set()


def answer_wake(wake: WakeEvent, back: WakeEvent, control: Connection) -> None:
    """Says that it waits, waits, says what it heard, and rings back."""
    control.send("waiting")
    control.send(wake.wait(30.0))
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


def ask_and_report(spec: RobotSpec, outbox: SharedOutbox, inbox: SharedInbox, control: Connection) -> None:
    """The executor's end: asks at tick 5, and says whether what came answers that, and its rows."""
    seen = Observation(5, frozen([0.25] * len(spec.state)), frozen([0.0] * len(spec.environment)))
    rows = frozen(np.zeros((0, len(spec.action))))
    snapshot = Snapshot(5, (seen,), rows, rows, epoch=0, seed=0)
    request = Request(snapshot, 7, 7, 7, 2)
    outbox.put(snapshot.with_request(request))
    control.send("asked")
    control.recv()
    result = inbox.peek()
    assert isinstance(result, Result)
    control.send((result.request is request, result.rows.tolist()))


def die_between_puts(spec: RobotSpec, outbox: SharedOutbox, control: Connection) -> None:
    """The executor's end: asks at tick 5, waits for a word, goes on to tick 6, asks again at tick 7, and is killed
    before the snapshot of that is out."""

    def at(tick: int) -> Snapshot:
        seen = Observation(tick, frozen([0.25] * len(spec.state)), frozen([0.0] * len(spec.environment)))
        rows = frozen(np.zeros((0, len(spec.action))))
        return Snapshot(tick, (seen,), rows, rows, epoch=0, seed=0)

    def killed(message: Snapshot) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    first, second = (Request(at(tick), tick + 2, tick + 2, None, 2) for tick in (5, 7))
    outbox.put(first.asked.with_request(first))
    control.send("asked")
    control.recv()
    outbox.put(at(6).with_request(first))
    outbox._snapshots.put = killed  # type: ignore[method-assign, assignment]
    outbox.put(second.asked.with_request(second))

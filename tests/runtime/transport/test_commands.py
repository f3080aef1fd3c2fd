"""The writer of orders, from several threads and from signal handlers."""

import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rollahead.runtime.transport.commands import CommandsWriter
from rollahead.runtime.transport.mailbox import Channel, Mailbox
from rollahead.runtime.transport.shared import SharedMailbox
from rollahead.runtime.transport.wire import CommandsCodec
from rollahead.runtime.types.messages import Commands

BOXES: dict[str, Callable[[], Channel[Commands]]] = {
    "thread": Mailbox,
    "process": lambda: SharedMailbox(CommandsCodec()),
}
MANY = 5_000


def estop(commands: Commands) -> Commands:
    return replace(commands, estops=commands.estops + 1, latched=True)


def set_task(commands: Commands) -> Commands:
    return replace(commands, task=commands.task[:1] + "x")


@pytest.fixture(params=BOXES)
def box(request: pytest.FixtureRequest) -> Channel[Commands]:
    return BOXES[request.param]()


def test_no_order_of_several_threads_is_lost(box: Channel[Commands]) -> None:
    writer, begin = CommandsWriter(box, Commands()), threading.Barrier(3)

    def give(change: Callable[[Commands], Commands]) -> None:
        begin.wait()
        for _ in range(MANY):
            writer.give(change)

    threads = [threading.Thread(target=give, args=(change,)) for change in (estop, estop, set_task)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    commands = box.peek()
    assert commands is not None
    assert (commands.estops, commands.latched, commands.task[-1]) == (2 * MANY, True, "x")


@pytest.fixture
def alarms() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Has a function called in the main thread by a real signal, every 0.1 ms."""

    def begin(do: Callable[[], None]) -> None:
        signal.signal(signal.SIGALRM, lambda number, frame: do())
        signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)

    before = signal.getsignal(signal.SIGALRM)
    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


def test_an_order_of_a_handler_that_interrupts_another_order_is_neither_lost_nor_does_it_wait(
    box: Channel[Commands], alarms: Callable[[Callable[[], None]], None]
) -> None:
    writer, given = CommandsWriter(box, Commands()), []

    def handler() -> None:
        given.append(None)
        writer.give(estop)

    alarms(handler)
    while len(given) < 300:
        writer.give(set_task)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    commands = box.peek()
    assert commands is not None
    assert (commands.estops, commands.task) == (len(given), "xx")


def test_an_order_that_comes_while_others_are_applied_is_in_what_is_put() -> None:
    box: Mailbox[Commands] = Mailbox()
    writer = CommandsWriter(box, Commands())

    def interrupted(commands: Commands) -> Commands:
        writer.give(estop)  # as a handler does in the middle of it
        return replace(commands, paused=True)

    writer.give(interrupted)
    assert box.peek() == Commands(paused=True, estops=1, latched=True)


def test_an_order_that_an_exception_interrupts_is_given_with_the_next() -> None:
    box: Mailbox[Commands] = Mailbox()
    writer, broken = CommandsWriter(box, Commands()), [True]

    def interrupted(commands: Commands) -> Commands:
        if broken.pop() if broken else False:
            raise KeyboardInterrupt
        return estop(commands)

    with pytest.raises(KeyboardInterrupt):
        writer.give(interrupted)
    writer.give(set_task)
    assert box.peek() == Commands(estops=1, latched=True, task="x")


def test_an_order_that_comes_while_another_is_put_is_put_as_well() -> None:
    """As one of a signal handler that interrupts the very thread that puts."""

    class Interrupted(Mailbox[Commands]):
        def put(self, message: Commands) -> None:
            if message.estops == 1:
                writer.give(estop)
            super().put(message)

    box = Interrupted()
    writer = CommandsWriter(box, Commands())
    writer.give(estop)
    commands = box.peek()
    assert commands is not None
    assert commands.estops == 2

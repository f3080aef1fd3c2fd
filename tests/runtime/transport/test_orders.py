"""The writer of orders, from several threads and from signal handlers."""

import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rollahead.runtime.transport.mailbox import Box, Mailbox
from rollahead.runtime.transport.orders import OrderWriter
from rollahead.runtime.transport.shared import SharedMailbox
from rollahead.runtime.transport.wire import OrdersCodec
from rollahead.runtime.types.messages import Orders

BOXES: dict[str, Callable[[], Box[Orders]]] = {"thread": Mailbox, "process": lambda: SharedMailbox(OrdersCodec())}
MANY = 5_000


def estop(orders: Orders) -> Orders:
    return replace(orders, estops=orders.estops + 1, latched=True)


def set_task(orders: Orders) -> Orders:
    return replace(orders, task=orders.task[:1] + "x")


@pytest.fixture(params=BOXES)
def box(request: pytest.FixtureRequest) -> Box[Orders]:
    return BOXES[request.param]()


def test_no_order_of_several_threads_is_lost(box: Box[Orders]) -> None:
    writer, begin = OrderWriter(box, Orders()), threading.Barrier(3)

    def give(change: Callable[[Orders], Orders]) -> None:
        begin.wait()
        for _ in range(MANY):
            writer.give(change)

    threads = [threading.Thread(target=give, args=(change,)) for change in (estop, estop, set_task)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    orders = box.peek()
    assert orders is not None
    assert (orders.estops, orders.latched, orders.task[-1]) == (2 * MANY, True, "x")


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
    box: Box[Orders], alarms: Callable[[Callable[[], None]], None]
) -> None:
    writer, given = OrderWriter(box, Orders()), []

    def handler() -> None:
        given.append(None)
        writer.give(estop)

    alarms(handler)
    while len(given) < 300:
        writer.give(set_task)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    orders = box.peek()
    assert orders is not None
    assert (orders.estops, orders.task) == (len(given), "xx")


def test_an_order_that_comes_while_others_are_applied_is_in_what_is_put() -> None:
    box: Mailbox[Orders] = Mailbox()
    writer = OrderWriter(box, Orders())

    def interrupted(orders: Orders) -> Orders:
        writer.give(estop)  # as a handler does in the middle of it
        return replace(orders, paused=True)

    writer.give(interrupted)
    assert box.peek() == Orders(paused=True, estops=1, latched=True)


def test_an_order_that_an_exception_interrupts_is_given_with_the_next() -> None:
    box: Mailbox[Orders] = Mailbox()
    writer, broken = OrderWriter(box, Orders()), [True]

    def interrupted(orders: Orders) -> Orders:
        if broken.pop() if broken else False:
            raise KeyboardInterrupt
        return estop(orders)

    with pytest.raises(KeyboardInterrupt):
        writer.give(interrupted)
    writer.give(set_task)
    assert box.peek() == Orders(estops=1, latched=True, task="x")


def test_an_order_that_comes_while_another_is_put_is_put_as_well() -> None:
    """As one of a signal handler that interrupts the very thread that puts."""

    class Interrupted(Mailbox[Orders]):
        def put(self, message: Orders) -> None:
            if message.estops == 1:
                writer.give(estop)
            super().put(message)

    box = Interrupted()
    writer = OrderWriter(box, Orders())
    writer.give(estop)
    orders = box.peek()
    assert orders is not None
    assert orders.estops == 2

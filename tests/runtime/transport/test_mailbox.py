from itertools import product

from rollahead.runtime.transport.mailbox import Mailbox


def test_an_empty_mailbox_gives_none() -> None:
    assert Mailbox().peek() is None


def test_the_message_itself_is_given_as_often_as_it_is_asked_for() -> None:
    message = [1, 2]
    mailbox = Mailbox()
    mailbox.put(message)
    assert mailbox.peek() is mailbox.peek() is message


def test_in_every_interleaving_the_reader_sees_the_newest_and_never_an_older_one_again() -> None:
    for writes in product([True, False], repeat=10):
        mailbox: Mailbox[int] = Mailbox()
        put, seen = 0, []
        for is_write in writes:
            if is_write:
                put += 1
                mailbox.put(put)
            else:
                seen.append(mailbox.peek())
                assert seen[-1] == (put or None)
        numbers = [number or 0 for number in seen]
        assert numbers == sorted(numbers)

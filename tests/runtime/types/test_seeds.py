from itertools import combinations, product

import numpy as np
import pytest

from rollahead.runtime.types.seeds import generator

CONSUMERS = ("latency", "recording", "planner", "another")
NUMBERS = [(), *product(range(4)), *product(range(3), repeat=2), *product(range(3), repeat=3)]


def drawn(rng: np.random.Generator) -> list[int]:
    return rng.integers(2**62, size=4).tolist()


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_the_same_consumer_and_numbers_give_the_same_stream(consumer: str) -> None:
    for numbers in NUMBERS:
        assert drawn(generator(consumer, *numbers)) == drawn(generator(consumer, *numbers))


def test_another_consumer_or_another_number_gives_another_stream() -> None:
    streams = {
        (consumer, *(n for n in numbers)): drawn(generator(consumer, *numbers))
        for consumer, numbers in product(CONSUMERS, NUMBERS)
        if not numbers or numbers[-1]  # numpy takes (1, 0) for (1,): a consumer has one count of numbers
    }
    for one, other in combinations(streams, 2):
        assert streams[one] != streams[other], (one, other)


def test_a_consumer_with_as_many_numbers_each_time_never_has_a_stream_twice() -> None:
    for n in (1, 2, 3):
        streams = [tuple(drawn(generator("planner", *numbers))) for numbers in product(range(5), repeat=n)]
        assert len(set(streams)) == 5**n


def test_no_stream_is_that_of_a_plain_small_seed() -> None:
    plain = {tuple(drawn(np.random.default_rng(seed))) for seed in range(1000)}
    plain |= {tuple(drawn(np.random.default_rng(numbers))) for numbers in NUMBERS if numbers}
    assert not any(tuple(drawn(generator(c, *numbers))) in plain for c, numbers in product(CONSUMERS, NUMBERS))

import json
from pathlib import Path
from typing import Any

import pytest

from rollahead.errors import ConfigError, ControlError
from rollahead.policies.checkpoints.card import CARD, Card, read_card, write_card
from rollahead.policies.policy import Trained

PLAIN = Card(("s",), ("a", "b"), 30.0)
FULL = Card(("s", "r"), ("a",), 50.0, ("x", "delay"), Trained(12, True, 3), {"name": "mole", "speed": 0.5})


SEEDED = Card(("s",), ("a",), 50.0, task={"name": "rail"}, demonstrated=(3, 9))


@pytest.mark.parametrize("card", [PLAIN, FULL, SEEDED])
def test_a_card_comes_back_as_it_was_written(card: Card, tmp_path: Path) -> None:
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    assert [path.name for path in tmp_path.iterdir()] == [CARD]


def test_a_card_is_written_as_documented(tmp_path: Path) -> None:
    write_card(tmp_path, FULL)
    assert json.loads((tmp_path / CARD).read_text()) == {
        "format": 1,
        "state": ["s", "r"],
        "environment": ["x", "delay"],
        "action": ["a"],
        "rate_hz": 50.0,
        "trained": {
            "offsets": 12,
            "delay_input": True,
            "prefixes": 3,
            "prefix_lengths": "half",
            "offset_state": "recorded",
        },
        "task": {"name": "mole", "speed": 0.5},
    }


def test_the_seeds_of_its_demonstrations_are_written_where_there_are_some(tmp_path: Path) -> None:
    write_card(tmp_path, SEEDED)
    assert json.loads((tmp_path / CARD).read_text())["demonstrated"] == [3, 9]


def test_a_card_needs_no_more_than_names_and_rate(tmp_path: Path) -> None:
    (tmp_path / CARD).write_text('{"format": 1, "state": ["s"], "action": ["a", "b"], "rate_hz": 30}')
    assert read_card(tmp_path) == PLAIN


def test_no_card_is_none(tmp_path: Path) -> None:
    assert read_card(tmp_path) is None


def test_the_delay_is_nothing_that_a_robot_gives() -> None:
    assert FULL.seen == ("x",) and FULL.environment == ("x", "delay")
    assert Card(("s",), ("a",), 50.0, ("x", "delay")).seen == ("x", "delay")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "its format is 2 and this rollahead reads 1"),
        ({"format": None}, "its format is None and this rollahead reads 1"),
        ({"state": "s"}, "its state is 's', not a list of names"),
        ({"action": ["a", 3]}, "its action is ['a', 3], not a list of names"),
        ({"action": ["a", "a"]}, "a card's action names a twice; names must be unique"),
        ({"rate_hz": 0}, "a card's rate_hz is 0; give a positive one"),
        ({"rate_hz": float("inf")}, "rate_hz is inf; give a finite number"),
        ({"rate_hz": "fast"}, "rate_hz is 'fast'; give a number"),
        ({"speed": 3}, "there is no option called 'speed'"),
        (
            {"trained": {"offset": 3}},
            "there is no option of the trained 'offset'; did you mean 'offsets' or 'offset_state'?",
        ),
        ({"trained": {"offsets": 2.5}}, "trained.offsets is 2.5; give a whole number"),
        ({"trained": {"offsets": -1}}, "a card's offsets is -1 and prefixes 0; give 0 or more ticks"),
        ({"trained": {"prefixes": -2}}, "a card's offsets is 0 and prefixes -2; give 0 or more ticks"),
        ({"trained": [3]}, "is not a valid card ("),
        ({"demonstrated": [5, 5]}, "a card's demonstrated goes from 5 to before 5; give the first seed, 0 or more"),
        ({"demonstrated": [-1, 5]}, "a card's demonstrated goes from -1 to before 5; give the first seed, 0 or more"),
        ({"demonstrated": [5]}, "demonstrated has 1 values; give 2"),
        ({"demonstrated": 5}, "demonstrated is 5; give"),
        (
            {"trained": {"delay_input": True}, "environment": ["x"]},
            "a card has delay_input and the environment x, which does not end with 'delay'; add it",
        ),
        (
            {"trained": {"delay_input": True}},
            "a card has delay_input and the environment without names, which does not",
        ),
    ],
)
def test_what_is_no_card_is_refused_with_the_reason(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    written = {"format": 1, "state": ["s"], "action": ["a"], "rate_hz": 50.0, **change}
    (tmp_path / CARD).write_text(json.dumps(written))
    with pytest.raises(ConfigError) as caught:
        read_card(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / CARD} is not a valid card (") and words in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"state": ["s"], "action": ["a"], "rate_hz": 50.0}'])
def test_a_damaged_card_is_refused_as_one(text: str, tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(text)
    with pytest.raises(ConfigError, match=r"is not a valid card \(.*\); write it again with write_card"):
        read_card(tmp_path)


def test_a_card_that_the_disk_does_not_take_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="could not be written"):
        write_card(tmp_path / "nowhere", PLAIN)

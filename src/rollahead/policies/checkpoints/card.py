"""The card of a checkpoint: names, rate and training options that LeRobot's own files do not contain.

rollahead.json   {"format": 1, "state": ["a", "b"], "environment": ["x", "delay"], "action": ["a", "b"],
                  "rate_hz": 50, "trained": {"offsets": 12, "delay_input": true, "prefixes": 0,
                  "prefix_lengths": "half", "offset_state": "recorded"}, "task": {...}, "demonstrated": [0, 3000]}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError
from rollahead.policies.policy import Trained
from rollahead.runtime.recording.run_folder import written_whole
from rollahead.runtime.system.patience import error_text
from rollahead.runtime.types.options import call

CARD = "rollahead.json"
FORMAT = 1
DELAY = "delay"
NAMES = ("state", "environment", "action")


@dataclass(frozen=True, slots=True)
class Card:
    """Names, rate and training options of a policy.

    Attributes:
        state: Names of the state dimensions, in the network's order.
        action: Names of the action dimensions, in the network's order.
        rate_hz: Ticks per second.
        environment: Names of the environment dimensions, in the network's order. With `trained.delay_input` the last
            one is `delay`, the ticks by which the state is ahead, which no robot gives.
        trained: Delays and prefixes that the policy was trained for.
        task: `name` and options of the task that it was trained on.
        demonstrated: First seed, and the seed after the last, of the task's episodes that it learned from. None if it
            learned from a data set, or from demonstrations that begin anywhere.
    """

    state: tuple[str, ...]
    action: tuple[str, ...]
    rate_hz: float
    environment: tuple[str, ...] = ()
    trained: Trained = field(default_factory=Trained)
    task: Mapping[str, Any] = field(default_factory=dict)
    demonstrated: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for what in NAMES:
            names = getattr(self, what)
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ConfigError(f"a card's {what} names {', '.join(twice)} twice; names must be unique")
        if not 0 < self.rate_hz < float("inf"):
            raise ConfigError(f"a card's rate_hz is {self.rate_hz}; give a positive one")
        if self.trained.offsets < 0 or self.trained.prefixes < 0:
            raise ConfigError(
                f"a card's offsets is {self.trained.offsets} and prefixes {self.trained.prefixes}; give 0 or more ticks"
            )
        start, stop = self.demonstrated or (0, 1)
        if not 0 <= start < stop:
            raise ConfigError(
                f"a card's demonstrated goes from {start} to before {stop}; give the first seed, 0 or more, and a "
                "larger one"
            )
        if self.trained.delay_input and self.environment[-1:] != (DELAY,):
            raise ConfigError(
                f"a card has delay_input and the environment {', '.join(self.environment) or 'without names'}, which "
                f"does not end with {DELAY!r}; add it"
            )

    @property
    def seen(self) -> tuple[str, ...]:
        """The names of the environment dimensions that the robot gives, without the delay."""
        return self.environment[:-1] if self.trained.delay_input else self.environment


def write_card(folder: Path, card: Card) -> None:
    """Writes `card` into the checkpoint in `folder`."""
    content = {"format": FORMAT, **asdict(card)}
    if card.demonstrated is None:
        del content["demonstrated"]  # so that versions without this field can read the card
    with written_whole(folder / CARD) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1) + "\n")


def read_card(folder: Path) -> Card | None:
    """The card of the checkpoint in `folder`, None if it has none.

    Raises: ConfigError, if the file is not a valid card.
    """
    path = folder / CARD
    if not path.exists():
        return None
    try:
        written = json.loads(path.read_text())
        fields = {**written, **{what: _names(written, what) for what in NAMES}}
        fields["trained"] = call(Trained, written.get("trained", {}), "trained")
        if isinstance(seeds := fields.get("demonstrated"), list):
            fields["demonstrated"] = tuple(seeds)
        if fields.pop("format") != FORMAT:
            raise ConfigError(f"its format is {written['format']} and this rollahead reads {FORMAT}")
        return call(Card, fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        reason = error if isinstance(error, ConfigError) else error_text(error)
        raise ConfigError(f"{path} is not a valid card ({reason}); write it again with write_card") from error


def _names(written: Mapping[str, Any], what: str) -> tuple[str, ...]:
    names = written.get(what, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"its {what} is {names!r}, not a list of names")
    return tuple(names)

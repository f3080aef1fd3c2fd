import json
from pathlib import Path
from typing import Any

import pytest

from rollahead.errors import ConfigError
from rollahead.policies.card import Card
from rollahead.policies.features import ACTION, ENVIRONMENT, STATE, Features
from rollahead.policies.names import named
from rollahead.runtime.spec import Dim, Kind, RobotSpec

FOLDER = Path("/some/checkpoint")
FEATURES = Features(state=2, action=3, environment=1, cameras={})


def robot(state: int = 2, action: int = 3, environment: int = 1) -> RobotSpec:
    return RobotSpec(
        state=tuple(Dim(f"robot_s{i}") for i in range(state)),
        action=tuple(Dim(f"robot_a{i}", kind=Kind.VELOCITY) for i in range(action)),
        environment=tuple(Dim(f"robot_e{i}") for i in range(environment)),
        rate_hz=25.0,
    )


def dataset(folder: Path, **names: Any) -> Path:
    """A data set that calls features of the sizes above by `names`."""
    keys = {"state": STATE, "action": ACTION, "environment": ENVIRONMENT}
    features = {keys[part]: {"dtype": "float32", "names": each} for part, each in names.items()}
    (folder / "meta").mkdir()
    (folder / "meta" / "info.json").write_text(json.dumps({"fps": 30, "features": features}))
    return folder


def refused(card: Card | None = None, dataset: Path | None = None, robot: RobotSpec | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        named(FOLDER, FEATURES, card, dataset, robot)
    return str(caught.value)


def test_a_card_is_believed_before_all_others(tmp_path: Path) -> None:
    card = Card(("s", "r"), ("a", "b", "c"), 50.0, ("x",))
    assert named(FOLDER, FEATURES, card, dataset(tmp_path, state=["p", "q"]), robot()) is card


def test_a_data_set_that_is_not_there_is_refused_even_where_a_card_gives_the_names(tmp_path: Path) -> None:
    card = Card(("s", "r"), ("a", "b", "c"), 50.0, ("x",))
    message = refused(card, tmp_path / "nope", robot())
    assert message.startswith(f"{tmp_path}/nope/meta/info.json cannot be read")
    assert message.endswith("; give the folder of a LeRobotDataset")


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (Card(("s",), ("a", "b", "c"), 50.0, ("x",)), "has 1 names of state (s), and the policy 2"),
        (Card(("s", "r"), ("a",), 50.0, ("x",)), "has 1 names of action (a), and the policy 3"),
        (Card(("s", "r"), ("a", "b", "c"), 50.0), "has 0 names of environment (none), and the policy 1"),
    ],
)
def test_a_card_of_other_sizes_is_refused_with_both(card: Card, words: str) -> None:
    assert refused(card, robot=robot()) == f"{FOLDER}/rollahead.json {words}; mend it"


@pytest.mark.parametrize(
    "names",
    [
        {"state": ["s", "r"]},
        {"state": {"motors": ["s", "r"]}},
        {"state": {"left": ["s"], "right": ["r"]}},
        {"state": {"r": 1, "s": 0}},
        {"state": {"arms": {"left": ["s"], "right": ["r"]}}},
    ],
)
def test_names_and_rate_are_the_data_sets_and_what_it_does_not_name_the_robots(names: Any, tmp_path: Path) -> None:
    card = named(FOLDER, FEATURES, None, dataset(tmp_path, **names, action=["a", "b", "c"], environment=None), robot())
    assert card == Card(("s", "r"), ("a", "b", "c"), 30.0, ("robot_e0",))


def test_without_a_data_set_all_is_the_robots_in_its_order() -> None:
    assert named(FOLDER, FEATURES, None, None, robot()) == Card(
        ("robot_s0", "robot_s1"), ("robot_a0", "robot_a1", "robot_a2"), 25.0, ("robot_e0",)
    )


def test_a_policy_that_sees_no_scene_needs_no_names_of_it() -> None:
    blind = Features(state=2, action=3, environment=0, cameras={})
    assert named(FOLDER, blind, None, None, robot()).environment == ()


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"state": 4}, "the robot has 4 names of state (robot_s0, robot_s1, robot_s2, robot_s3), and the policy 2"),
        ({"action": 2}, "the robot has 2 names of action (robot_a0, robot_a1), and the policy 3"),
        ({"environment": 0}, "the robot has 0 names of environment (none), and the policy 1"),
    ],
)
def test_a_robot_of_other_sizes_is_refused_with_both_and_the_remedy(sizes: dict[str, int], words: str) -> None:
    said = refused(robot=robot(**sizes))
    assert said.startswith(words) and "planner.dataset=..." in said


def test_a_data_set_of_other_sizes_is_refused_with_both(tmp_path: Path) -> None:
    said = refused(dataset=dataset(tmp_path, state=["s"], action=["a", "b", "c"], environment=["x"]))
    assert said.startswith(f"data set {tmp_path} has 1 names of state (s), and the policy 2")


@pytest.mark.parametrize("names", ["sr", 3, [["s"], ["r"]], {"s": "first", "r": "second"}, {"s": None}])
def test_names_that_cannot_be_read_are_refused_and_not_taken_from_the_robot(names: Any, tmp_path: Path) -> None:
    said = refused(dataset=dataset(tmp_path, state=names), robot=robot())
    assert said.startswith(f"{tmp_path}/meta/info.json cannot be read (") and "is no list of names" in said


def test_what_nobody_names_is_said(tmp_path: Path) -> None:
    assert f"nothing says at what rate {FOLDER} was trained; give" in refused()
    said = refused(dataset=dataset(tmp_path, state=["s", "r"], action=None))
    assert f"nothing names the 1 numbers of environment that {FOLDER} has" in said or "3 numbers of action" in said


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"features": {}}', '{"fps": "x", "features": {}}'])
def test_what_is_no_data_set_is_refused(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        dataset(tmp_path)
        (tmp_path / "meta" / "info.json").write_text(text)
    said = refused(dataset=tmp_path)
    assert (
        said.startswith(f"{tmp_path}/meta/info.json cannot be read (") and "give the folder of a LeRobotDataset" in said
    )

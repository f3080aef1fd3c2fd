import json
from pathlib import Path
from typing import Any

import pytest

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.card import Card
from rollahead.policies.checkpoints.names import named
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE, Features
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

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
    assert named(FOLDER, FEATURES, card, dataset(tmp_path, state=["p", "q"]), robot()) == (card, ())


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
    given = dataset(tmp_path, **names, action=["a", "b", "c"], environment=None)
    card, lines = named(FOLDER, FEATURES, None, given, robot())
    assert card == Card(("s", "r"), ("a", "b", "c"), 30.0, ("robot_e0",))
    assert lines == (f"assumed: the environment of {FOLDER} is in the robot's order, robot_e0; no file names it",)


def test_without_a_data_set_all_is_the_robots_in_its_order_and_said_if_that_is_trusted() -> None:
    card, lines = named(FOLDER, FEATURES, None, None, robot(), trust_order=True)
    assert card == Card(("robot_s0", "robot_s1"), ("robot_a0", "robot_a1", "robot_a2"), 25.0, ("robot_e0",))
    order = f"of {FOLDER} is in the robot's order,"
    assert lines == (
        f"assumed: the state {order} robot_s0, robot_s1; no file names it",
        f"assumed: the environment {order} robot_e0; no file names it",
        f"assumed: the action {order} robot_a0, robot_a1, robot_a2; no file names it",
        f"assumed: {FOLDER} was trained at the robot's rate, 25 Hz; no file gives one",
    )


def test_an_order_and_a_rate_that_no_file_gives_want_to_be_trusted() -> None:
    assert refused(robot=robot()) == (
        f"no file says in which order {FOLDER} has its state and action, nor at what rate it was trained; "
        "give the data set that it was trained on (planner.dataset=...), or, if the robot has the same order and rate "
        "(25 Hz), planner.trust_order=true"
    )


def test_an_order_that_the_data_set_does_not_give_wants_to_be_trusted(tmp_path: Path) -> None:
    said = refused(dataset=dataset(tmp_path, state=["s", "r"], action=None, environment=["x"]), robot=robot())
    assert said.startswith(f"no file says in which order {FOLDER} has its action; give the data set that it was")
    assert said.endswith("or, if the robot has the same order, planner.trust_order=true")


def test_a_rate_that_no_file_gives_wants_to_be_trusted_where_there_is_no_order() -> None:
    one = Features(state=1, action=1, environment=0, cameras={})
    with pytest.raises(
        ConfigError, match=f"no file says at what rate {FOLDER} was trained; .* the same rate \\(25 Hz\\)"
    ):
        named(FOLDER, one, None, None, robot(1, 1))
    assert len(named(FOLDER, one, None, None, robot(1, 1), trust_order=True)[1]) == 3


def test_names_that_are_a_permutation_of_the_robots_stay_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    names = {"state": ["robot_s1", "robot_s0"], "action": ["robot_a2", "robot_a0", "robot_a1"], "environment": ["x"]}
    card, lines = named(FOLDER, FEATURES, None, dataset(tmp_path, **names), robot())
    assert (card.state, card.action, lines) == (tuple(names["state"]), tuple(names["action"]), ())


def trained(folder: Path, **told: Any) -> Path:
    """A checkpoint beside whose weights LeRobot says what it was trained on."""
    folder.mkdir()
    (folder / "train_config.json").write_text(json.dumps({"dataset": told, "steps": 10}))
    return folder


NAMES = {"state": ["s", "r"], "action": ["a", "b", "c"], "environment": ["x"]}
NAMED = Card(("s", "r"), ("a", "b", "c"), 30.0, ("x",))


@pytest.fixture
def lerobot_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LeRobot's cache, empty."""
    monkeypatch.setattr(compat, "HF_LEROBOT_HOME", tmp_path / "lerobot", raising=False)
    return tmp_path / "lerobot"


def test_the_data_set_that_train_config_names_gives_names_and_rate(tmp_path: Path, lerobot_home: Path) -> None:
    data = dataset(tmp_path, **NAMES)
    folder = trained(tmp_path / "checkpoint", repo_id="user/pick", root=str(data))
    card, lines = named(folder, FEATURES, None, None, robot())
    assert card == NAMED
    assert lines == (f"names and rate are those of data set {data}, which train_config.json names",)


@pytest.mark.parametrize("root", [None, "moved/away"])
@pytest.mark.parametrize("where", ["user/pick", "hub/datasets--user--pick/snapshots/0123456789"])
def test_it_is_found_in_either_of_lerobots_caches(
    where: str, root: str | None, tmp_path: Path, lerobot_home: Path
) -> None:
    (lerobot_home / where).mkdir(parents=True)
    dataset(lerobot_home / where, **NAMES)
    if where.startswith("hub"):
        refs = lerobot_home / "hub/datasets--user--pick/refs"
        refs.mkdir()
        (refs / "v3.0").write_text("0123456789")
    assert named(trained(tmp_path / "c", repo_id="user/pick", root=root), FEATURES, None, None, robot())[0] == NAMED


def test_a_data_set_that_is_given_is_believed_before_the_one_that_train_config_names(
    tmp_path: Path, lerobot_home: Path
) -> None:
    (tmp_path / "other").mkdir()
    folder = trained(tmp_path / "c", repo_id="user/pick", root=str(dataset(tmp_path / "other", state=["p", "q"])))
    assert named(folder, FEATURES, None, dataset(tmp_path, **NAMES), robot()) == (NAMED, ())


def test_a_data_set_that_is_not_on_this_machine_is_named_in_the_remedy(tmp_path: Path, lerobot_home: Path) -> None:
    folder = trained(tmp_path / "c", repo_id="user/pick", root=None)
    with pytest.raises(ConfigError) as caught:
        named(folder, FEATURES, None, None, robot())
    assert "(train_config.json names user/pick, which is not on this machine)" in str(caught.value)
    assert "trained on (planner.dataset=user/pick), or, if the robot has the same order" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", '{"dataset": 3}', '{"dataset": {"repo_id": ["a/b"]}}', "[" * 100_000])
def test_a_train_config_that_names_no_data_set_is_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "train_config.json").write_text(text)
    assert len(named(tmp_path, FEATURES, None, None, robot(), trust_order=True)[1]) == 4


def test_features_that_the_checkpoint_renames_are_named_by_the_data_set(tmp_path: Path) -> None:
    data = dataset(tmp_path, **NAMES)
    info = json.loads((data / "meta/info.json").read_text())
    info["features"]["observation.joints"] = info["features"].pop(STATE)
    (data / "meta/info.json").write_text(json.dumps(info))
    rename = {"observation.joints": STATE}
    assert named(FOLDER, FEATURES, None, data, robot(), rename=rename) == (NAMED, ())


def test_a_policy_that_sees_no_scene_needs_no_names_of_it() -> None:
    blind = Features(state=2, action=3, environment=0, cameras={})
    assert named(FOLDER, blind, None, None, robot(), trust_order=True)[0].environment == ()


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
    assert said.startswith(f"{tmp_path}/meta/info.json cannot be read (") and "is neither a list of names" in said


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

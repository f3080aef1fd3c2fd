from typing import Any

import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE, camera_name, features_of


def config(*, outputs: Any = None, **inputs: Any) -> dict[str, Any]:
    numbers = {STATE: {"type": "STATE", "shape": [3]}}
    return {
        "input_features": {**numbers, **{key.replace("__", "."): each for key, each in inputs.items()}},
        "output_features": {ACTION: {"type": "ACTION", "shape": [2]}} if outputs is None else outputs,
    }


def refused(written: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        features_of(written)
    return str(caught.value)


def test_state_environment_action_and_cameras_are_found_by_their_names() -> None:
    image = {"type": "VISUAL", "shape": [3, 48, 64]}
    made = features_of(
        config(
            observation__images__top=image,
            observation__image=image,
            observation__environment_state={"type": "ENV", "shape": [5]},
        )
    )
    assert (made.state, made.environment, made.action) == (3, 5, 2)
    assert made.camera_names == ("top", "image")
    assert made.sizes == {STATE: 3, ENVIRONMENT: 5, ACTION: 2, "observation.images.top": 3, "observation.image": 3}


def test_what_is_not_there_has_no_size() -> None:
    made = features_of(config())
    assert (made.environment, made.cameras) == (0, {}) and set(made.sizes) == {STATE, ACTION}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("observation.images.a.b", "a.b"),
        ("observation.image", "image"),
        ("observation.image2", "image2"),
        ("eye", "eye"),
    ],
)
def test_a_camera_is_called_as_the_robot_calls_it(key: str, name: str) -> None:
    assert camera_name(key) == name


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("observation.effort", "STATE"),
        ("observation.tokens", "LANGUAGE"),
        ("next.reward", "REWARD"),
        ("observation.goal", "ENV"),
    ],
)
def test_a_feature_that_is_none_of_ours_is_refused_by_name(key: str, kind: str) -> None:
    written = config()
    written["input_features"][key] = {"type": kind, "shape": [2]}
    assert f"the policy takes {key} ({kind}), which is neither" in refused(written)


def test_a_policy_without_state_or_action_is_refused() -> None:
    said = "a policy needs observation.state and gives action, and this one's are "
    assert said + "observation.state; train" in refused(config(outputs={}))
    assert said + "action" in refused({**config(), "input_features": None})
    assert said + "none" in refused({"input_shapes": {STATE: [3]}})  # of LeRobot's first versions


@every(
    "written",
    [
        {"input_features": [STATE]},
        {"input_features": {STATE: [3]}},
        {"input_features": {STATE: {"shape": [3]}}},
        {"input_features": {STATE: {"type": "STATE", "shape": ["three"]}}},
        {"input_features": {STATE: {"type": "STATE", "shape": 3}}},
    ],
)
def test_features_that_cannot_be_read_are_said_so(written: dict[str, Any]) -> None:
    assert refused(written).startswith("the input_features of config.json cannot be read (")


@pytest.mark.parametrize(
    ("key", "kind", "shape"),
    [(STATE, "STATE", []), (STATE, "STATE", [2, 3]), ("observation.images.top", "VISUAL", [3, 4])],
)
def test_a_shape_of_another_kind_is_refused(key: str, kind: str, shape: list[int]) -> None:
    written = config()
    written["input_features"][key] = {"type": kind, "shape": shape}
    assert f"{key} of config.json ({kind}) has the shape {tuple(shape)}" in refused(written)

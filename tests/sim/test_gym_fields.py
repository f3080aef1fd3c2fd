"""Which numbers of an observation are the state, and what is said of a place that it does not have."""

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.sim.gym_fields import fields_of

ARRAY = np.arange(5.0)
KEYED = {"arm": {"joints": np.array([1.0, 2.0, 3.0]), "grip": 4}, "goal": np.array([[5, 6]], np.float32)}


@every(
    ("wanted", "observation", "names", "values"),
    [
        ({"x": 0, "w": 4}, ARRAY, ("x", "w"), [0, 4]),
        ({"x": "1", "tail": "3:"}, ARRAY, ("x", "tail_0", "tail_1"), [1, 3, 4]),
        ({"one": "1:2", "all": ":"}, ARRAY, ("one", "all_0", "all_1", "all_2", "all_3", "all_4"), [1, 0, 1, 2, 3, 4]),
        ({"j": "arm.joints.1:3", "grip": "arm.grip"}, KEYED, ("j_0", "j_1", "grip"), [2, 3, 4]),
        ({"goal": "goal", "elbow": "arm.joints.1"}, KEYED, ("goal_0", "goal_1", "elbow"), [5, 6, 2]),
        ({}, KEYED, (), []),
    ],
)
def test_a_place_is_an_index_a_slice_or_a_key_with_one_of_these(wanted, observation, names, values):
    fields = fields_of("task.state", wanted, observation)
    assert fields.names == names
    assert fields(observation).tolist() == values
    assert fields(observation).dtype == np.float64


def test_a_key_that_holds_a_dot_and_one_that_begins_another_are_told_apart():
    observation = {"observation": np.array([1.0]), "observation.state": np.array([2.0, 3.0])}
    fields = fields_of("task.state", {"a": "observation.0", "b": "observation.state.1"}, observation)
    assert fields(observation).tolist() == [1.0, 3.0]


REFUSED = {
    "another key": (
        "arm.joint.0",
        KEYED,
        "the observation has the keys arm.joints (3 numbers), arm.grip (1 number), goal",
    ),
    "a key that is none": (
        "x",
        ARRAY,
        "the observation has no keys, but 5 numbers; give an index such as 0, or a slice",
    ),
    "an index too far": ("5", ARRAY, "task.state.x is '5', and there are 5 numbers; count from 0"),
    "a slice too far": ("arm.joints.2:4", KEYED, "and there are 3 numbers; count from 0, and give a stop of at most 3"),
    "a slice of nothing": ("2:2", ARRAY, "task.state.x is '2:2', and there are 5 numbers"),
    "an index from the end": ("-1", ARRAY, "task.state.x is '-1', and the observation has no keys"),
}


@every("case", REFUSED)
def test_a_place_that_is_not_there_is_refused_with_those_that_are(case):
    where, observation, words = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        fields_of("task.state", {"x": where}, observation)
    assert words in str(caught.value) and "\n" not in str(caught.value)

from dataclasses import replace
from pathlib import Path

import numpy as np

from every import every
from rollahead.policies.data.dataset import read_dataset, write_dataset
from rollahead.policies.data.frames import FIGURES
from rollahead.policies.data.statistics import with_own_statistics
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE

from ..data.test_dataset import SPEC, shown
from ..trainers import NAMES, random_frames, stats_of

FRAMES = random_frames()


def test_statistics_as_lerobot_writes_them_are_right(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", SPEC, shown(), text="", fps=50)
    frames = read_dataset(tmp_path / "dataset")
    assert with_own_statistics(frames) == (frames, None)


@every("figure", FIGURES)
@every("feature", [STATE, ENVIRONMENT, ACTION])
@every("told", [-9.0, 114.0])
def test_one_wrong_number_is_named_and_the_datas_own_are_used(feature: str, figure: str, told: float) -> None:
    wrong = {key: {name: values.copy() for name, values in each.items()} for key, each in FRAMES.stats.items()}
    wrong[feature][figure][1] = told
    frames, words = with_own_statistics(replace(FRAMES, stats=wrong))
    assert words is not None
    assert f"says {told:.4g} for the {figure} of {feature} {NAMES[feature][1]!r}, and the data has " in words
    own = stats_of({key: getattr(FRAMES, key.split(".")[-1].removesuffix("_state")) for key in NAMES})
    for key in NAMES:
        for name in FIGURES:
            np.testing.assert_allclose(frames.stats[key][name], own[key][name], rtol=1e-5, atol=1e-6)


def test_the_worst_of_several_is_named() -> None:
    wrong = {key: {name: values.copy() for name, values in each.items()} for key, each in FRAMES.stats.items()}
    wrong[STATE]["min"] -= 1.0
    wrong[ACTION]["max"] += 100.0
    _, words = with_own_statistics(replace(FRAMES, stats=wrong))
    assert words is not None and "for the max of action" in words


def test_a_number_that_never_changes_and_one_that_is_rounded_are_right() -> None:
    action = FRAMES.action.copy()
    action[:, 0] = 0.3
    stats = stats_of({STATE: FRAMES.state, ENVIRONMENT: FRAMES.environment, ACTION: action})
    rounded = {key: {name: values.astype(np.float16) for name, values in each.items()} for key, each in stats.items()}
    for told in (stats, rounded):
        frames = replace(FRAMES, action=action, stats=told)
        assert with_own_statistics(frames) == (frames, None)

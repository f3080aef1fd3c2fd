import numpy as np
import pytest

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.data.frames import narrowed
from rollahead.policies.lerobot.features import ACTION

from ..trainers import ACT, DIFFUSION, FLOW, random_frames, trainer_of


@pytest.mark.parametrize("policy", [FLOW, DIFFUSION, ACT], ids=lambda policy: policy["name"])
def test_an_action_takes_up_the_share_of_the_range_that_it_is_given(policy, tmp_path) -> None:
    frames = random_frames()
    made = {}
    for share in (1.0, 0.1):
        trainer = trainer_of(policy, narrowed(frames, {"a1": share}))
        trainer.save(tmp_path / f"{share}")
        made[share] = load_policy(tmp_path / f"{share}")
    rows = np.stack([frames.action.min(axis=0), frames.action.max(axis=0), frames.action[5]]).astype(np.float64)
    whole, tenth = (made[share].normalised(rows).numpy() for share in (1.0, 0.1))
    assert np.allclose(tenth[:, 0], whole[:, 0])
    assert np.allclose(tenth[:, 1], 0.1 * whole[:, 1], atol=1e-6)
    assert np.allclose(made[0.1].rows(made[0.1].normalised(rows))[: len(rows)], rows[: len(rows)], atol=1e-5)


def test_the_statistics_of_a_data_set_are_left_as_they_were() -> None:
    frames = random_frames()
    before = {figure: values.copy() for figure, values in frames.stats[ACTION].items()}
    narrowed(frames, {"a0": 0.5})
    assert all((frames.stats[ACTION][figure] == values).all() for figure, values in before.items())


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=r"scale\.a0 is .*; give a share of the range above 0 and up to 1"):
        narrowed(random_frames(), {"a0": share})


def test_an_action_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="no action to scale 'a2'; did you mean"):
        narrowed(random_frames(), {"a2": 0.1})

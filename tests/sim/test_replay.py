from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rollahead.errors import ControlError
from rollahead.sim import render
from rollahead.sim.replay import EVERY, SIZE, clip

MOLE = {"name": "mole"}


@pytest.fixture
def nonsense(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A MUJOCO_GL that renders nothing. What renders is asked once per process, so it is forgotten before and after."""
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    render.backend.cache_clear()
    yield
    render.backend.cache_clear()


def lane(ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """An episode of so many ticks in which the tool moves to the right."""
    states = np.zeros((ticks, 4))
    states[:, 0] = np.linspace(-0.3, 0.3, ticks)
    return states, np.tile([0.1, 0.2], (ticks, 1))


@pytest.mark.usefixtures("nonsense")
def test_where_nothing_renders_there_is_no_clip_and_no_error(tmp_path: Path) -> None:
    assert clip(tmp_path / "clip.webp", MOLE, [lane(4)], 0.02) is False
    assert list(tmp_path.iterdir()) == []


def test_a_clip_has_its_lanes_side_by_side_for_as_long_as_the_longest(tmp_path: Path) -> None:
    if render.backend() is None:
        pytest.skip(render.explain())
    assert clip(tmp_path / "clip.webp", MOLE, [lane(4), lane(9)], 0.02)
    with Image.open(tmp_path / "clip.webp") as drawn:
        assert (drawn.size, drawn.n_frames) == ((2 * SIZE, SIZE), len(range(0, 9, EVERY)))
        drawn.load()
        assert drawn.info["duration"] == 20 * EVERY


def test_a_clip_that_cannot_be_written_is_one_sentence_with_the_reason(tmp_path: Path) -> None:
    if render.backend() is None:
        pytest.skip(render.explain())
    with pytest.raises(ControlError, match=r"the clip clip\.webp could not be rendered") as caught:
        clip(tmp_path / "nowhere" / "clip.webp", MOLE, [lane(2)], 0.02)
    assert "nowhere" in str(caught.value)
    assert "\n" not in str(caught.value)

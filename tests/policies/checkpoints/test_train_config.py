"""LeRobot's word on what a checkpoint was trained on, as its own class writes it."""

from importlib import import_module
from pathlib import Path

import pytest

from rollahead.policies.checkpoints.train_config import TRAIN_CONFIG, TrainedOn, trained_on


def write(folder: Path, repo: str, root: Path | None) -> None:
    """Writes train_config.json as LeRobot's training does."""
    dataset = import_module("lerobot.configs.default").DatasetConfig(
        repo_id=repo, root=None if root is None else str(root)
    )
    import_module("lerobot.configs.train").TrainPipelineConfig(dataset=dataset)._save_pretrained(folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data/meta").mkdir(parents=True)
    (tmp_path / "data/meta/info.json").write_text("{}")
    return tmp_path / "data"


def test_the_folder_that_the_training_read_is_found(data: Path, tmp_path: Path) -> None:
    write(tmp_path, "user/pick", data)
    assert trained_on(tmp_path) == TrainedOn("user/pick", data)


@pytest.mark.parametrize("root", [None, Path("nowhere")])
def test_a_data_set_that_is_not_here_is_named_all_the_same(root: Path | None, tmp_path: Path) -> None:
    write(tmp_path, "nobody-such/pick-that-is-not-here", root)
    assert trained_on(tmp_path) == TrainedOn("nobody-such/pick-that-is-not-here", None)


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert trained_on(tmp_path) == TrainedOn(None, None)


@pytest.mark.parametrize("repo", ["", "/", "../secret", "a/b/c", "no id at all!"])
def test_a_name_that_is_no_id_is_looked_for_nowhere_else(repo: str, tmp_path: Path) -> None:
    (tmp_path / TRAIN_CONFIG).write_text(f'{{"dataset": {{"repo_id": "{repo}"}}}}')
    assert trained_on(tmp_path).folder is None

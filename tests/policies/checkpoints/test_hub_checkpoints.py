import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from benchmarks.policy_parity import HORIZON

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.checkpoints.hub import checkpoint_folder, described_folder
from rollahead.policies.checkpoints.shipped import FOLDER, find
from rollahead.policies.lerobot import compat

from .hub_server import COMMIT, hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of huggingface_hub, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(compat, "HF_LEROBOT_HOME", tmp_path / "lerobot", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def cached(cache: Path, kind: str, repo: str, revision: str) -> Path:
    """The folder of a snapshot, as huggingface_hub lays it out."""
    folder = cache / f"{kind}s--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / revision).write_text(COMMIT)
    return folder / "snapshots" / COMMIT


@pytest.mark.parametrize(("name", "revision"), [("user/pick", "main"), ("user/pick@v2", "v2")])
def test_a_checkpoint_that_was_fetched_before_is_taken_from_the_cache(
    name: str, revision: str, cache: Path, act_folder: Path
) -> None:
    shutil.copytree(act_folder, cached(cache, "model", "user/pick", revision))
    assert load_policy(find(name), device="cpu").spec.horizon == HORIZON


def test_a_folder_that_exists_wins(cache: Path, act_folder: Path) -> None:
    cached(cache, "model", "user/pick", "main").mkdir(parents=True)
    shutil.copytree(act_folder, "user/pick")
    assert find("user/pick") == Path("user/pick")


def test_a_checkpoint_that_cannot_be_fetched_is_refused_in_one_sentence(cache: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find("user/pick")
    assert str(caught.value) == (
        "user/pick is not a local folder, and the checkpoint user/pick cannot be fetched from the Hugging Face Hub "
        "(HF_HUB_OFFLINE is set, and the checkpoint is not in the cache); give a folder, or fix the id or the "
        "connection"
    )


@pytest.mark.parametrize("name", ["runs/mine/checkpoint", "/nowhere/at_all", "./user/pick", "../pick"])
def test_a_path_that_is_no_id_is_left_alone(name: str, cache: Path) -> None:
    assert checkpoint_folder(name) == Path(name)


def test_the_names_of_a_data_set_are_found_in_the_cache_of_lerobot(cache: Path, tmp_path: Path) -> None:
    info = cached(tmp_path / "lerobot/hub", "dataset", "user/data", "v3.0") / "meta/info.json"
    info.parent.mkdir(parents=True)
    info.write_text(json.dumps({"fps": 30, "features": {}}))
    assert (described_folder("user/data") / "meta/info.json").samefile(info)


def test_a_data_set_that_cannot_be_fetched_is_refused_in_one_sentence(cache: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^user/data is not a local folder, and the data set user/data cannot be fetched"
    ):
        described_folder("user/data")


EVAL = """
import sys
from rollahead.cli import main
sys.argv = ["rollahead", "eval", "episodes=1", "workers=1", "reactions=false", "latency.ticks=2", "planner=policy"]
sys.argv.append("planner.checkpoint={name}")
main()
"""
FIND = """
import sys
from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.shipped import find
try:
    find("{name}")
except ConfigError as error:
    sys.exit(str(error))
"""


def ran(program: str, address: str, tmp_path: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Runs `program` with the checkpoint `name` in a process of its own, with the Hub at `address`."""
    home = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    return subprocess.run(
        [sys.executable, "-c", program.format(name=name)],
        cwd=tmp_path,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_checkpoint_is_fetched_once_and_driven(tmp_path: Path) -> None:
    with hub("user/mole", FOLDER / "mole_flow") as (address, asked):
        first = ran(EVAL, address, tmp_path, "user/mole")
        assert first.returncode == 0, first.stderr
        assert any(path.endswith("model.safetensors") for path in asked)
        asked.clear()
        assert ran(FIND, address, tmp_path, "user/mole").returncode == 0
        assert not any(path.endswith("model.safetensors") for path in asked), "it is in the cache"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("user/private", "it has no such checkpoint, or it is private: log in with hf auth login"),
        ("user/mole@v9", "it has no such checkpoint, or none at the revision v9"),
    ],
)
def test_a_checkpoint_that_the_hub_does_not_give_is_refused_in_one_sentence(
    name: str, words: str, tmp_path: Path
) -> None:
    with hub("user/mole", FOLDER / "mole_flow") as (address, _):
        refused = ran(FIND, address, tmp_path, name)
    repo = name.partition("@")[0]
    assert refused.stderr == (
        f"{repo} is not a local folder, and the checkpoint {repo} cannot be fetched from the Hugging Face Hub "
        f"({words}); "
        "give a folder, or fix the id or the connection\n"
    )

"""Ids on the Hub: from a Hub of this machine's own, which huggingface_hub talks to as to the real one."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest

from rollahead.policies.data.dataset import write_dataset

from ..data.test_dataset import SPEC, shown

PROGRAM = """
import sys
from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.hub import dataset_folder
try:
    print(dataset_folder(sys.argv[1]))
except ConfigError as error:
    print("ConfigError:", error)
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """A Hub with the data set user/repo. revisions: that it has; status: of what it answers for anything else."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder, self.revisions, self.status = folder, {"v3.0", "main"}, 404
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = unquote(self.path.split("?")[0])
        if path.startswith("/api/datasets/user/repo"):
            return self._info(re.split("/(?:revision|tree)/", path)[-1])
        prefix, _, rest = path.partition("/resolve/")
        file = self.server.folder / rest.partition("/")[2]
        if prefix == "/datasets/user/repo" and file.is_file():
            return self._answer(200, file.read_bytes())
        return self._answer(self.server.status, b"", "RepoNotFound")

    do_HEAD = do_GET

    def _info(self, revision: str) -> None:
        """What a revision is, or what is in it, by which newer versions of huggingface_hub ask."""
        if revision not in {*self.server.revisions, COMMIT}:
            return self._answer(404, b"", "RevisionNotFound")
        files = [path for path in self.server.folder.rglob("*") if path.is_file()]
        named = {str(path.relative_to(self.server.folder)): path for path in files}
        told = {"id": "user/repo", "sha": COMMIT, "siblings": [{"rfilename": name} for name in named]}
        tree = [
            {"type": "file", "path": name, "size": path.stat().st_size, "oid": name} for name, path in named.items()
        ]
        return self._answer(200, json.dumps(tree if "/tree/" in self.path else told).encode())

    def _answer(self, status: int, content: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "dataset"
    write_dataset(folder, SPEC, shown(), text="move", fps=50)
    return folder


@pytest.fixture
def hub(stored: Path) -> Iterator[Hub]:
    with Hub(stored) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(name: str, home: Path, hub: Hub | None = None, **environment: str) -> str:
    """What `dataset_folder` says of `name` in a process of its own. home: of Hugging Face."""
    port = 9 if hub is None else hub.server_address[1]  # nobody listens to the former
    told = {"HF_HOME": str(home), "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_DISABLE_XET": "1"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment = {**kept, **told, "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, name], env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().splitlines()[-1]


def test_a_data_set_is_fetched_once_and_is_there_without_a_network(hub: Hub, stored: Path, tmp_path: Path) -> None:
    folder = Path(asked("user/repo", tmp_path, hub))
    assert folder.is_relative_to(tmp_path / "lerobot/hub")  # where LeRobot 0.6 looks, too
    names = [path.relative_to(stored) for path in stored.rglob("*") if path.is_file()]
    assert all((folder / name).read_bytes() == (stored / name).read_bytes() for name in names)
    assert any("/revision/v3.0" in path for path in hub.asked)
    assert asked("user/repo", tmp_path) == str(folder)
    assert asked("user/repo", tmp_path, HF_HUB_OFFLINE="1") == str(folder)


def test_without_a_tag_of_the_format_the_main_branch_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.revisions = {"main"}
    assert Path(asked("user/repo", tmp_path, hub)).is_dir()


def test_a_revision_may_be_asked_for(hub: Hub, tmp_path: Path) -> None:
    hub.revisions = {"early"}
    assert Path(asked("user/repo@early", tmp_path, hub)).is_dir()
    said = asked("user/repo@late", tmp_path, hub)
    assert "(it has no such data set, or none at the revision late)" in said


def test_lerobots_own_copy_is_taken_first(hub: Hub, stored: Path, tmp_path: Path) -> None:
    own = tmp_path / "data/user/repo"
    own.parent.mkdir(parents=True)
    own.symlink_to(stored)
    assert asked("user/repo", tmp_path, hub, HF_LEROBOT_HOME=str(tmp_path / "data")) == str(own)
    assert not hub.asked
    hub.revisions = {"early"}
    fetched = asked("user/repo@early", tmp_path, hub, HF_LEROBOT_HOME=str(tmp_path / "data"))
    assert Path(fetched).is_dir() and not Path(fetched).samefile(own), "of no revision that was asked for"


def test_a_folder_is_taken_as_it_is(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "user/repo").mkdir(parents=True)
    for name in ("user/repo", str(tmp_path / "nowhere"), "./no/where", "nowhere"):
        assert asked(name, tmp_path, hub) == str(Path(name))
    assert not hub.asked


UNREACHABLE = {
    "offline": ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set, and the data set is not in the cache"),
    "no network": ({}, "it cannot be reached, and the data set is not in the cache"),
}


@pytest.mark.parametrize("why", UNREACHABLE)
def test_what_is_neither_here_nor_reachable_is_one_sentence(why: str, tmp_path: Path) -> None:
    environment, words = UNREACHABLE[why]
    assert asked("user/repo", tmp_path, **environment) == (
        "ConfigError: user/repo is not a local folder, and the data set user/repo cannot be fetched from the Hugging "
        f"Face Hub ({words}); give a folder, or fix the id or the connection"
    )


REFUSED = {
    401: "it has no such data set, or it is private: log in with hf auth login",
    403: "it wants you to ask for access on the page of the data set",
    404: "it has no such data set, or none at the revision v3.0 or main",
}


@pytest.mark.parametrize("status", REFUSED)
def test_what_the_hub_refuses_is_one_sentence(status: int, hub: Hub, tmp_path: Path) -> None:
    hub.status = status
    assert f"({REFUSED[status]}); give" in asked("user/other", tmp_path, hub)

"""Folders of data sets and checkpoints, downloaded from the Hugging Face Hub if a name is not a local folder.

    dataset_folder("recordings/pick")       an existing folder is used as it is
    dataset_folder("user/repo")             LeRobot's own copy of it, else downloaded into LeRobot's cache
    dataset_folder("user/repo@main")        a branch, a tag or a commit
    checkpoint_folder("user/repo")          a checkpoint, in the same way

Threads: setup only. huggingface_hub shows the progress of a download, and keeps the files.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError, one_line
from rollahead.policies.data.stored import VERSION
from rollahead.policies.lerobot import compat

INFO = "meta/info.json"  # the file with a data set's names and rate
ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w.][\w./-]*))?", re.ASCII)  # user/repo@revision


def dataset_folder(name: str | Path) -> Path:
    """The folder of a data set, downloaded if needed.

    `name`: a local folder, or the id `user/repo` or `user/repo@revision` of a data set on the Hub.

    Without a revision it is LeRobot's own copy (`HF_LEROBOT_HOME/user/repo`) if there is one, else the revision with
    the tag v3.0 on the Hub, else its main branch. A name that is neither a folder nor an id is returned as it is.

    Raises: ConfigError, if the download fails.
    """
    folder, match = Path(name).expanduser(), ID.fullmatch(str(name))
    if folder.exists() or match is None:
        return folder
    home = Path(compat.HF_LEROBOT_HOME)
    repo, revision = match["repo"], match["revision"]
    if revision is None and any((home / repo).glob("data/*/*.parquet")):
        return home / repo
    revisions = [VERSION, "main"] if revision is None else [revision]
    return _fetched("data set", repo, revisions, repo_type="dataset", cache_dir=home / "hub")


def described_folder(name: str | Path) -> Path:
    """The folder of the data set `name`, of which only `INFO` is downloaded if it is not on this machine.

    `name`: see `dataset_folder`. Raises: ConfigError, if the download fails.
    """
    folder, match = Path(name).expanduser(), ID.fullmatch(str(name))
    if folder.exists() or match is None:
        return folder
    repo, revision = match["repo"], match["revision"]
    if (known := local_dataset(repo, revision)) is not None:
        return known
    revisions = [VERSION, "main"] if revision is None else [revision]
    options = {"repo_type": "dataset", "cache_dir": Path(compat.HF_LEROBOT_HOME) / "hub", "allow_patterns": [INFO]}
    return _fetched("data set", repo, revisions, **options)


def local_dataset(repo: str, revision: str | None = None) -> Path | None:
    """The folder of the data set `repo` in one of LeRobot's caches, None if it is in neither. Nothing is downloaded."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    home = Path(compat.HF_LEROBOT_HOME)
    if revision is None and (home / repo / INFO).is_file():
        return home / repo
    for each in [VERSION, "main"] if revision is None else [revision]:
        with suppress(HFValidationError):  # not a valid id
            cached = try_to_load_from_cache(repo, INFO, home / "hub", each, "dataset")
            if isinstance(cached, str):
                return Path(cached).parent.parent
    return None


def checkpoint_folder(name: str | Path) -> Path:
    """The folder of a checkpoint, downloaded if needed.

    `name`: a local folder, or the id `user/repo` or `user/repo@revision` of a checkpoint on the Hub.

    A name that is neither is returned as it is. Raises: ConfigError, if the download fails.
    """
    folder, match = Path(name).expanduser(), ID.fullmatch(str(name))
    if folder.exists() or match is None:
        return folder
    revisions = [match["revision"] or "main"]
    return _fetched("checkpoint", match["repo"], revisions, allow_patterns=["*.json", "*.safetensors"])


def _fetched(what: str, repo: str, revisions: Sequence[str], **options: Any) -> Path:
    """The folder of `repo` at the first of `revisions` that the Hub has, or the cache if the Hub cannot be reached.

    `what`: `data set` or `checkpoint`, for the message; `options`: arguments of `snapshot_download`.
    Raises: ConfigError, if the download fails.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RevisionNotFoundError

    for revision in revisions:
        try:
            return Path(snapshot_download(repo, revision=revision, **options))
        except (RevisionNotFoundError, LocalEntryNotFoundError) as error:
            missed: Exception = error  # the next revision may be on the Hub or in the cache
        except Exception as error:  # errors of its HTTP library, of the disk, and its own
            missed = error
            break
    reason = _reason(missed).format(what=what, revision=" or ".join(revisions))
    raise ConfigError(
        f"{repo} is not a local folder, and the {what} {repo} cannot be fetched from the Hugging Face Hub ({reason}); "
        "give a folder, or fix the id or the connection"
    ) from missed


def _reason(error: Exception) -> str:
    """The reason why huggingface_hub could not download, with {what} and {revision} to fill in."""
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in REFUSALS:
        return REFUSALS[status]
    if isinstance(error.__cause__, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and the {what} is not in the cache"
    if isinstance(error, LocalEntryNotFoundError):
        return "it cannot be reached, and the {what} is not in the cache"
    return one_line(error).removesuffix(".").replace("{", "{{").replace("}", "}}")


REFUSALS = {
    401: "it has no such {what}, or it is private: log in with hf auth login",
    403: "it wants you to ask for access on the page of the {what}",
    404: "it has no such {what}, or none at the revision {revision}",
}

"""The checkpoints that are part of rollahead: a flow and a diffusion policy for each task, such as `mole_flow`.

Each can be trained again with one command (docs/train.md).
"""

from pathlib import Path

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.hub import checkpoint_folder

FOLDER = Path(__file__).parent / "trained"


def names() -> list[str]:
    """The names of all shipped checkpoints, sorted."""
    return sorted(path.name for path in FOLDER.glob("*") if path.is_dir())


def find(checkpoint: str) -> Path:
    """The folder of `checkpoint`: a path, an id on the Hub, or one of `names`.

    Raises: ConfigError, if it is a plain name and not one of `names`, or the download fails.
    """
    path = Path(checkpoint)
    if path.is_dir() or path.name != checkpoint:
        return checkpoint_folder(checkpoint)
    if checkpoint not in names():
        raise ConfigError(
            f"there is no checkpoint {checkpoint!r}; give the folder of one, use planner=scripted, or take one "
            f"of those that come with rollahead: {', '.join(names()) or 'none'}"
        )
    return FOLDER / checkpoint

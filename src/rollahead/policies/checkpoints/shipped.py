"""The checkpoints that come with rollahead: a flow and a diffusion policy for each task, by names such as `mole_flow`.

Each is made again by one command (docs/train.md).
"""

from pathlib import Path

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.hub import checkpoint_folder

FOLDER = Path(__file__).parent / "trained"


def names() -> list[str]:
    """Of all that there are."""
    return sorted(path.name for path in FOLDER.glob("*") if path.is_dir())


def find(checkpoint: str) -> Path:
    """The folder that `checkpoint` names: a path, an id on the Hub, or one of `names`. Raises: ConfigError, if it is a
    plain name and none of these, or cannot be fetched."""
    path = Path(checkpoint)
    if path.is_dir() or path.name != checkpoint:
        return checkpoint_folder(checkpoint)
    if checkpoint not in names():
        raise ConfigError(
            f"there is no checkpoint {checkpoint!r}; give the folder of one, use planner=scripted, or take one "
            f"of those that come with rollahead: {', '.join(names()) or 'none'}"
        )
    return FOLDER / checkpoint

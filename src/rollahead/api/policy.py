"""Loading a trained policy, to evaluate it or to drive a robot with it."""

from pathlib import Path

from rollahead.assembly.trained import LoadedPolicy, Source, read_policy
from rollahead.runtime.types.spec import RobotSpec


def load_policy(
    checkpoint: str | Path,
    *,
    dataset: str | Path | None = None,
    robot: RobotSpec | None = None,
    trust_order: bool = False,
    device: str | None = None,
) -> LoadedPolicy:
    """Loads a trained policy from a folder, from the Hugging Face Hub, or by the name of one that comes with rollahead.

    checkpoint: a folder with `config.json` and `model.safetensors`, an id such as `user/repo` or `user/repo@revision`,
    or a name such as `mole_flow`; dataset: the LeRobotDataset that it was trained on, a folder or an id, for the names
    of its dimensions and its rate, None for the one that the checkpoint names; robot: the robot that is to be driven,
    and trust_order: whether order of dimensions and rate are the robot's where no file says them; device: `cpu`,
    `cuda`, `cuda:1` or `mps`, None for a GPU if there is one.

    Raises: ConfigError, if it cannot be read whole, is of an unknown type, or nothing gives the names.
    """
    source = Source(str(checkpoint), None if dataset is None else str(dataset), trust_order)
    loaded = read_policy(source, robot, device)
    _ = loaded.policy  # reads the weights, so that a damaged file is found here
    return loaded

"""Trained policies: their source, and the planner made from one for a robot."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from rollahead.assembly.planning import Brief, Demonstrated, Planning, Say
from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import PolicySpec, RobotSpec, names_of

if TYPE_CHECKING:
    import torch

    from rollahead.policies.checkpoints.card import Card
    from rollahead.policies.checkpoints.checkpoint import Checkpoint
    from rollahead.policies.policy import Policy


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a policy, in the options of `planner=policy` (configs/planner/policy.yaml)."""

    checkpoint: str
    dataset: str | None = None
    trust_order: bool = False

    def read(self, robot: RobotSpec | None) -> "Checkpoint":
        """Reads the checkpoint, without its weights, for `robot`. Raises: ConfigError, if it cannot be read."""
        from rollahead.policies.checkpoints.checkpoint import read_checkpoint
        from rollahead.policies.checkpoints.shipped import find

        folder = find(self.checkpoint)
        return read_checkpoint(folder, dataset=self.dataset, robot=robot, trust_order=self.trust_order)


@dataclass(frozen=True)
class LoadedPolicy:
    """A trained policy on a device, with its checkpoint. `evaluate` and `drive` accept it as a planner."""

    source: Source
    checkpoint: "Checkpoint"
    device: "torch.device"

    @cached_property
    def policy(self) -> "Policy":
        """The network with its normalisers; its weights are read at the first access.

        Raises: ConfigError, if the weights are incomplete.
        """
        return self.checkpoint.policy(self.device)

    @property
    def spec(self) -> PolicySpec:
        """Names, rate and horizon of the policy."""
        return self.policy.spec

    def planning(
        self, brief: Brief, rename: Mapping[str, str] | None = None, *, deadline_aware: bool = False, snap: bool = False
    ) -> Planning:
        """The planner of this policy for the robot and the strategy of `brief`.

        Args:
            brief: Robot, task, rollers and strategy.
            rename: Names in the policy mapped to names in the robot.
            deadline_aware: See `local_planner`.
            snap: See `local_planner`.

        Raises: ConfigError, if policy, robot, sampler and strategy do not fit together.
        """
        from rollahead.policies.checkpoints.card import read_card
        from rollahead.policies.local import local_planner

        read, robot, own = self.checkpoint, brief.scene.spec, brief.strategy
        _check_pictures(read.features.camera_names, brief)
        policy = self.policy
        names = {**_renamed_cameras(read, robot), **(rename or {})}
        planner = local_planner(
            policy,
            brief.sampler,
            robot,
            brief.rollers,
            names,
            read.camera_sizes,
            own,
            deadline_aware=deadline_aware,
            snap=snap,
            weak=None if own.bid.weak is None else self._weaker(own.bid.weak, robot),
            look=partial(_look, read, brief.say),
        )
        cameras = tuple(names.get(camera, camera) for camera in policy.spec.cameras)
        return Planning(
            planner,
            policy.spec.horizon,
            policy.spec.n_obs,
            cameras,
            _demonstrated(read_card(read.folder)),
            policy.trained.offset_state,
        )

    def _weaker(self, checkpoint: str, robot: RobotSpec) -> "Policy":
        return replace(self.source, checkpoint=checkpoint).read(robot).policy(self.device)


def read_policy(source: Source, robot: RobotSpec | None, device: str | None) -> LoadedPolicy:
    """The policy that `source` names, for a robot.

    Args:
        source: Source of the policy.
        robot: Spec of the robot to be driven, if there is one.
        device: Name of the torch device, see `load_policy`.

    Raises: ConfigError, if the policy cannot be read, or there is no such device.
    """
    import torch

    from rollahead.policies.device import device_of

    on = torch.device(device_of(device))
    return LoadedPolicy(source, source.read(robot), on)


def _check_pictures(cameras: Iterable[str], brief: Brief) -> None:
    """Checks that a simulated task has cameras if the policy uses images. Raises: ConfigError, if it has none."""
    if cameras and brief.scene.task is not None and not brief.scene.spec.cameras:
        raise ConfigError(
            f"the policy sees images of {', '.join(cameras)}, and this task has no cameras; set task.cameras, as in "
            "task=mole task.cameras=[top], drive a robot that has them, or use a policy without images"
        )


def _renamed_cameras(checkpoint: "Checkpoint", robot: RobotSpec) -> Mapping[str, str]:
    """The robot's camera for each camera of the policy that LeRobot's training renamed.

    It is the camera with the name in the data set, unless only the name in the policy exists in the robot.
    """
    there = names_of(robot.cameras)
    return {own: theirs for own, theirs in checkpoint.rename.items() if theirs in there or own not in there}


def _look(checkpoint: "Checkpoint", say: Say, state: FloatArray) -> None:
    """Tells the user in what the first `state` is unlike the states that the policy was trained on."""
    from rollahead.policies.checkpoints.first_look import unlike

    if line := unlike(checkpoint.state_statistics(), checkpoint.card.state, state):
        say(line)


def _demonstrated(card: "Card | None") -> Demonstrated | None:
    if card is None or card.demonstrated is None:
        return None
    return Demonstrated(str(card.task.get("name")), *card.demonstrated)

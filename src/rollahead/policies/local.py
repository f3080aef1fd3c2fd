"""The local planner: a policy and its sampler, in this process.

    encode what is seen -> bind the state, as late as that -> sample -> rows in robot units

Threads: the worker's alone.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rollahead.errors import ConfigError, InferenceError
from rollahead.policies.denoising.chunking import Chunking, Plain, make_chunking
from rollahead.policies.denoising.samplers import Noise, Sampler, SampleRequest, SampleResult, make_sampler
from rollahead.policies.denoising.warm_start import WarmStartCache
from rollahead.policies.policy import Context, EncoderInput, Featured, Policy
from rollahead.policies.snap import Snap
from rollahead.runtime.config.build import VLASH, StrategyConfig, features_taken
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.rolling.binding import bind
from rollahead.runtime.rolling.roll import Rollers, still
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import (
    Observation,
    Request,
    Result,
    ResultFlags,
    Snapshot,
    StageTimes,
    nothing,
)
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import NameMap, PolicySpec, RobotSpec, map_by_name

GROUPS = ("action", "state", "environment", "cameras")  # of names
CPU = torch.device("cpu")
PLAIN = Plain()
Look = Callable[[FloatArray], object]
MOST_REFUSED = 3  # chunks in a row that are no numbers end a run

REMEDY = "rename it, as in planner.rename={the policy's name: the robot's}, or take a policy that was trained for it"


class LocalPlanner:
    """Plans with `policy`.

    mapping: how its names are the robot's; cameras: of each of its cameras the robot's; warm_starts: of the last plan,
    None for a policy that has no use for it; chunking: how a chunk goes on from the last one; weak: a weaker policy and
    its sampler, that `chunking` contrasts with; snap: what sets discrete actions to an end of their range; featured:
    the policy, if its features go with each chunk, for a corrector; deadline_aware: whether it takes fewer steps where
    there is no time for all; look: called once, with the first state, in the policy's order of names."""

    def __init__(
        self,
        policy: Policy,
        sampler: Sampler,
        mapping: NameMap,
        rollers: Rollers,
        cameras: Mapping[str, str] | None = None,
        warm_starts: WarmStartCache | None = None,
        chunking: Chunking = PLAIN,
        weak: tuple[Policy, Sampler] | None = None,
        snap: Snap | None = None,
        *,
        featured: Featured | None = None,
        deadline_aware: bool = False,
        look: Look | None = None,
    ) -> None:
        self._look = look
        self._snap = snap
        self._featured = featured
        self._deadline_aware = deadline_aware
        self._weak = weak
        self._policies = [policy] if weak is None else [policy, weak[0]]
        self._refused = 0  # in a row, in this run
        self._run: tuple[int, ...] = ()
        self._warm_starts = warm_starts
        self._chunking = chunking
        self.policy = policy
        self.sampler = sampler
        self._mapping = mapping
        self._rollers = rollers
        self._cameras = cameras or {}

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        """The rows for `request`; the noise depends on its seed and on nothing else. Phase: hot, in the worker."""
        laps = Laps(_device(self.policy))
        with torch.no_grad():  # no inference mode: `strategy.guidance.jacobian=full` goes back through the network
            contexts, bound = self._contexts(request, newest, laps)
            budget = StepBudget(timer if self._deadline_aware else NO_DEADLINE)
            chunk, drawn, calls = self._drawn(request, contexts, budget)
            laps("denoise")
            rows = self.policy.rows(chunk)
            rows, made = self._checked(request, rows if self._snap is None else self._snap(rows), drawn.made)
            if self._warm_starts is not None and not made & ResultFlags.REFUSED:
                self._warm_starts.keep(request, chunk, rows)
            features = nothing() if self._featured is None else self._featured.features(contexts[0])
            sent = frozen(self._mapping.rows(rows))
            laps("post")
        return Result(
            request=request,
            rows=sent,
            state_tick=bound[-1].state_tick,
            anchor=bound[-1].state,
            cost=budget.saved if drawn.made & ResultFlags.CUT else 0.0,
            calls=calls + (self._featured is not None),
            steps=drawn.steps,
            made=made,
            policy_features=features,
            stages=laps.times(),
        )

    @property
    def state_in(self) -> str:
        """The stage of an inference that needs the state: `encode` if one of the policies encodes it, else `bind`."""
        return "encode" if any(policy.spec.state_in == "encode" for policy in self._policies) else "bind"

    def _contexts(
        self, request: Request, newest: Callable[[], Snapshot], laps: "Laps"
    ) -> tuple[list[Context], Sequence[Observation]]:
        """The context of each of `_policies`, and the observations that were bound, in the robot's order of names.

        state_in = bind:     encode -> bind the newest state -> context
        state_in = encode:   bind the newest state -> encode -> context
        """
        seen = self._encoder_input(request)
        encoded = [policy.encode(seen) for policy in self._policies] if self.state_in == "bind" else []
        laps("encode")
        bound = bind(request, newest(), self._rollers.state, self._rollers.scene)
        known = [self._mapping.observation(each) for each in bound]
        if self._look is not None:
            self._look(known[-1].state)
            self._look = None
        ahead = self._ahead(request, bound[-1])
        if self.state_in == "encode":
            laps("bind")
            seen = replace(seen, observations=known, delay=ahead)
            encoded = [policy.encode(seen) for policy in self._policies]
            laps("encode")
        contexts = [policy.bind(each, known, ahead) for policy, each in zip(self._policies, encoded, strict=True)]
        laps("bind")
        return contexts, bound

    def _checked(self, request: Request, rows: FloatArray, made: int) -> tuple[FloatArray, int]:
        """`rows`, or others in their place where they are no numbers and were before `MOST_REFUSED` times in a row; and
        how they were made."""
        before = self._refused if request.seed[:2] == self._run else 0
        self._run = request.seed[:2]
        self._refused = 0 if np.isfinite(rows).all() else before + 1
        if 0 < self._refused < MOST_REFUSED:
            return np.zeros_like(rows), made | int(ResultFlags.REFUSED)
        return rows, made

    def _drawn(
        self, request: Request, contexts: Sequence[Context], more: Callable[[int], bool]
    ) -> tuple[torch.Tensor, SampleResult, int]:
        """The chunk (T, W) for `request`, how it was drawn, and the number of network calls of all policies. contexts:
        one for each of `_policies`."""
        policy, context, warm_starts, chunking = self.policy, contexts[0], self._warm_starts, self._chunking
        noise = noise_of(request, policy, chunking.candidates)
        if warm_starts is None:
            drawn = self.sampler(policy, context, noise)
            return drawn.chunks[0], drawn, drawn.steps
        known = warm_starts.known(request)
        draw = SampleRequest(
            warm_start=warm_starts.warm_start(request), steering=chunking.steering(request, known), more=more
        )
        drawn = self.sampler(policy, context, noise, draw)
        weak, weak_steps = self._weak_chunks(request, contexts[1:])
        calls = chunking.candidates * (drawn.steps + weak_steps)
        return drawn.chunks[chunking.choose(drawn.chunks, request, known, weak)], drawn, calls

    def _weak_chunks(self, request: Request, contexts: Sequence[Context]) -> tuple[torch.Tensor, int]:
        """Chunks (B, H, A) of the weaker policy, normalised as the policy's own are, as many as there are candidates;
        and the denoising steps that they took. Without a weaker policy there are no chunks and no steps."""
        if self._weak is None:
            return torch.empty(0, self.policy.spec.horizon, self.policy.shape[1], device=_device(self.policy)), 0
        weak, sampler = self._weak
        drawn = sampler(weak, contexts[0], noise_of(request, weak, self._chunking.candidates, "weak"))
        chunks = torch.stack([self.policy.normalised(weak.rows(chunk)) for chunk in drawn.chunks])
        return chunks, drawn.steps

    def _encoder_input(self, request: Request) -> EncoderInput:
        """The images of `request` by the policy's own camera names. Raises: InferenceError, if a camera has no
        image."""
        for seen in request.observations:
            if missing := [theirs for theirs in self._cameras.values() if theirs not in seen.images]:
                raise InferenceError(f"there is no image of {', '.join(missing)} yet; look at the cameras")
        names = self._cameras.items()
        return EncoderInput(
            images=[{own: seen.images[theirs] for own, theirs in names} for seen in request.observations],
            stamps=[{own: seen.image_stamps[theirs] for own, theirs in names} for seen in request.observations],
            epoch=request.epoch,
            task=request.asked.observation.task,
        )

    def _ahead(self, request: Request, bound: Observation) -> int:
        """By how many ticks the state of `bound` is ahead of the rest of it: by none, if a roller moves the rest as
        well; if nothing is rolled, by as many as it was measured later."""
        if self._rollers.scene is not None:
            return 0
        true = bound.state_tick if self._rollers.state is still else bound.tick
        return max(true - request.tick, 0)


def local_planner(
    policy: Policy,
    sampler: Mapping[str, Any],
    robot: RobotSpec,
    rollers: Rollers,
    rename: Mapping[str, str],
    sizes: Mapping[str, tuple[int, int]] | None = None,
    strategy: StrategyConfig = VLASH,
    *,
    deadline_aware: bool = False,
    snap: bool = False,
    weak: Policy | None = None,
    look: Look | None = None,
) -> LocalPlanner:
    """`policy` as the planner of `robot`. sampler: a `name` and options; rename: names of the policy's to the robot's;
    sizes: by the policy's camera (height, width), of those that take only one; strategy: what the rows are for;
    hurries, look: as of `LocalPlanner`; snap: whether discrete actions are sent as an end of their range; weak: the
    weaker policy that `strategy` names.

    Raises: ConfigError, if they do not go together.
    """
    spec = renamed(policy.spec, rename)
    if spec.cameras and not robot.cameras:
        raise ConfigError(
            f"{policy.name} sees images of {', '.join(spec.cameras)}, and the robot has no camera; give it cameras of "
            "these names (those of LeRobot take robot.config={cameras: ...}), or take a policy without images"
        )
    cameras = dict(zip(policy.spec.cameras, spec.cameras, strict=True))
    mapping = map_by_name(robot, spec, REMEDY)
    _check_sizes(robot, cameras, sizes or {})
    made = make_sampler(sampler, policy)
    warm_starts = WarmStartCache(policy, spec, mapping, robot, strategy.q) if hasattr(policy, "denoise") else None
    chunking = make_chunking(strategy, policy, made, weak)
    contrasted = None if weak is None else (weak, make_sampler(sampler, weak))
    snapping = Snap(spec.action, robot) if snap else None
    return LocalPlanner(
        policy,
        made,
        mapping,
        rollers,
        cameras,
        warm_starts,
        chunking,
        contrasted,
        snapping,
        featured=_featured(policy, features_taken(strategy)),
        deadline_aware=deadline_aware,
        look=look,
    )


def _featured(policy: Policy, taken: int) -> Featured | None:
    """`policy`, if a corrector takes as many of its features. Raises: ConfigError, if it gives others, or none."""
    if not taken:
        return None
    given = policy.feature_dim if isinstance(policy, Featured) else 0
    if not isinstance(policy, Featured) or given != taken:
        raise ConfigError(
            f"the corrector takes {taken} features of its base policy, and {policy.name} gives {given}; take the base "
            "that it was trained on, or train one for this policy with rollahead train-corrector"
        )
    return policy


def _check_sizes(robot: RobotSpec, cameras: Mapping[str, str], sizes: Mapping[str, tuple[int, int]]) -> None:
    """The robot's cameras give images of the `sizes` that the policy's take. cameras: as of `LocalPlanner`."""
    given = {camera.name: (camera.height, camera.width) for camera in robot.cameras}
    for own, (height, width) in sizes.items():
        theirs = cameras[own]
        if given[theirs] != (height, width):
            raise ConfigError(
                f"camera {theirs!r} of the robot is {given[theirs][1]}x{given[theirs][0]} pixels, and the policy's "
                f"{width}x{height} (width x height); set the camera to that"
            )


def renamed(spec: PolicySpec, rename: Mapping[str, str]) -> PolicySpec:
    """`spec` with other names. Raises: ConfigError, if it has none such, or two would be the same."""
    known = {name for group in GROUPS for name in getattr(spec, group)}
    if unknown := sorted(set(rename) - known):
        raise ConfigError(
            f"rename has {', '.join(unknown)}, and the policy's names are {', '.join(sorted(known))}; write "
            "rename={the policy's name: the robot's}"
        )
    changed: dict[str, Any] = {
        group: tuple(rename.get(name, name) for name in getattr(spec, group)) for group in GROUPS
    }
    for group, names in changed.items():
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(
                f"rename gives the policy {', '.join(twice)} twice in {group}; every name must be its own"
            )
    return replace(spec, **changed)


class Laps:
    """Durations of the stages of an inference, in ns.

    Each call adds the time since the one before to a stage. On a GPU it waits until what was launched is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._ns = dict.fromkeys(("encode", "bind", "denoise", "post"), 0)
        self._at_ns = time.perf_counter_ns()

    def __call__(self, stage: str) -> None:
        """Phase: hot."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        before_ns, self._at_ns = self._at_ns, time.perf_counter_ns()
        self._ns[stage] += self._at_ns - before_ns

    def times(self) -> StageTimes:
        """The durations so far. Phase: hot."""
        return StageTimes(**{f"{stage}_ns": took for stage, took in self._ns.items()})


class StepBudget:
    """Whether there is time for another step of denoising, by what those before took."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._steps = self._to_come = 0
        self._left = self._at_first = timer.left(0.0)

    def __call__(self, to_come: int) -> bool:
        """Called after each step but the last; to_come: steps. Phase: hot."""
        self._steps, self._to_come = self._steps + 1, to_come
        self._left = self._timer.left(self._steps / (self._steps + to_come))
        return self._left >= self._step - 1e-9

    @property
    def saved(self) -> float:
        """Ticks that the steps left out would have taken."""
        return self._step * self._to_come

    @property
    def _step(self) -> float:
        """Ticks that a step takes."""
        return (self._at_first - self._left) / self._steps if math.isfinite(self._left) and self._steps else 0.0


def noise_of(request: Request, policy: Policy, chunks: int = 1, use: str = "sampler") -> Noise:
    """Standard normal noise for `policy`, new at each call, the same for the same request and `use`; the first of
    several chunks has what a single one would have."""
    rng, device = generator(use, *request.seed), _device(policy)
    return lambda: torch.from_numpy(rng.standard_normal((chunks, *policy.shape), dtype=np.float32)).to(device)


def _device(policy: Policy) -> torch.device:
    device: torch.device = getattr(policy, "device", CPU)
    return device

"""The local planner: runs a policy and its sampler in this process.

    encode images and task text -> bind the newest state -> sample a chunk -> rows in robot units

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

GROUPS = ("action", "state", "environment", "cameras")  # fields of a PolicySpec that hold names
CPU = torch.device("cpu")
PLAIN = Plain()
Look = Callable[[FloatArray], object]
MOST_REFUSED = 3  # number of successive chunks with NaN or infinite values that ends a run

REMEDY = "rename it, as in planner.rename={the policy's name: the robot's}, or take a policy that was trained for it"


class LocalPlanner:
    """A planner that runs a policy and its sampler in this process.

    Args:
        policy: The policy.
        sampler: Samples chunks from the policy.
        mapping: Mapping between the policy's names and the robot's.
        rollers: Roll the state and the environment ahead.
        cameras: Name of the robot's camera for each of the policy's cameras.
        warm_starts: Cache of the last plan; None for a policy that cannot use it.
        chunking: Method by which a chunk continues the last plan.
        weak: A weaker policy with its sampler, from which `chunking` should differ; None for none.
        snap: Sets discrete actions to an end of their range; None to send them as sampled.
        featured: The policy, if its features are sent with each chunk for a corrector; else None.
        deadline_aware: Whether denoising steps are left out if there is no time for all of them.
        look: Called once with the first state, in the policy's order of names; None for no call.
    """

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
        self._refused = 0  # number of successive refused chunks in this run
        self._run: tuple[int, ...] = ()
        self._warm_starts = warm_starts
        self._chunking = chunking
        self.policy = policy
        self.sampler = sampler
        self._mapping = mapping
        self._rollers = rollers
        self._cameras = cameras or {}

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        """Returns the rows for `request`, whose noise depends on its seed alone. Phase: hot, in the worker.

        Raises: InferenceError, if a camera has given no image yet.
        """
        laps = Laps(_device(self.policy))
        with torch.no_grad():  # not inference mode: `strategy.guidance.jacobian=full` needs gradients in the network
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
        """Returns `rows` and their flags `made`, or zeros with the flag REFUSED for rows with NaN or infinite values.

        The `MOST_REFUSED`-th successive chunk with such values is returned as it is, so that its check ends the run.
        """
        before = self._refused if request.seed[:2] == self._run else 0
        self._run = request.seed[:2]
        self._refused = 0 if np.isfinite(rows).all() else before + 1
        if 0 < self._refused < MOST_REFUSED:
            return np.zeros_like(rows), made | int(ResultFlags.REFUSED)
        return rows, made

    def _drawn(
        self, request: Request, contexts: Sequence[Context], more: Callable[[int], bool]
    ) -> tuple[torch.Tensor, SampleResult, int]:
        """Samples the chunk (T, W) for `request`; also returns the sampler's result and the number of network calls.

        Args:
            request: The request.
            contexts: Context of each of `_policies`.
            more: Whether there is time for another step, given the number of steps to come.
        """
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
        """Chunks (B, H, W) of the weaker policy, normalised as the policy's own, and the number of denoising steps.

        B is the number of candidates. Without a weaker policy there are no chunks and no steps.
        """
        if self._weak is None:
            return torch.empty(0, self.policy.spec.horizon, self.policy.shape[1], device=_device(self.policy)), 0
        weak, sampler = self._weak
        drawn = sampler(weak, contexts[0], noise_of(request, weak, self._chunking.candidates, "weak"))
        chunks = torch.stack([self.policy.normalised(weak.rows(chunk)) for chunk in drawn.chunks])
        return chunks, drawn.steps

    def _encoder_input(self, request: Request) -> EncoderInput:
        """Images and task text of `request`, by the policy's camera names.

        Raises: InferenceError, if a camera has given no image yet.
        """
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
        """Ticks by which the state of `bound` is ahead of its images and environment.

        They are 0 if the environment is rolled as well. If nothing is rolled, they are the ticks from the request to
        the measurement of the state.
        """
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
    """Makes the planner of `robot` from a policy.

    Args:
        policy: The policy.
        sampler: Name and options of the sampler.
        robot: Spec of the robot.
        rollers: Roll the state and the environment ahead.
        rename: Names of the robot by the policy's names, where they differ.
        sizes: Image size (height, width) by the policy's camera, for cameras that take only one size.
        strategy: Strategy for which the chunks are made.
        deadline_aware: Whether denoising steps are left out if there is no time for all of them.
        snap: Whether discrete actions are set to an end of their range.
        weak: The weaker policy that `strategy` names; None for none.
        look: Called once with the first state, in the policy's order of names; None for no call.

    Raises: ConfigError, if names, cameras, image sizes, sampler or strategy do not fit the policy and the robot.
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
    """Returns `policy` if a corrector takes its features; None if it takes none.

    Raises: ConfigError, if the policy gives another number of features than `taken`.
    """
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
    """Checks that the robot's cameras give images of the sizes that the policy takes.

    Raises: ConfigError, if a camera gives another size.
    """
    given = {camera.name: (camera.height, camera.width) for camera in robot.cameras}
    for own, (height, width) in sizes.items():
        theirs = cameras[own]
        if given[theirs] != (height, width):
            raise ConfigError(
                f"camera {theirs!r} of the robot is {given[theirs][1]}x{given[theirs][0]} pixels, and the policy's "
                f"{width}x{height} (width x height); set the camera to that"
            )


def renamed(spec: PolicySpec, rename: Mapping[str, str]) -> PolicySpec:
    """Returns `spec` with the names in `rename` replaced.

    Raises: ConfigError, if `rename` has a name that `spec` lacks, or two names would be the same.
    """
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
    """Measures the durations of the stages of an inference, in ns.

    Each call adds the time since the call before to a stage. On a GPU it waits until all launched kernels are done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._ns = dict.fromkeys(("encode", "bind", "denoise", "post"), 0)
        self._at_ns = time.perf_counter_ns()

    def __call__(self, stage: str) -> None:
        """Adds the time since the last call to `stage`. Phase: hot."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        before_ns, self._at_ns = self._at_ns, time.perf_counter_ns()
        self._ns[stage] += self._at_ns - before_ns

    def times(self) -> StageTimes:
        """Durations of the stages so far. Phase: hot."""
        return StageTimes(**{f"{stage}_ns": took for stage, took in self._ns.items()})


class StepBudget:
    """Decides whether there is time for another denoising step, by the mean duration of the steps so far."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._steps = self._to_come = 0
        self._left = self._at_first = timer.left(0.0)

    def __call__(self, to_come: int) -> bool:
        """Whether there is time for another step, called after each step but the last. Phase: hot.

        `to_come`: number of steps that are still to do.
        """
        self._steps, self._to_come = self._steps + 1, to_come
        self._left = self._timer.left(self._steps / (self._steps + to_come))
        return self._left >= self._step - 1e-9

    @property
    def saved(self) -> float:
        """Ticks that the steps that are left out would have taken."""
        return self._step * self._to_come

    @property
    def _step(self) -> float:
        """Mean duration of a step in ticks; 0 without a deadline, or before the first step."""
        return (self._at_first - self._left) / self._steps if math.isfinite(self._left) and self._steps else 0.0


def noise_of(request: Request, policy: Policy, chunks: int = 1, use: str = "sampler") -> Noise:
    """Returns a function that draws standard normal noise (B, T, W) for `policy`, new at each of its calls.

    The noise is the same for the same request and `use`, and the first of several chunks has the noise that a single
    one would have.

    Args:
        request: The request.
        policy: The policy, which gives shape and device.
        chunks: B, number of chunks.
        use: Name of the noise's use; different uses have different noise.
    """
    rng, device = generator(use, *request.seed), _device(policy)
    return lambda: torch.from_numpy(rng.standard_normal((chunks, *policy.shape), dtype=np.float32)).to(device)


def _device(policy: Policy) -> torch.device:
    device: torch.device = getattr(policy, "device", CPU)
    return device

"""Our policies against LeRobot's (0.4.4 and 0.6.1): samplers, adapters, normalisation, ensembling.

    python -m benchmarks.policy_parity     the largest difference of all comparisons (a minute)

The policies are small and have random weights. Each comparison is a name and a function of a folder to write to, which
gives the largest absolute difference. The tests run the same ones.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.figures import record, row
from rollahead.policies.checkpoints.card import DELAY, Card, write_card
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.lerobot.normalise import affine
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.chunk import Chunk, Mean, Timeline
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.seeds import generator

TOPIC = "train"
COMMAND = "python -m benchmarks.policy_parity"
S, E, A, SIDE, HORIZON = 3, 2, 4, 64, 16
STATISTICS = ("mean", "std", "min", "max", "q01", "q99", "q10", "q90")

STAMPS = count()  # capture stamps
Comparison = Callable[[Path], float]


def features_of(names: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """LeRobot's features, by name and shape."""
    kinds = {STATE: "STATE", ENVIRONMENT: "ENV", ACTION: "ACTION"}
    return {
        name: compat.PolicyFeature(type=compat.FeatureType(kinds.get(name, "VISUAL")), shape=shape)
        for name, shape in names.items()
    }


def stats_of(names: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Random statistics of features, ordered as quantiles are. The first number of each vector never varies."""
    made = {}
    for name, shape in names.items():
        drawn = generator("stats", seed, len(name)).standard_normal((len(STATISTICS), shape[0])).astype(np.float32)
        spread = 0.1 + np.abs(drawn[1:])
        low = drawn[0]
        figures = {
            "mean": low + spread[0],
            "std": spread[1],
            "min": low - spread[2],
            "max": low + spread[3],
            "q01": low - spread[4],
            "q99": low + spread[5],
            "q10": low - spread[6],
            "q90": low + spread[6],
        }
        if len(shape) == 1:
            for figure in ("min", "max", "q01", "q99", "q10", "q90"):
                figures[figure][0] = low[0]
        made[name] = {key: value.reshape(-1, *[1] * (len(shape) - 1)) for key, value in figures.items()}
    return made


def save_policy(
    folder: Path, kind: str, *, cameras: int = 0, environment: int = E, card: Card | None = None, **options: Any
) -> Path:
    """Saves a small policy of LeRobot's with random weights into `folder`, as LeRobot does it.

    `kind`: `diffusion` or `act`; `options`: of its configuration; `card`: our card beside it.
    """
    images = {f"observation.images.camera_{i}": (3, SIDE, SIDE) for i in range(cameras)}
    inputs = {STATE: (S,), **images, **({ENVIRONMENT: (environment,)} if environment else {})}
    torch.manual_seed(0)
    config = CONFIGS[kind](
        input_features=features_of(inputs), output_features=features_of({ACTION: (A,)}), device="cpu", **options
    )
    policy = compat.made(POLICIES[kind], config)
    policy.save_pretrained(folder)
    for processor in compat.make_pre_post_processors(config, dataset_stats=stats_of({**inputs, ACTION: (A,)})):
        processor.save_pretrained(folder)
    write_card(folder, card or card_of(environment))
    return folder


def card_of(environment: int = E, trained: Trained | None = None) -> Card:
    """A card with names for all numbers."""
    trained = trained or Trained()
    state, seen, action = (
        tuple(f"{part}_{i}" for i in range(n)) for part, n in (("s", S), ("e", environment), ("a", A))
    )
    return Card(state, action, 50.0, (*seen[:-1], DELAY) if trained.delay_input else seen, trained)


def _diffusion_config(**options: Any) -> Any:
    n_obs = options.get("n_obs_steps", 1)
    small = {"n_obs_steps": n_obs, "horizon": HORIZON, "n_action_steps": HORIZON - n_obs + 1, "down_dims": (16, 32)}
    rest = {"diffusion_step_embed_dim": 16, "n_groups": 4, "pretrained_backbone_weights": None, "use_group_norm": True}
    return compat.DiffusionConfig(**{**small, **rest, **options})


def _act_config(**options: Any) -> Any:
    small = {"chunk_size": HORIZON, "n_action_steps": HORIZON, "dim_model": 32, "n_heads": 2, "dim_feedforward": 64}
    rest = {"n_encoder_layers": 1, "n_vae_encoder_layers": 1, "latent_dim": 8, "pretrained_backbone_weights": None}
    return compat.ACTConfig(**{**small, **rest, **options})


CONFIGS: Mapping[str, Callable[..., Any]] = {"diffusion": _diffusion_config, "act": _act_config}
POLICIES: Mapping[str, str] = {"diffusion": "DiffusionPolicy", "act": "ACTPolicy"}


def observe(n: int, cameras: int, environment: int = E) -> list[Observation]:
    """`n` random observations, one tick apart."""
    rng = generator("observe", n)
    return [
        Observation(
            tick=k,
            state=frozen(rng.standard_normal(S)),
            environment=frozen(rng.standard_normal(environment)),
            images={f"camera_{i}": rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8) for i in range(cameras)},
            image_stamps={f"camera_{i}": next(STAMPS) for i in range(cameras)},
        )
        for k in range(n)
    ]


def _patches(rng: np.random.Generator) -> NDArray[np.uint8]:
    """An image of random patches, large enough to be visible after all the network's averaging."""
    colours = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return np.kron(colours, np.ones((SIDE // 4, SIDE // 4, 1), np.uint8))


def as_lerobot(seen: Observation) -> dict[str, torch.Tensor]:
    """An observation in the format of LeRobot's pipelines."""
    made = {STATE: torch.tensor(seen.state, dtype=torch.float32)}
    if len(seen.environment):
        made[ENVIRONMENT] = torch.tensor(seen.environment, dtype=torch.float32)
    for name, image in seen.images.items():
        made[f"observation.images.{name}"] = torch.tensor(image).permute(2, 0, 1).contiguous().float() / 255
    return made


def theirs(folder: Path, kind: str, seen: Sequence[Observation], start: torch.Tensor) -> FloatArray:
    """(H, A), the actions that LeRobot sends after the newest observation: `select_action` and its processors."""
    policy = getattr(compat, POLICIES[kind]).from_pretrained(folder)
    before, after = compat.make_pre_post_processors(policy.config, pretrained_path=str(folder))
    noise = {"noise": start[None]} if kind == "diffusion" else {}
    for older in seen[:-1]:
        policy.select_action(before(as_lerobot(older)), **noise)
        policy._queues["action"].clear()
    torch.manual_seed(1)
    rows = [
        after(policy.select_action(before(as_lerobot(seen[-1])), **noise)) for _ in range(policy.config.n_action_steps)
    ]
    return torch.cat(rows).double().numpy()


def ours(folder: Path, sampler: Mapping[str, Any], seen: Sequence[Observation], start: torch.Tensor) -> FloatArray:
    """(H, A), our rows for the same observations."""
    policy = load_policy(folder)
    context = policy.bind(policy.encode(EncoderInput.of(seen)), seen, 0)
    drawn = make_sampler(sampler, policy)(policy, context, noise_after(start))
    return policy.rows(drawn.chunks[0])


def noise_after(start: torch.Tensor) -> Callable[[], torch.Tensor]:
    """(1, T, A): `start` (T, A) first, and then draws of torch's own generator, seeded as for LeRobot."""

    def drawn() -> Iterator[torch.Tensor]:
        yield start[None]
        while True:
            yield torch.randn(1, *start.shape)

    torch.manual_seed(1)
    return partial(next, drawn())


def compare_policy(folder: Path, kind: str, sampler: Mapping[str, Any], cameras: int, **options: Any) -> float:
    """The largest difference for a checkpoint, from raw observations to robot units."""
    save_policy(folder, kind, cameras=cameras, **options)
    seen = observe(options.get("n_obs_steps", 1), cameras, options.get("environment", E))
    start = _start()
    return float(np.abs(ours(folder, sampler, seen, start) - theirs(folder, kind, seen, start)).max())


def compare_sampler(folder: Path, name: str, prediction: str, steps: int, **options: Any) -> float:
    """The largest difference of `ddpm` or `ddim` from LeRobot's loop with the scheduler of diffusers, normalised."""
    scheduler: dict[str, Any] = {
        "noise_scheduler_type": name.upper(),
        "num_inference_steps": steps,
        "prediction_type": prediction,
    }
    save_policy(folder, "diffusion", **scheduler, **options)
    policy = load_policy(folder)
    seen, start = observe(1, 0), _start()
    context = policy.bind(policy.encode(EncoderInput.of(seen)), seen, 0)
    spacing = {"spacing": "leading"} if name == "ddim" else {}
    drawn = make_sampler({"name": name, "steps": steps, **spacing}, policy)(policy, context, noise_after(start))
    diffusion = compat.DiffusionPolicy.from_pretrained(folder).diffusion
    torch.manual_seed(1)
    with torch.no_grad():
        expected = diffusion.conditional_sample(1, global_cond=context.condition, noise=start[None])
    return float((drawn.chunks - expected).abs().max())


def compare_normalisation(folder: Path, mode: str) -> float:
    """The largest difference from LeRobot's normalising steps for vectors and images, there and back.

    It is relative to the size of the number.
    """
    names: dict[str, tuple[int, ...]] = {STATE: (S,), "observation.images.top": (3, 5, 6), ACTION: (A,)}
    features, stats = features_of(names), stats_of(names)
    norm_map = {compat.FeatureType(kind): compat.NormalizationMode(mode) for kind in ("STATE", "VISUAL", "ACTION")}
    there = compat.NormalizerProcessorStep(features=features, norm_map=norm_map, stats=stats)
    back = compat.UnnormalizerProcessorStep(features=features, norm_map=norm_map, stats=stats)
    worst = 0.0
    for name, shape in names.items():
        x = torch.tensor(generator("x", 0).standard_normal((7, *shape), dtype=np.float32))
        made = affine(mode, stats[name], name, visual=len(shape) == 3)
        kind = features[name].type
        pairs = [(made.normalise(x), there._apply_transform(x, name, kind))]
        pairs.append((made.unnormalise(x), back._apply_transform(x, name, kind, inverse=True)))
        worst = max(worst, *(float(((a - b) / b.abs().clamp(min=1)).abs().max()) for a, b in pairs))
    return worst


def compare_ensembling(folder: Path, decay: float) -> float:
    """The largest difference from ACT's ensembling, with a chunk at each tick.

    Ours is a mean over all chunks that cover a tick.
    """
    rows = generator("chunks", 0).standard_normal((60, HORIZON, A)).astype(np.float32)
    ensembler = compat.ACTTemporalEnsembler(decay, HORIZON)
    timeline, worst = Timeline(blend=Mean(decay, np.zeros(A, np.bool_))), 0.0
    for k, chunk in enumerate(rows):
        timeline = timeline.add(Chunk(frozen(chunk), k, k, k, k, k, 0, k))
        action = timeline.action(k)
        expected = ensembler.update(torch.tensor(chunk)[None])[0].numpy()
        assert action is not None
        worst = max(worst, float(np.abs(action - expected).max()))
    return worst


def _start() -> torch.Tensor:
    return torch.tensor(generator("start", 0).standard_normal((HORIZON, A), dtype=np.float32))


def _comparisons() -> Iterator[tuple[str, Comparison]]:
    for name, prediction, steps in product(("ddpm", "ddim"), ("epsilon", "sample"), (2, 7, 10, 100)):
        yield f"{name}_{prediction}_{steps}", partial(compare_sampler, name=name, prediction=prediction, steps=steps)
        if prediction == "sample":
            free = partial(compare_sampler, name=name, prediction=prediction, steps=steps, clip_sample=False)
            yield f"{name}_{prediction}_{steps}_unclipped", free
    for name, case in POLICY_CASES.items():
        yield f"policy_{name}", partial(compare_policy, **case)
    for mode in ("MEAN_STD", "MIN_MAX", "QUANTILES", "QUANTILE10", "IDENTITY"):
        yield f"normalise_{mode.lower()}", partial(compare_normalisation, mode=mode)
    for decay in (-0.5, 0.0, 0.01, 0.3):
        yield f"ensemble_{decay:g}", partial(compare_ensembling, decay=decay)


DDIM: Mapping[str, Any] = {"noise_scheduler_type": "DDIM", "num_inference_steps": 10}
LEADING: Mapping[str, Any] = {"name": "ddim", "steps": 10, "spacing": "leading"}
ONCE: Mapping[str, Any] = {"name": "one_shot"}
MODES: Mapping[str, Any] = {"normalization_mapping": dict.fromkeys(("STATE", "ENV", "ACTION"), "QUANTILES")}
POLICY_CASES: Mapping[str, Mapping[str, Any]] = {
    "diffusion_1": {"kind": "diffusion", "sampler": LEADING, "cameras": 0, **DDIM},
    "diffusion_2": {"kind": "diffusion", "sampler": LEADING, "cameras": 0, "n_obs_steps": 2, **DDIM},
    "diffusion_sample": {"kind": "diffusion", "sampler": LEADING, "cameras": 0, "prediction_type": "sample", **DDIM},
    "diffusion_ddpm": {"kind": "diffusion", "sampler": {"name": "ddpm"}, "cameras": 0, "n_obs_steps": 2},
    "diffusion_image": {"kind": "diffusion", "sampler": LEADING, "cameras": 1, "environment": 0, **DDIM},
    "diffusion_image_2": {"kind": "diffusion", "sampler": LEADING, "cameras": 1, "n_obs_steps": 2, **DDIM},
    "diffusion_shared": {"kind": "diffusion", "sampler": LEADING, "cameras": 2, "n_obs_steps": 2, **DDIM},
    "diffusion_cameras": {
        "kind": "diffusion",
        "sampler": LEADING,
        "cameras": 2,
        "n_obs_steps": 2,
        "crop_shape": (60, 60),
        "use_separate_rgb_encoder_per_camera": True,
        **DDIM,
    },
    "act": {"kind": "act", "sampler": ONCE, "cameras": 0},
    "act_image": {"kind": "act", "sampler": ONCE, "cameras": 1, "environment": 0},
    "act_cameras": {"kind": "act", "sampler": ONCE, "cameras": 2},
}
COMPARISONS: Mapping[str, Comparison] = dict(_comparisons())


def main(arguments: Sequence[str]) -> None:
    """Runs all comparisons."""
    torch.set_num_threads(1)
    worst = 0.0
    for name, compare in COMPARISONS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = compare(Path(folder) / "checkpoint")
        print(f"{name:<32} {found:.2g}")
        worst = max(worst, found)
    record(TOPIC, [row("parity_max_abs", worst, "", goal="<= 1e-5", command=COMMAND)])


if __name__ == "__main__":
    main(sys.argv[1:])

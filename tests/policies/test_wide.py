"""A policy whose network has more numbers in a row than the robot: planned rows are those of a network without them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from rollahead.policies import local
from rollahead.policies.local import local_planner
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.policies.process import Diffusion, Flow
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import BidConfig, GuidanceConfig
from rollahead.runtime.rolling.roll import Rollers, still
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Snapshot
from rollahead.runtime.types.spec import Dim, Kind, PolicySpec, RobotSpec

from .fakes import Gaussian

T, A, W = 6, 2, 5
NAMES = ("a_0", "a_1")
ROBOT = RobotSpec(
    tuple(Dim(name, kind=Kind.VELOCITY, low=-1.0, high=1.0) for name in NAMES), tuple(map(Dim, NAMES)), 50.0
)
STRATEGIES: dict[str, tuple[StrategyConfig, str]] = {
    "vlash": (StrategyConfig("vlash"), "euler"),
    "vlash from the last plan": (StrategyConfig("vlash"), "rti"),
    "rtc": (StrategyConfig("rtc", s=2, d=1), "euler"),
    "rtc, identity": (StrategyConfig("rtc", s=2, d=1, guidance=GuidanceConfig(jacobian="identity")), "euler"),
    "tt_rtc": (StrategyConfig("tt_rtc", s=2, d=1), "euler"),
    "bid": (StrategyConfig("bid", s=2, d=1, bid=BidConfig(candidates=8)), "euler"),
    "bid for itself": (
        StrategyConfig("bid", s=2, d=1, bid=BidConfig(candidates=8, verifier="smoothness", modes=None)),
        "euler",
    ),
}


@dataclass
class Network(Gaussian):
    """Of A names and rows of `shape[1]` numbers, which do not depend on each other. Notes what it encodes and binds."""

    process: Diffusion | Flow = field(default_factory=lambda: Flow("velocity"))
    trained: Trained = field(default_factory=lambda: Trained(prefixes=3))
    noted: list[str] = field(default_factory=list)

    @property
    def spec(self) -> PolicySpec:
        return PolicySpec(action=NAMES, state=NAMES, horizon=T, rate_hz=50.0)

    def encode(self, seen: EncoderInput) -> Any:
        self.noted.append("encode")

    def bind(self, encoded: Any, observations: Any, delay: int) -> Any:
        self.noted.append("bind")

    def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The same v at each time and row, for prefixes too."""
        u = t.reshape(len(x), -1, 1).clamp(min=1e-3)
        x0 = torch.tanh(self.clean(x, 0.5, 0.5))
        return (x - x0) / u

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        assert chunk.shape == self.shape
        return frozen(2 * chunk[:, :A].double().numpy())

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        known = torch.tensor(rows, dtype=torch.float32) / 2
        return torch.nn.functional.pad(known, (0, self.shape[1] - A))


def noise(beside: float) -> Callable[..., Any]:
    """The noise of the first A numbers of a row is the same for every width; that of the others is `beside` times as
    large."""

    def noise_of(request: Request, policy: Any, chunks: int = 1, use: str = "sampler") -> Any:
        rng, other = np.random.default_rng(request.seed), np.random.default_rng(99)

        def draw() -> torch.Tensor:
            named = rng.standard_normal((chunks, T, A), dtype=np.float32)
            padding = beside * other.standard_normal((chunks, T, policy.shape[1] - A), dtype=np.float32)
            return torch.from_numpy(np.concatenate([named, padding.astype(np.float32)], axis=2))

        return draw

    return noise_of


def planned(policy: Network, name: str, requests: int = 4) -> list[FloatArray]:
    """The rows of so many requests, each asked two ticks after the last one, whose rows are planned."""
    strategy, sampler = STRATEGIES[name]
    planner = local_planner(policy, {"name": sampler}, ROBOT, Rollers(still), {}, None, strategy)
    none, rows, made = frozen(np.zeros((0, A))), frozen(np.zeros((0, A))), []
    for tick in range(0, 2 * requests, 2):
        ahead = frozen(np.concatenate([rows[2:], np.zeros((T - len(rows[2:]), A))]))
        seen = (Observation(tick, frozen([0.0, 0.0])),)
        asked = Snapshot(tick, seen, none, ahead, 0, 0, covered=len(rows[2:]))
        request = Request(asked, tick, tick + 1, None, 1)
        rows = planner.infer(request, lambda asked=asked: asked).rows  # type: ignore[misc]
        made.append(rows)
    return made


@pytest.mark.parametrize("beside", [1.0, 10.0])
@pytest.mark.parametrize("name", STRATEGIES)
def test_rows_are_those_of_a_network_as_wide_as_the_robot(
    name: str, beside: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "noise_of", noise(beside))
    narrow, wide = (planned(Network(shape=(T, width)), name) for width in (A, W))
    for one, other in zip(narrow, wide, strict=True):
        assert other.shape == (T, A)
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(narrow[0], narrow[1])


def test_the_noise_of_a_network_has_its_width() -> None:
    request = Request(Snapshot(0, (Observation(0, frozen([0.0])),), frozen([]), frozen([]), 0, 0), 0, 0, None, 0)
    assert local.noise_of(request, Network(shape=(T, W)), 3)().shape == (3, T, W)


def test_all_candidates_share_one_context() -> None:
    policy = Network(shape=(T, W))
    planned(policy, "bid", requests=3)
    assert policy.noted == ["encode", "bind"] * 3

"""The flow policy, as the runtime drives it: the network alone, without LeRobot.

Threads: the worker's alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rollahead.errors import ConfigError
from rollahead.policies.adapters.flow.net import Net, NetConfig, make_net
from rollahead.policies.adapters.observed import Actions, Numbers
from rollahead.policies.checkpoints.checkpoint import Checkpoint
from rollahead.policies.lerobot.weights import load_weights
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.policies.process import Flow
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import PolicySpec

NAME = "the flow policy"
SIZES = ("horizon", "prediction", "variant", "width", "depth")


@dataclass(frozen=True, slots=True, eq=False)
class FlowContext:
    """Condition (1, C) of the network: state, environment, and the delay if the policy is told it."""

    condition: torch.Tensor


class FlowAdapter:
    """A `Denoiser`."""

    name = NAME
    warm: tuple[float, ...] | None = None

    def __init__(self, net: Net, made: NetConfig, checkpoint: Checkpoint, device: torch.device) -> None:
        card, norms = checkpoint.card, checkpoint.normalisers().to(device)
        self.device = device
        self.process = Flow(checkpoint.config["prediction"])
        self.shape = (made.horizon, made.actions)
        self.feature_dim = made.width
        self.trained: Trained = card.trained
        self.spec = PolicySpec(
            action=card.action,
            state=card.state,
            environment=card.seen,
            horizon=made.horizon,
            rate_hz=card.rate_hz,
        )
        self._net = net
        self._numbers = Numbers(norms, card, device)
        self._actions = Actions(norms.action, len(card.action), self.shape, device)

    def encode(self, seen: EncoderInput) -> None:
        """Nothing: it sees no images. Phase: hot."""
        return None

    @torch.no_grad()
    def bind(self, encoded: None, observations: Sequence[Observation], delay: int) -> FlowContext:
        """With the newest observation. Phase: hot."""
        newest = observations[-1:]
        environment = self._numbers.environment(newest, delay)
        state = self._numbers.state(newest)
        return FlowContext(state if environment is None else torch.cat([state, environment], -1))

    @torch.no_grad()
    def features(self, context: FlowContext) -> FloatArray:
        """(W,), what the network makes of the condition alone (`rollahead.policies.adapters.flow.net`). Phase: hot."""
        return frozen(self._net.features(context.condition)[0].cpu().double().numpy())

    def denoise(self, context: FlowContext, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """As `process` says. t: (B,) or (B, T). Phase: hot."""
        times = t if t.ndim == 2 else t[:, None].expand(x.shape[:2])
        made: torch.Tensor = self._net(x, times, context.condition.expand(len(x), -1))
        return made

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """(H, A). Phase: hot."""
        return self._actions.rows(chunk)

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """(n, W), of rows in robot units: what `rows` undoes. Phase: hot."""
        return self._actions.normalised(rows)


def load(checkpoint: Checkpoint, device: torch.device) -> FlowAdapter:
    """The policy of `checkpoint` on `device`. Raises: ConfigError, if its weights do not fit."""
    features, config = checkpoint.features, checkpoint.config
    if missing := [key for key in SIZES if key not in config]:
        raise ConfigError(
            f"the configuration of the flow policy in {checkpoint.folder} does not say its {', '.join(missing)}; copy "
            "its config.json again"
        )
    sizes = {key: config[key] for key in SIZES}
    made = call(NetConfig, {"actions": features.action, "condition": features.state + features.environment, **sizes})
    net = make_net(made)
    load_weights(torch.nn.ModuleDict({"net": net}), checkpoint.folder)  # as LeRobot's class calls it
    return FlowAdapter(net.eval().requires_grad_(False).to(device), made, checkpoint, device)

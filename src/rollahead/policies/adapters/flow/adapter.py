"""The flow policy, as the runtime drives it: the network alone, without LeRobot.

Threads: the worker's alone.
"""

from collections.abc import Sequence

import torch

from rollahead.errors import ConfigError
from rollahead.policies.adapters.flow.net import Net, NetConfig, make_net
from rollahead.policies.adapters.observed import Numbers
from rollahead.policies.checkpoints.checkpoint import Checkpoint
from rollahead.policies.lerobot.weights import load_weights
from rollahead.policies.policy import Context, Trained
from rollahead.policies.process import Flow
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Images, Observation
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import PolicySpec

NAME = "the flow policy"
SIZES = ("horizon", "prediction", "variant", "width", "depth")


class FlowAdapter:
    """A `Denoiser`. Its context is the condition (1, C): state, environment, and the delay if it is told."""

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
            state_in="condition",
        )
        self._net = net
        self._numbers = Numbers(norms, card, device)
        self._action = norms.action

    def encode(self, images: Sequence[Images], task: str) -> Context:
        """Nothing: it sees no images. Phase: hot."""
        return None

    @torch.no_grad()
    def bind(self, context: Context, observations: Sequence[Observation], delay: int) -> Context:
        """(1, C), of the newest. Phase: hot."""
        newest = observations[-1:]
        environment = self._numbers.environment(newest, delay)
        state = self._numbers.state(newest)
        return state if environment is None else torch.cat([state, environment], -1)

    @torch.no_grad()
    def features(self, context: Context) -> FloatArray:
        """(W,), what the network makes of the condition alone (`rollahead.policies.adapters.flow.net`). Phase: hot."""
        return frozen(self._net.features(context)[0].cpu().double().numpy())

    def denoise(self, context: Context, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """As `process` says. t: (B,) or (B, T). Phase: hot."""
        times = t if t.ndim == 2 else t[:, None].expand(x.shape[:2])
        made: torch.Tensor = self._net(x, times, context.expand(len(x), -1))
        return made

    @torch.no_grad()
    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """(H, A). Phase: hot."""
        return frozen(self._action.unnormalise(chunk).cpu().numpy())

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """(n, A), of rows in robot units: what `rows` undoes. Phase: hot."""
        return self._action.normalise(torch.tensor(rows, dtype=torch.float32).to(self.device))


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

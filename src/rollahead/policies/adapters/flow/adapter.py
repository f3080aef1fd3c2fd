"""Adapter of the flow policy, which needs only the network and not LeRobot.

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
    """Input of the network beside the noise.

    `condition`: (1, C), the state, the environment, and the delay if the policy receives it as an input.
    """

    condition: torch.Tensor


class FlowAdapter:
    """The flow policy as a `Denoiser`, with features for a corrector.

    Args:
        net: The network, with the weights of `checkpoint`, on `device`.
        made: Configuration of the network.
        checkpoint: The checkpoint.
        device: Device of the policy.
    """

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
        """None, since the policy uses neither images nor task text. Phase: hot."""
        return None

    @torch.no_grad()
    def bind(self, encoded: None, observations: Sequence[Observation], delay: int) -> FlowContext:
        """Makes the condition from the state and environment of the newest observation. Phase: hot."""
        newest = observations[-1:]
        environment = self._numbers.environment(newest, delay)
        state = self._numbers.state(newest)
        return FlowContext(state if environment is None else torch.cat([state, environment], -1))

    @torch.no_grad()
    def features(self, context: FlowContext) -> FloatArray:
        """Hidden features of the network for the condition alone, `width` numbers. Phase: hot.

        See `rollahead.policies.adapters.flow.net`.
        """
        return frozen(self._net.features(context.condition)[0].cpu().double().numpy())

    def denoise(self, context: FlowContext, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Prediction (B, T, A) of the network for chunks `x` (B, T, A) at times `t`, (B,) or (B, T). Phase: hot."""
        times = t if t.ndim == 2 else t[:, None].expand(x.shape[:2])
        made: torch.Tensor = self._net(x, times, context.condition.expand(len(x), -1))
        return made

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """Rows (H, A) of a normalised chunk, in robot units. Phase: hot."""
        return self._actions.rows(chunk)

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """Normalised rows (n, W) of rows in robot units: the inverse of `rows`. Phase: hot."""
        return self._actions.normalised(rows)


def load(checkpoint: Checkpoint, device: torch.device) -> FlowAdapter:
    """Loads the policy of `checkpoint` onto `device`.

    Raises: ConfigError, if its configuration is incomplete, or its weights do not fit.
    """
    features, config = checkpoint.features, checkpoint.config
    if missing := [key for key in SIZES if key not in config]:
        raise ConfigError(
            f"the configuration of the flow policy in {checkpoint.folder} does not say its {', '.join(missing)}; copy "
            "its config.json again"
        )
    sizes = {key: config[key] for key in SIZES}
    made = call(NetConfig, {"actions": features.action, "condition": features.state + features.environment, **sizes})
    net = make_net(made)
    load_weights(torch.nn.ModuleDict({"net": net}), checkpoint.folder)  # the name of the network in LeRobot's class
    return FlowAdapter(net.eval().requires_grad_(False).to(device), made, checkpoint, device)

"""The flow policy as a LeRobot policy, which LeRobot's own programs can train, load and evaluate."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch

from rollahead.policies.adapters.flow.configuration_flow import FlowConfig
from rollahead.policies.adapters.flow.loss import flow_loss
from rollahead.policies.adapters.flow.net import make_net
from rollahead.policies.denoising.samplers import integrate
from rollahead.policies.lerobot.compat import PreTrainedPolicy
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.process import Flow

NOISE_ALONE = 0.5  # expected fraction of a batch whose chunks are pure noise
Batch = dict[str, torch.Tensor]


class FlowPolicy(PreTrainedPolicy):  # type: ignore[misc]  # LeRobot's bases have no types
    """The flow policy as a LeRobot policy.

    Batches have LeRobot's form and are normalised. A batch may have `prefix` (B,), the number of first rows that are
    given in each example.
    """

    config_class = FlowConfig
    name = "rollahead_flow"

    def __init__(self, config: FlowConfig, **_: Any) -> None:
        super().__init__(config)
        config.validate_features()
        self.config: FlowConfig = config
        self.net = make_net(config.net)
        self.reset()

    def get_optim_params(self) -> Iterator[torch.nn.Parameter]:
        """All parameters."""
        return self.parameters()

    def reset(self) -> None:
        """Drops the planned rows, at the start of an episode."""
        self._planned: deque[torch.Tensor] = deque()

    def forward(self, batch: Batch) -> tuple[torch.Tensor, None]:
        """Loss of `batch`, with noise and times from torch's generator, and None in place of further outputs."""
        x0 = batch[ACTION]
        rows = torch.arange(x0.shape[1], device=x0.device)
        padded = batch.get("action_is_pad", torch.zeros(x0.shape[:2], dtype=torch.bool, device=x0.device))
        given = rows < batch["prefix"][:, None] if "prefix" in batch else torch.zeros_like(padded)
        t = times(len(x0), x0.device)
        counted = ~(given | padded)
        loss = flow_loss(
            self.net,
            self.config.prediction,
            x0,
            condition_of(batch),
            torch.randn_like(x0),
            t,
            given,
            counted,
            self.config.loss_average,
        )
        return loss, None

    @torch.no_grad()
    def predict_action_chunk(
        self, batch: Batch, noise: torch.Tensor | None = None, steps: int | None = None, **_: Any
    ) -> torch.Tensor:
        """Normalised chunks (B, T, A).

        Args:
            batch: Normalised observations.
            noise: Noise to start from, (B, T, A); None to draw it.
            steps: Number of Euler steps; None for `num_steps` of the configuration.
            **_: Ignored, for LeRobot.
        """
        condition = condition_of(batch)
        shape = (len(condition), self.config.horizon, self.config.net.actions)
        x = torch.randn(shape, device=condition.device) if noise is None else noise
        return integrate(
            lambda x, t: self.net(x, t[:, None].expand(x.shape[:2]), condition),
            Flow(self.config.prediction),
            x,
            steps or self.config.num_steps,
        )

    @torch.no_grad()
    def select_action(self, batch: Batch, noise: torch.Tensor | None = None, **_: Any) -> torch.Tensor:
        """Normalised actions (B, A): the next of the `n_action_steps` planned rows."""
        if not self._planned:
            chunk = self.predict_action_chunk(batch, noise=noise)
            self._planned.extend(chunk[:, : self.config.n_action_steps].unbind(1))
        return self._planned.popleft()


def times(n: int, device: torch.device) -> torch.Tensor:
    """Times (n,) of a batch: about half of them 1, the others uniform over [0, 1).

    At time 1 the chunk is pure noise, and must be predicted from the condition alone, which is the hardest to learn.
    """
    return torch.where(torch.rand(n, device=device) < NOISE_ALONE, 1.0, torch.rand(n, device=device))


def condition_of(batch: Batch) -> torch.Tensor:
    """Condition (B, C): the state, and the environment if there is one, of the newest observation."""
    parts = [batch[key] for key in (STATE, ENVIRONMENT) if key in batch]
    return torch.cat([part[:, -1] if part.ndim == 3 else part for part in parts], -1)

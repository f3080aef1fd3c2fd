"""The flow policy, as LeRobot knows it: it can be trained, loaded and evaluated by LeRobot's own programs."""

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

NOISE_ALONE = 0.5  # of a batch
Batch = dict[str, torch.Tensor]


class FlowPolicy(PreTrainedPolicy):  # type: ignore[misc]  # LeRobot's bases have no types
    """Batches are LeRobot's, normalised. `prefix` (B,), if it is there: how many first rows are given."""

    config_class = FlowConfig
    name = "rollahead_flow"

    def __init__(self, config: FlowConfig, **_: Any) -> None:
        super().__init__(config)
        config.validate_features()
        self.config: FlowConfig = config
        self.net = make_net(config.net)
        self.reset()

    def get_optim_params(self) -> Iterator[torch.nn.Parameter]:
        """All of them."""
        return self.parameters()

    def reset(self) -> None:
        """Forgets what was planned."""
        self._planned: deque[torch.Tensor] = deque()

    def forward(self, batch: Batch) -> tuple[torch.Tensor, None]:
        """The loss of `batch`, with noise and times from torch's generator."""
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
        """(B, T, A), normalised. noise: (B, T, A), to start from; steps: other than `num_steps`."""
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
        """(B, A), normalised: the next of the `n_action_steps` planned rows."""
        if not self._planned:
            chunk = self.predict_action_chunk(batch, noise=noise)
            self._planned.extend(chunk[:, : self.config.n_action_steps].unbind(1))
        return self._planned.popleft()


def times(n: int, device: torch.device) -> torch.Tensor:
    """(n,), of a batch: half of them 1, where noise is all there is and the chunk must come from what is seen alone,
    which is the hardest to learn; the rest uniform over [0, 1)."""
    return torch.where(torch.rand(n, device=device) < NOISE_ALONE, 1.0, torch.rand(n, device=device))


def condition_of(batch: Batch) -> torch.Tensor:
    """(B, C): the state, and the environment if there is one; of several observations the newest."""
    parts = [batch[key] for key in (STATE, ENVIRONMENT) if key in batch]
    return torch.cat([part[:, -1] if part.ndim == 3 else part for part in parts], -1)

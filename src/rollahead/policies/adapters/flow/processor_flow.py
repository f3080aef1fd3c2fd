"""The flow policy's processors in LeRobot: normalisation and nothing else."""

from typing import Any

from rollahead.policies.adapters.flow.configuration_flow import FlowConfig
from rollahead.policies.lerobot.compat import normalising_pipelines


def make_rollahead_flow_pre_post_processors(
    config: FlowConfig, dataset_stats: dict[str, dict[str, Any]] | None = None
) -> tuple[Any, Any]:
    """The pipelines before and after the network, as LeRobot's factory asks for them."""
    return normalising_pipelines(config, dataset_stats)

"""Processors of the flow policy in LeRobot, which only normalise."""

from typing import Any

from rollahead.policies.adapters.flow.configuration_flow import FlowConfig
from rollahead.policies.lerobot.compat import normalising_pipelines


def make_rollahead_flow_pre_post_processors(
    config: FlowConfig, dataset_stats: dict[str, dict[str, Any]] | None = None
) -> tuple[Any, Any]:
    """Makes the pipelines before and after the network. LeRobot's factory finds the function by its name."""
    return normalising_pipelines(config, dataset_stats)

"""No sampling: a policy that makes its chunk at once."""

from dataclasses import dataclass

from rollahead.policies.denoising.samplers.sampler import COLD, Noise, SampleRequest, SampleResult
from rollahead.policies.policy import Context, OneShot


@dataclass(frozen=True, slots=True)
class Once:
    """Asks the policy, and that is it."""

    @property
    def calls(self) -> int:
        """Of the network, per chunk."""
        return 1

    def __call__(self, policy: OneShot, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """(1, T, A), without noise. Phase: hot."""
        return SampleResult(policy.act(context)[None], 1)


def make_one_shot(process: None) -> Once:
    """Of a policy that has no process."""
    return Once()

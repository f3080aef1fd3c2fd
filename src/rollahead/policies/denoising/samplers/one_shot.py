"""The sampler for policies that make a chunk in one call."""

from dataclasses import dataclass

from rollahead.policies.denoising.samplers.sampler import COLD, Noise, SampleRequest, SampleResult
from rollahead.policies.policy import Context, OneShot


@dataclass(frozen=True, slots=True)
class Once:
    """Calls the policy once."""

    @property
    def calls(self) -> int:
        """Number of network calls per chunk."""
        return 1

    def __call__(self, policy: OneShot, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """One chunk, (1, T, A). No noise is used. Phase: hot."""
        return SampleResult(policy.act(context)[None], 1)


def make_one_shot(process: None) -> Once:
    """A sampler for a policy without a noise process."""
    return Once()

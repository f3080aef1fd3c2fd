"""Samplers: algorithms that make a chunk from a policy's predictions, by name.

    auto       the sampler that suits the policy best
    ddpm       diffusion, ancestral: every step that the policy was trained with, or `steps` of them
    ddim       diffusion, deterministic: a few `steps`
    euler      flow matching: a few `steps`
    rti        one of these three, started from the last plan
    one_shot   a policy that makes its chunk in one call

A sampler draws no random numbers itself. It gets all noise from its caller; the first noise is the start.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

from rollahead.errors import ConfigError, unknown_name
from rollahead.policies.denoising.samplers.ddim import make_ddim
from rollahead.policies.denoising.samplers.ddpm import make_ddpm
from rollahead.policies.denoising.samplers.euler import integrate, make_euler
from rollahead.policies.denoising.samplers.one_shot import make_one_shot
from rollahead.policies.denoising.samplers.rti import make_rti
from rollahead.policies.denoising.samplers.sampler import (
    COLD,
    Noise,
    Sampler,
    SampleRequest,
    SampleResult,
    Steps,
    WarmStart,
)
from rollahead.policies.policy import Policy
from rollahead.policies.process import Diffusion, Flow
from rollahead.runtime.types.options import call, check_kind

__all__ = [
    "AUTO",
    "COLD",
    "SAMPLERS",
    "Noise",
    "SampleRequest",
    "SampleResult",
    "Sampler",
    "Steps",
    "WarmStart",
    "integrate",
    "make_sampler",
]

AUTO, RTI = "auto", "rti"
BASES = (AUTO, "ddim", "ddpm", "euler")  # samplers that RTI starts cold with
OF_COLD = ("steps", "spacing")  # options of these samplers
OF_RTI = signature(make_rti).parameters.keys() - {"cold"} | {"base"}
FEW_DIFFUSION, FEW_FLOW = 10, 5  # denoising steps of `auto`


@dataclass(frozen=True, slots=True)
class Entry:
    """A sampler in the table `SAMPLERS`.

    Attributes:
        make: Function (process, **options) -> sampler.
        needs: Class of the noise process that it is for, `NoneType` for none.
    """

    make: Callable[..., Sampler]
    needs: type


SAMPLERS: Mapping[str, Entry] = {
    "ddpm": Entry(make_ddpm, Diffusion),
    "ddim": Entry(make_ddim, Diffusion),
    "euler": Entry(make_euler, Flow),
    "one_shot": Entry(make_one_shot, type(None)),
}
KINDS: Mapping[type, tuple[str, str]] = {  # what a policy with such a process does, and its sampler
    Diffusion: ("denoises by diffusion", "ddim"),
    Flow: ("denoises by flow matching", "euler"),
    type(None): ("makes its chunk at once", "one_shot"),
}


def make_sampler(config: Mapping[str, Any], policy: Policy) -> Sampler:
    """The sampler of `config`, a `name` and options, for `policy`.

    Raises: ConfigError, if there is no such sampler, or it does not fit the policy.
    """
    process = getattr(policy, "process", None)
    options = dict(config)
    name = options.pop("name", None)
    check_kind("sampler.name", name, str)
    if name == RTI:
        return _rti(options, policy)
    if name == AUTO:
        name, options = KINDS[type(process)][1], {**_best(process), **options}
    if name not in SAMPLERS:
        raise unknown_name("sampler", name, {AUTO, RTI, *SAMPLERS})
    if not isinstance(process, SAMPLERS[name].needs):
        raise _refusal(name, policy.name, type(process))
    return call(SAMPLERS[name].make, options, "sampler", process=process)


def _rti(options: Mapping[str, Any], policy: Policy) -> Sampler:
    """A sampler that starts from the last plan. `options`: RTI's own, and those of its cold starts."""
    own = {"base": AUTO, **options}
    check_kind("sampler.base", own["base"], str)
    if own["base"] not in BASES:
        raise unknown_name("base of the sampler", own["base"], BASES)
    if unknown := own.keys() - OF_RTI - set(OF_COLD):
        raise unknown_name("option of the sampler", min(unknown), OF_RTI | set(OF_COLD))
    base = {"name": own.pop("base")} | {name: value for name in OF_COLD if (value := own.pop(name, None)) is not None}
    cold = make_sampler(base, policy)
    if not isinstance(cold, Steps):
        raise ConfigError(
            f"sampler={RTI} starts a denoising from the last plan, and {policy.name} {KINDS[type(None)][0]}; use "
            f"sampler={AUTO}"
        )
    if own.get("warm") is None:
        own["warm"] = policy.warm
    return call(make_rti, own, "sampler", cold=cold)


def _best(process: Diffusion | Flow | None) -> dict[str, Any]:
    """Options of the sampler that `auto` selects for a noise process.

    A diffusion network that predicts e determines x0 badly at the noisiest step, where sqrt(abar) is nearly 0:
    `leading` starts below it, as diffusers does. If x0 is predicted, every step is sound, and `trailing` starts at pure
    noise (arXiv 2305.08891, section 3.3).
    """
    if isinstance(process, Diffusion):
        spacing = "leading" if process.prediction == "epsilon" else "trailing"
        return {"steps": min(FEW_DIFFUSION, process.steps), "spacing": spacing}
    return {"steps": FEW_FLOW} if isinstance(process, Flow) else {}


def _refusal(name: str, policy: str, has: type) -> ConfigError:
    does, serves = KINDS[has]
    return ConfigError(
        f"sampler={name} needs a policy that {KINDS[SAMPLERS[name].needs][0]}, and {policy} {does}; use "
        f"sampler={serves}, or sampler={AUTO}"
    )

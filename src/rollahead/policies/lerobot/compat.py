"""Imports of LeRobot's classes and functions, wherever the installed version keeps them.

    compat.DiffusionPolicy, compat.make_pre_post_processors, ...     the names in `HOMES`, imported on first access

This is the only module of the package that knows which names moved between LeRobot 0.4.4 and 0.6.1. Two other
differences are handled here: a configuration may have fields that the other version does not know (`config_of`), and
diffusers and datasets are no longer part of a plain install, but of the extras `diffusion` and `dataset`.

Threads: setup only. Importing LeRobot takes seconds.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from importlib.util import find_spec
from typing import Any

from rollahead.errors import ConfigError, one_line
from rollahead.runtime.robots.lerobot.version import check_version
from rollahead.runtime.robots.lerobot.version import version as version

HOMES: Mapping[str, tuple[str, ...]] = {  # modules that may have a name; the first that can be imported is used
    "FeatureType": ("lerobot.configs.types",),
    "NormalizationMode": ("lerobot.configs.types",),
    "PolicyFeature": ("lerobot.configs.types",),
    "PreTrainedConfig": ("lerobot.configs.policies",),
    "PreTrainedPolicy": ("lerobot.policies.pretrained",),
    "AdamWConfig": ("lerobot.optim.optimizers",),
    "DiffusionConfig": ("lerobot.policies.diffusion.configuration_diffusion",),
    "DiffusionPolicy": ("lerobot.policies.diffusion.modeling_diffusion",),
    "ACTConfig": ("lerobot.policies.act.configuration_act",),
    "ACTPolicy": ("lerobot.policies.act.modeling_act",),
    "ACTTemporalEnsembler": ("lerobot.policies.act.modeling_act",),
    "make_pre_post_processors": ("lerobot.policies.factory",),
    "normalising_pipelines": ("lerobot.policies.act.processor_act",),
    "NormalizerProcessorStep": ("lerobot.processor",),
    "UnnormalizerProcessorStep": ("lerobot.processor",),
    "RTCAttentionSchedule": ("lerobot.configs.types",),
    "RTCConfig": ("lerobot.policies.rtc.configuration_rtc",),
    "RTCProcessor": ("lerobot.policies.rtc.modeling_rtc",),
    "LeRobotDataset": ("lerobot.datasets.lerobot_dataset",),
    "HF_LEROBOT_HOME": ("lerobot.utils.constants",),
}
OTHERWISE: Mapping[str, str] = {  # LeRobot's own name, where it differs
    "normalising_pipelines": "make_act_pre_post_processors",  # rename, batch, device, normalise; unnormalise, CPU
}
IGNORED = frozenset({"gradient_checkpointing", "pretrained_revision"})  # used by training only


def __getattr__(name: str) -> Any:
    """The class, function or constant `name` of the installed LeRobot, imported on first access.

    Raises: ConfigError, if LeRobot is not installed, or its version is not supported.
    """
    if name not in HOMES:
        raise AttributeError(f"rollahead.policies.lerobot.compat has no name {name!r} of LeRobot")
    check_version()
    return _part(name)


@cache
def _part(name: str) -> Any:
    failed: list[str] = []
    for home in HOMES[name]:
        try:
            return getattr(importlib.import_module(home), OTHERWISE.get(name, name))
        except (ImportError, AttributeError) as error:
            failed.append(one_line(error))
    raise ConfigError(
        f"{name} of LeRobot {version()} cannot be imported ({'; '.join(failed)}); add what it needs, e.g. with "
        "pip install 'lerobot[diffusion,dataset]'"
    )


def made(name: str, config: Any) -> Any:
    """A policy with new weights.

    Args:
        name: Name of the policy's class, such as `DiffusionPolicy`.
        config: LeRobot's configuration of that policy.

    Raises: ConfigError, if LeRobot cannot construct it.
    """
    make = __getattr__(name)
    try:
        return make(config)
    except ImportError as error:
        raise ConfigError(f"{name} of LeRobot {version()} cannot be made ({_words(error)})") from error
    except Exception as error:  # its networks may raise anything
        raise ConfigError(
            f"LeRobot {version()} cannot make a {name} of this configuration ({_words(error)}); give one that it has "
            "written"
        ) from error


def config_of(name: str, written: Mapping[str, Any], **changed: Any) -> Any:
    """The configuration of a policy, decoded from the contents of a config.json.

    Fields in `IGNORED` that this version does not know are left out: they do not matter for inference.

    Args:
        name: Name of the configuration's class, such as `DiffusionConfig`.
        written: Contents of config.json.
        **changed: Fields that replace those in `written`.

    Raises: ConfigError, if this version of LeRobot cannot read it.
    """
    from draccus.parsers.decoding import decode

    config = __getattr__(name)
    known = {field.name for field in fields(config)}
    wanted = {key: value for key, value in {**written, **changed}.items() if key not in IGNORED or key in known}
    wanted.pop("type", None)
    if unknown := sorted(set(wanted) - known):
        raise ConfigError(
            f"LeRobot {version()} does not know {', '.join(unknown)} of this {name}; it was written by "
            "another version, so install that one"
        )
    try:
        return decode(config, wanted)
    except Exception as error:  # the configuration may raise anything
        raise ConfigError(
            f"LeRobot {version()} refuses this {name} ({_words(error.__cause__ or error)}); give one that it has "
            "written"
        ) from error


def _words(error: BaseException) -> str:
    return one_line(error).removesuffix(".")


# Modules with the writer of a data set; the first that exists is patched.
WRITERS = (
    "lerobot.datasets.dataset_writer",
    "lerobot.datasets.lerobot_dataset",
)


@contextmanager
def no_images() -> Iterator[None]:
    """Speeds up writing a data set without images, while the context is open.

    LeRobot would go through the data set frame by frame to embed images that are not there, which takes more than half
    of the time.
    """
    module = next((home for home in WRITERS if find_spec(home) is not None), None)
    writer: Any = importlib.import_module(module) if module else None
    if not hasattr(writer, "embed_images"):
        yield
        return
    before = writer.embed_images
    writer.embed_images = lambda dataset: dataset
    try:
        yield
    finally:
        writer.embed_images = before

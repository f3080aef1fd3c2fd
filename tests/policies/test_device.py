import pytest
import torch

from rollahead.errors import ConfigError
from rollahead.policies.device import device_of


def has(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "kind"), [(0, "cpu"), (1, "cuda")])
def test_the_device_is_cuda_if_there_is_one(cuda: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, cuda, mps=True)
    assert device_of(None) == torch.device(kind)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1", "mps"])
def test_a_device_that_is_there_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 2, mps=True)
    assert device_of(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda", "mps", "cuda:1", "gpu", "", "meta", "cpu:1"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 0)
    with pytest.raises(ConfigError) as caught:
        device_of(name)
    assert str(caught.value) == f"planner.device is {name!r}, which this machine does not have; give cpu"


def test_a_second_gpu_that_is_not_there_is_refused_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 1)
    with pytest.raises(ConfigError, match="is 'cuda:1', which this machine does not have; give cpu or cuda"):
        device_of("cuda:1")

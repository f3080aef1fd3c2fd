from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rollahead.errors import ConfigError
from rollahead.policies.lerobot.weights import INPUTS, OUTPUTS, WEIGHTS, check_weights, load_weights, saved_statistics


def network(width: int = 3) -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width))


def save(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file(tensors, folder / WEIGHTS)
    return folder


def refused(folder: Path, *, whole: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        check_weights(folder) if whole else load_weights(network(), folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_network_has_all_the_weights_and_trains_no_more(tmp_path: Path) -> None:
    source, made = network(), network()
    save(tmp_path, source.state_dict())
    check_weights(tmp_path)
    load_weights(made, tmp_path)
    assert all(torch.equal(each, made.state_dict()[name]) for name, each in source.state_dict().items())
    assert not made.training and not any(parameter.requires_grad for parameter in made.parameters())


@pytest.mark.parametrize("whole", [True, False])
def test_missing_weights_are_said_with_the_remedy(whole: bool, tmp_path: Path) -> None:
    said = refused(tmp_path, whole=whole)
    assert said.startswith(f"the checkpoint has no {tmp_path / WEIGHTS}: it was not written to its end")
    assert "take an earlier one" in said


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("length", [0, 4, 30, -8, -1])
def test_weights_that_end_too_soon_are_said_so(length: int, whole: bool, tmp_path: Path) -> None:
    path = save(tmp_path, network().state_dict()) / WEIGHTS
    path.write_bytes(path.read_bytes()[:length])
    assert refused(tmp_path, whole=whole).startswith(f"{path} is damaged or was not written to its end (")


def test_statistics_among_the_weights_are_read_by_feature_and_are_no_weights_of_the_network(tmp_path: Path) -> None:
    source, made, mean = network(), network(), torch.tensor([1.0, 2.0])
    statistics = {
        "normalize_inputs.buffer_observation_environment_state.mean": mean,
        "normalize_inputs.buffer_observation_image.std": torch.ones(3, 1, 1),
        "normalize_targets.buffer_action.mean": torch.zeros(2),
        "unnormalize_outputs.buffer_action.mean": torch.ones(2),
    }
    save(tmp_path, {**source.state_dict(), **statistics})
    load_weights(made, tmp_path)
    assert all(torch.equal(each, made.state_dict()[name]) for name, each in source.state_dict().items())
    inputs = saved_statistics(tmp_path, INPUTS, ["observation.environment_state", "observation.image", "action"])
    assert {key: list(each) for key, each in inputs.items()} == {
        "observation.environment_state": ["mean"],
        "observation.image": ["std"],
    }
    assert torch.equal(inputs["observation.environment_state"]["mean"], mean)
    assert saved_statistics(tmp_path, OUTPUTS, ["action"])["action"]["mean"].tolist() == [1.0, 1.0]


def test_weights_of_another_kind_of_number_are_named(tmp_path: Path) -> None:
    tensors = network().state_dict()
    said = refused(save(tmp_path, {**tensors, "0.weight": tensors["0.weight"].to(torch.int8)}))
    assert "(0.weight has integers and not floating-point numbers); take both from one checkpoint" in said


def test_weights_that_are_missing_unknown_or_of_another_shape_are_named(tmp_path: Path) -> None:
    tensors = network(5).state_dict()
    tensors["extra"] = tensors.pop("0.bias")
    said = refused(save(tmp_path, tensors))
    assert said.startswith(f"{tmp_path / WEIGHTS} does not fit config.json (0.bias is missing, extra is not known, ")
    assert "0.weight is (5, 2) and not (3, 2), and 4 more); take both from one checkpoint" in said


def test_weights_of_one_other_shape_are_named_without_more(tmp_path: Path) -> None:
    said = refused(save(tmp_path, {**network().state_dict(), "0.bias": torch.zeros(4)}))
    assert "(0.bias is (4,) and not (3,)); take" in said

import errno
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rollahead.errors import ConfigError, ControlError, InferenceError
from rollahead.policies.training.training import WARM_UP, Training, TrainingConfig
from rollahead.runtime.types.seeds import generator

Batch = dict[str, torch.Tensor]


class Line(torch.nn.Module):
    """Learns y = 2 x from noisy inputs; the noise is torch's, and some of it is dropped."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.Dropout(0.5), torch.nn.Linear(width, 1))

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        made = self.layers(batch["x"] + 0.1 * torch.randn_like(batch["x"]))
        return (made - 2 * batch["x"]).square().mean() * batch.get("scale", 1.0), {}


def draw(step: int, n: int = 4) -> Batch:
    rng = generator("batches", 0, step)
    return {"x": torch.from_numpy(rng.standard_normal((n, 1)).astype(np.float32))}


def training_of(policy: torch.nn.Module | None = None, draws: Callable[..., Batch] = draw, **config: Any) -> Training:
    return Training(policy or Line(), draws, TrainingConfig(**{"steps": 12, "batch": 4, **config}))


def to(training: Training, step: int) -> Training:
    while training.step < step:
        training.advance()
    return training


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in module.parameters()])


def same(one: Training, other: Training) -> bool:
    pairs = [(one._policy, other._policy), (one.averaged, other.averaged)]
    return all(torch.equal(weights(a), weights(b)) for a, b in pairs) and one.loss == other.loss


@pytest.mark.parametrize("killed", range(12))
def test_a_killed_and_resumed_training_equals_the_uninterrupted_one_to_the_bit(killed: int, tmp_path: Path) -> None:
    to(training_of(), killed).save(tmp_path / "training.pt")
    torch.rand(killed + 1)  # another process has another generator
    resumed = training_of(Line(width=3))
    resumed.restore(tmp_path / "training.pt")
    assert resumed.step == killed
    assert same(to(resumed, 12), to(training_of(), 12))


def test_another_seed_is_another_training() -> None:
    assert not same(to(training_of(), 3), to(training_of(seed=1), 3))


def test_every_step_draws_anew() -> None:
    drawn: list[list[float]] = []

    def draws(step: int) -> Batch:
        batch = draw(step)
        drawn.append(batch["x"].flatten().tolist())
        return batch

    to(training_of(draws=draws), 12)
    assert len({tuple(each) for each in drawn}) == 12


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_one_error_and_no_weight_is_changed(value: float) -> None:
    training = training_of(draws=lambda step: {**draw(step), "scale": torch.tensor(value)})
    before = weights(training._policy)
    with pytest.raises(InferenceError, match=rf"the loss is {value} at step 0; lower training.learning_rate, or look"):
        training.advance()
    assert torch.equal(weights(training._policy), before)
    assert training.step == 0


def test_a_gradient_that_is_no_number_is_one_error_and_no_weight_is_changed() -> None:
    class Root(Line):
        def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
            return sum(weight.abs().sum() * 0.0 for weight in self.parameters()).sqrt(), {}  # 0, its slope infinite

    training = training_of(Root())
    before = weights(training._policy)
    with pytest.raises(InferenceError, match="the gradient's norm is nan at step 0"):
        training.advance()
    assert torch.equal(weights(training._policy), before)


def test_the_average_begins_as_the_first_weights_and_moves_less_and_less_to_its_decay() -> None:
    training = training_of(average=0.4)
    kept: torch.Tensor | None = None
    for seen in range(12):
        training.advance()
        now = weights(training._policy)
        decay = min(0.4, (1 + seen) / (10 + seen))
        kept = now if kept is None else decay * kept + (1 - decay) * now
        torch.testing.assert_close(weights(training.averaged), kept)


def test_without_an_average_the_weights_kept_are_the_last() -> None:
    training = to(training_of(average=0.0), 5)
    assert torch.equal(weights(training.averaged), weights(training._policy))


def test_what_is_kept_is_ready_for_inference_and_what_learns_goes_on_learning() -> None:
    training = to(training_of(), 2)
    assert not training.averaged.training
    assert training._policy.training


def test_the_learning_rate_rises_over_the_warm_up_and_falls_along_a_cosine_to_nothing() -> None:
    config = TrainingConfig(steps=400, learning_rate=0.5)
    training = Training(Line(), draw, config)
    rates = []
    for step in range(400):
        training.step = step
        rates.append(config.learning_rate * training._pace())
    cosine = [0.25 * (1 + math.cos(math.pi * step / 400)) for step in range(400)]
    assert rates == pytest.approx([value * min((step + 1) / WARM_UP, 1) for step, value in enumerate(cosine)])
    assert rates[0] == pytest.approx(0.5 / WARM_UP)
    assert rates[-1] < 1e-4 * max(rates)


def test_the_optimizer_is_given_that_rate() -> None:
    training = to(training_of(), 3)
    training.step = 2  # of the step that was taken last
    assert training._optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * training._pace())


def test_the_gradient_is_clipped_to_its_norm() -> None:
    training = training_of(draws=lambda step: {**draw(step), "scale": torch.tensor(1e6)}, clip=0.5)
    training.advance()
    norm = torch.cat([weight.grad.flatten() for weight in training._policy.parameters() if weight.grad is not None])
    assert float(norm.norm()) == pytest.approx(0.5, rel=1e-3)


def test_it_learns() -> None:
    begun, ended = (
        to(training_of(draws=lambda step: draw(step, 64), steps=400, learning_rate=0.03), step).loss
        for step in (1, 400)
    )
    assert ended < begun / 2


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whatever is written there is room for 100 bytes."""

    def write(path: Path, content: Any) -> int:
        with path.open("wb") as file:
            file.write(bytes(content)[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)


def test_where_the_disk_is_full_the_last_state_stays_and_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "training.pt"
    training = to(training_of(), 2)
    training.save(path)
    kept = path.read_bytes()
    fill_the_disk(monkeypatch)
    with pytest.raises(ControlError, match=r"training\.pt could not be written.*No space left on device.*free some"):
        to(training, 4).save(path)
    assert path.read_bytes() == kept
    assert [each.name for each in tmp_path.iterdir()] == ["training.pt"]


def test_a_kill_while_it_is_written_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "training.pt"
    training = to(training_of(), 2)
    training.save(path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        to(training, 4).save(path)
    resumed = training_of()
    resumed.restore(path)
    assert resumed.step == 2


def test_a_state_that_was_cut_off_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    to(training_of(), 1).save(path)
    whole = path.read_bytes()
    for end in (0, 1, 10, 100, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(ConfigError, match="damaged or was not written to its end; remove it to train from the"):
            training_of().restore(path)


def test_a_state_of_another_policy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    to(training_of(Line(width=4)), 1).save(path)
    with pytest.raises(
        ConfigError, match=r"is of another policy.*resume with the configuration that it was begun with"
    ):
        training_of(Line(width=3)).restore(path)


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2]])
def test_what_is_no_state_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "training.pt")
    with pytest.raises(ConfigError, match=r"is of another policy|holds no training"):
        training_of().restore(tmp_path / "training.pt")


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch": 0},
        {"seed": -1},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"learning_rate": math.inf},
        {"weight_decay": -1.0},
        {"average": 1.0},
        {"average": -0.1},
        {"clip": 0.0},
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused_with_their_values(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=rf"{name} (is )?{value}"):
        TrainingConfig(**wrong)


def test_a_batch_with_images_is_lerobots_if_nothing_is_said() -> None:
    assert (TrainingConfig().examples(False), TrainingConfig().examples(True)) == (256, 8)
    assert TrainingConfig(batch=5).examples(True) == 5

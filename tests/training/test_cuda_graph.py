"""A recorded step, with a recorder that does the work again where a GPU would play it back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import changed, weights_of
from framecast.config.experiment import Experiment
from framecast.errors import ConfigError
from framecast.models import VQVAE, ModularDesign, MotionRNN, PredRNN, PredRNNV2
from framecast.training import loop, run
from framecast.training.cuda_graph import RecordedStep, Work, check_recordable
from framecast.training.distributed import deterministic_algorithms
from framecast.training.two_stage import first_stage
from framecast.types import Batch


def again(model: Any, work: Work) -> tuple[Callable[[], None], dict[str, torch.Tensor]]:
    """Results lie where the first round left them, and the first round is for warming up."""
    losses = work()

    def play() -> None:
        for name, value in work().items():
            losses[name].copy_(value)

    return play, losses


def test_a_recorded_run_ends_with_the_same_weights(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(loop.train(experiment, tmp_path / "plain"))
    monkeypatch.setattr(run, "cuda_graph", again)
    monkeypatch.setattr("framecast.training.distributed._is_recordable", lambda fabric: True)
    monkeypatch.setattr("framecast.models.parts.rollout._is_on_cpu", lambda teacher: False)
    list(loop.train(changed(experiment, graph=True), tmp_path / "recorded"))
    torch.testing.assert_close(weights_of(tmp_path / "recorded"), weights_of(tmp_path / "plain"), rtol=1e-4, atol=1e-6)


def test_batches_are_copied_to_where_the_recording_reads_them() -> None:
    seen: list[tuple[int, float]] = []

    def gradients(batch: Batch, teacher: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append((batch.frames.data_ptr(), float(batch.frames.sum())))
        return {"loss": batch.frames.sum()}

    recorded = RecordedStep(gradients, torch.nn.Identity(), again)
    teacher = torch.ones(1, 2, dtype=torch.bool)
    losses = [
        recorded(Batch(torch.full((1, 3, 1, 2, 2), value), torch.ones(1, 3, 1, 2, 2, dtype=torch.bool)), teacher)
        for value in (1.0, 2.0)
    ]
    assert len({place for place, _ in seen}) == 1
    assert [float(each["loss"]) for each in losses] == [12.0, 24.0], "each result is a copy"
    with pytest.raises(ValueError, match="one size"):
        recorded(Batch(torch.zeros(2, 3, 1, 2, 2), torch.ones(2, 3, 1, 2, 2, dtype=torch.bool)), teacher)


def test_it_is_refused_where_there_is_no_gpu(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs one GPU"):
        list(loop.train(changed(experiment, graph=True), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (PredRNNV2(hidden=(8, 8), kernel=3, patch=2, segment=2), "cannot be computed again"),
        (MotionRNN(backbone=PredRNN(hidden=(8, 8), kernel=3, patch=2, segment=2)), "cannot be computed again"),
        (VQVAE.tiny(), "revives vectors"),
    ],
    ids=["segments", "segments of a backbone", "codebook"],
)
def test_what_cannot_be_recorded_is_refused(model: Any, why: str, experiment: Experiment) -> None:
    with pytest.raises(ConfigError, match=why):
        check_recordable(model.build(experiment.data.open().shape(None)))


def test_the_autoencoder_of_a_recorded_design_is_not_recorded(experiment: Experiment) -> None:
    stage = first_stage(replace(changed(experiment, graph=True), model=ModularDesign.tiny()))
    assert stage is not None
    assert not stage.training.graph


def test_deterministic_algorithms_are_for_the_run_only(experiment: Experiment, tmp_path: Path) -> None:
    asked = []
    for _ in loop.train(changed(experiment, deterministic=True, iterations=4), tmp_path / "run"):
        asked.append(torch.are_deterministic_algorithms_enabled())
    assert any(asked)
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(ZeroDivisionError), deterministic_algorithms(True):
        _ = 1 / 0
    assert not torch.are_deterministic_algorithms_enabled()

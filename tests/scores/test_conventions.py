"""Frame scores against the published implementations and independent libraries."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from framecast.scores import CONVENTIONS
from framecast.scores.events import Contingency, contingency, csi, far
from framecast.scores.ssim import gaussian_line, ssim_map
from framecast.scores.structure import gradient_difference, sharpness_difference


def sums_of(convention: str, prediction: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor | None = None) -> dict:
    valid = torch.ones_like(truth[:, :, :1], dtype=torch.bool) if valid is None else valid
    return CONVENTIONS[convention].compute_sums(prediction, truth, prediction, truth, valid)


def scores_of(
    convention: str, prediction: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor | None = None
) -> dict:
    return values_of(convention, sums_of(convention, prediction, truth, valid))


def values_of(convention: str, sums: dict) -> dict:
    known = CONVENTIONS[convention]
    return {
        metric.name: float(metric.formula(np.array([sums[name].sum().item() for name in metric.sums])))
        for metric in known.metrics
    }


@pytest.fixture(scope="module")
def published(parity: Path) -> dict:
    with np.load(parity / "metrics.npz") as file:
        content = {key: torch.tensor(file[key]) for key in file.files if key != "meta"}
        return content | {"values": json.loads(str(file["meta"]))["values"]}


@pytest.mark.parametrize("channels", ["1", "3"])
@pytest.mark.parametrize(
    ("convention", "ours", "theirs"),
    [
        ("thuml", "mse", "thuml_mse_frame"),
        ("thuml", "ssim", "thuml_ssim_frame"),
        ("thuml", "psnr", "thuml_psnr_frame"),
        ("thuml", "mae", "modernn_mae_frame_unclipped"),
        ("czh98", "mse", "czh98_mse_frame"),
        ("czh98", "mae", "czh98_mae_frame"),
        ("thuml", "mae", "tctn_mae_frame_unclipped"),
        ("thuml", "psnr", "tctn_psnr_frame"),
        ("thuml", "sharp", "modernn_sharp_yunbo_255"),
        ("czh98", "ssim", "czh98_ssim_frame"),
        ("czh98", "psnr", "czh98_psnr_frame"),
        ("czh98", "laplacian", "czh98_sharp_frame"),
        ("openstl", "mse", "openstl_mse"),
        ("openstl", "mae", "openstl_mae"),
        ("openstl", "rmse", "openstl_rmse"),
        ("openstl", "ssim", "openstl_ssim"),
        ("openstl", "psnr", "openstl_psnr"),
        ("openstl", "snr", "openstl_snr"),
    ],
)
def test_published_values_are_reproduced(
    published: dict, channels: str, convention: str, ours: str, theirs: str
) -> None:
    expected = published["values"][f"C{channels}"].get(theirs)
    if expected is None:
        pytest.skip("the reference is for one channel only")
    truth = published[f"true{channels}"].permute(0, 1, 4, 2, 3)
    prediction = published[f"pred{channels}"].permute(0, 1, 4, 2, 3)
    if isinstance(expected, list):
        values = [
            scores_of(convention, prediction[:, t : t + 1], truth[:, t : t + 1])[ours] for t in range(truth.shape[1])
        ]
    else:
        values = scores_of(convention, prediction, truth)[ours]
    assert values == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_published_variants_of_the_same_scores(published: dict, channels: int) -> None:
    """A norm over the size of a frame, 8-bit gradients, edges at the other corner over the whole frame, a Gaussian window."""
    values = published["values"][f"C{channels}"]
    truth, prediction = (published[f"{name}{channels}"].permute(0, 1, 4, 2, 3).double() for name in ("true", "pred"))
    size = channels * truth.shape[-1] * truth.shape[-2]
    scores = scores_of("openstl", prediction, truth)
    assert scores["mse"] / size == pytest.approx(values["openstl_mse_spatial_norm"], rel=1e-5)
    assert scores["mae"] / size == pytest.approx(values["openstl_mae_spatial_norm"], rel=1e-5)
    assert (scores["mse"] / size) ** 0.5 == pytest.approx(values["openstl_rmse_spatial_norm"], rel=1e-5)
    shown, true = ((pictures.clamp(0, 1).float() * 255).to(torch.uint8).double() for pictures in (prediction, truth))
    total, count = gradient_difference(shown, true, torch.ones_like(true[:, :, :1], dtype=torch.bool))
    np.testing.assert_allclose(total.sum(0) / count.sum(0), values["modernn_gdl_frame_255"], rtol=1e-5)
    if channels == 1:
        turned = sharpness_difference(shown.flip(-1, -2), true.flip(-1, -2), 255.0).mean(0)
        whole = turned + 20 * np.log10(truth.shape[-1] / (truth.shape[-1] - 1))
        np.testing.assert_allclose(whole, values["modernn_diff_sharp_255"], rtol=1e-5)
        gaussian = ssim_map(shown[0, 0, 0], true[0, 0, 0], gaussian_line(), 255.0, sample=False).mean()
        assert float(gaussian) == pytest.approx(values["openstl_SSIM_gaussian_255_frame00"], rel=1e-4)


def published_mean(score: Callable[[Contingency], torch.Tensor], table: Contingency) -> torch.Tensor:
    """A score as the published PredRNN code averages it: pooled over each batch, 0 where undefined, then the mean over
    batches. `table` holds `(batches, S)` counts, each pooled over a batch -> `(S,)`."""
    values = score(table)
    return torch.where(values.isnan(), 0.0, values).mean(0)


@pytest.mark.parametrize("level", [20, 30, 40, 50])
def test_published_event_scores_are_reproduced(published: dict, level: int) -> None:
    dbz = [
        ((frames.clamp(0, 1) * 255).to(torch.uint8).float() + 30) / 2
        for frames in (published["pred1"], published["true1"])
    ]
    prediction, truth = (frames.permute(0, 1, 4, 2, 3) for frames in dbz)
    table = contingency(prediction, truth, torch.ones_like(truth, dtype=torch.bool), [float(level)])
    batch = type(table)(*(counts.sum(0, keepdim=True)[..., 0] for counts in table))
    values = published["values"]["C1"]
    assert published_mean(csi, batch).tolist() == pytest.approx(values[f"csi{level}_batch_frame"], rel=1e-6)
    assert published_mean(far, batch).tolist() == pytest.approx(values[f"far{level}_batch_frame"], rel=1e-6)


def test_default_ssim_is_that_of_the_libraries() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, 1, 24, 30, generator=generator)
    prediction = (truth + 0.2 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    ours = scores_of("default", prediction, truth)["ssim"]
    skimage = np.mean(
        [
            structural_similarity(
                truth[b, t, 0].double().numpy(),
                prediction[b, t, 0].double().numpy(),
                data_range=1.0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for b in range(2)
            for t in range(3)
        ]
    )
    torchmetrics = structural_similarity_index_measure(
        prediction.flatten(0, 1), truth.flatten(0, 1), data_range=1.0, gaussian_kernel=True, sigma=1.5, kernel_size=11
    )
    assert ours == pytest.approx(skimage, rel=2e-3)  # scikit-image cuts the window at 3.5 sigma: the same 11 pixels
    assert ours == pytest.approx(
        torchmetrics.item(), rel=2e-2
    )  # torchmetrics reflects the border instead of leaving it out


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_perfect_forecast_is_perfect(convention: str) -> None:
    truth = torch.rand(2, 2, 1, 16, 16)
    scores = scores_of(convention, truth, truth)
    assert scores["mse"] == scores["mae"] == 0
    assert scores["ssim"] == pytest.approx(1)
    assert scores["psnr"] == float("inf")


def test_errors_computed_by_hand_are_reproduced() -> None:
    truth = torch.zeros(1, 2, 1, 12, 12)
    prediction = torch.full_like(truth, 0.5)
    scores = scores_of("default", prediction, truth)
    assert scores["mse"] == pytest.approx(0.25)
    assert scores["rmse"] == scores["mae"] == pytest.approx(0.5)
    assert scores["psnr"] == pytest.approx(6.0206, abs=1e-4)
    assert scores_of("thuml", prediction, truth)["mse"] == pytest.approx(0.25 * 144)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), cut=st.integers(1, 3), convention=st.sampled_from(sorted(CONVENTIONS)))
def test_sums_of_parts_are_the_sums_of_the_whole_in_any_order(seed: int, cut: int, convention: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    prediction, truth = torch.rand(2, 4, 2, 1, 12, 12, generator=generator)
    whole = scores_of(convention, prediction, truth)
    parts = [sums_of(convention, prediction[part], truth[part]) for part in (slice(cut, None), slice(0, cut))]
    added = {name: sum(part[name].sum() for part in parts) for name in parts[0]}
    assert values_of(convention, added) == pytest.approx(whole, nan_ok=True)  # too small for ms_ssim
    assert -1 <= whole["ssim"] <= 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_missing_pixels_have_no_influence(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    prediction, truth = torch.rand(2, 2, 2, 1, 20, 20, generator=generator)
    valid = torch.rand(2, 2, 1, 20, 20, generator=generator) > 0.002
    other = [torch.where(valid, values, torch.nan) for values in (prediction, truth)]
    assert scores_of("default", *other, valid) == pytest.approx(
        scores_of("default", prediction, truth, valid), nan_ok=True
    )


def test_nothing_observed_is_undefined() -> None:
    truth = torch.rand(1, 1, 1, 12, 12)
    scores = scores_of("default", truth, truth, torch.zeros_like(truth, dtype=torch.bool))
    assert all(np.isnan(value) for value in scores.values())


def test_frames_without_signal_have_no_ratio_of_it_to_noise() -> None:
    truth, prediction = torch.rand(2, 1, 1, 12, 12), torch.rand(2, 1, 1, 12, 12)
    alone = scores_of("openstl", prediction[:1], truth[:1])["snr"]
    truth[1] = prediction[1] = 0
    assert scores_of("openstl", prediction, truth)["snr"] == pytest.approx(alone)

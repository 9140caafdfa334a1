"""Neighbourhoods, spectra, gradients and perceptual distances, against independent implementations and known answers."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from framecast.scores.fractions import SCALES, fractions_sums, fss, percentile_limit, threshold_limit
from framecast.scores.perceptual import LPIPS, SCALE, SHIFT, frechet_distance, lpips_distance
from framecast.scores.ssim import ms_ssim
from framecast.scores.structure import WAVELENGTHS, gradient_difference, spectrum


def field(seed: int, shape: tuple[int, ...] = (1, 1, 1, 40, 48)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator) * 10


def score(prediction: torch.Tensor, truth: torch.Tensor, side: int, valid: torch.Tensor | None = None) -> float:
    valid = torch.ones_like(truth[:, :, :1], dtype=torch.bool) if valid is None else valid
    error, reference = fractions_sums([prediction], truth, valid, [threshold_limit(8.0)], (side,))
    return float(fss(error.sum(), reference.sum()))


@pytest.mark.parametrize("side", [1, 3, 7])
def test_fss_is_that_of_pysteps_away_from_the_edge(side: int) -> None:
    """pysteps fills the world outside with zeros: with a dry margin there is no difference."""
    spatial = pytest.importorskip("pysteps.verification.spatialscores")
    prediction, truth = field(0), field(1)
    for values in (prediction, truth):
        values[..., :8, :], values[..., -8:, :], values[..., :8], values[..., -8:] = 0, 0, 0, 0
    theirs = spatial.fss(prediction[0, 0, 0].numpy(), truth[0, 0, 0].numpy(), thr=8.0, scale=side)
    assert score(prediction, truth, side) == pytest.approx(theirs, rel=1e-6)


def brute_force(prediction: np.ndarray, truth: np.ndarray, valid: np.ndarray, side: int) -> float:
    half, step = side // 2, max(1, side // 8)
    error = reference = 0.0
    for y in range(0, prediction.shape[0], step):
        for x in range(0, prediction.shape[1], step):
            window = np.s_[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
            if valid[y, x]:
                there = valid[window]
                pf = ((prediction[window] >= 8) & there).sum() / there.sum()
                po = ((truth[window] >= 8) & there).sum() / there.sum()
                error, reference = error + (pf - po) ** 2, reference + pf**2 + po**2
    return 1 - error / reference


@pytest.mark.parametrize("side", [1, 3, 9, 17, 33])
def test_fss_counts_observed_pixels_only(side: int) -> None:
    prediction, truth = field(2), field(3)
    valid = field(4) > 3
    prediction[~valid], truth[~valid] = torch.nan, 1e9
    expected = brute_force(prediction[0, 0, 0].numpy(), truth[0, 0, 0].numpy(), valid[0, 0, 0].numpy(), side)
    assert score(prediction, truth, side, valid) == pytest.approx(expected, rel=1e-5)


def test_fss_forgives_a_small_shift_and_only_at_large_scales() -> None:
    truth = torch.zeros(1, 1, 1, 60, 60)
    truth[..., 20:30, 20:30] = 10
    moved = truth.roll(6, dims=-1)
    values = [score(moved, truth, side) for side in (1, 9, 33)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(0.4, abs=0.01)
    assert values[-1] > 0.85


def test_fss_without_events_is_undefined_and_empty_cases_weigh_nothing() -> None:
    dry = torch.zeros(1, 1, 1, 20, 20)
    assert np.isnan(score(dry, dry, 3))
    prediction, truth = field(0, (1, 1, 1, 20, 20)), field(1, (1, 1, 1, 20, 20))
    both = score(torch.cat([prediction, dry]), torch.cat([truth, dry]), 3)
    assert both == pytest.approx(score(prediction, truth, 3))


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), side=st.sampled_from(SCALES[:4]))
def test_fss_lies_between_0_and_1_and_is_1_for_the_truth(seed: int, side: int) -> None:
    prediction, truth = field(seed, (1, 1, 1, 24, 24)), field(seed + 1, (1, 1, 1, 24, 24))
    assert 0 <= score(prediction, truth, side) <= 1
    assert score(truth, truth, side) == pytest.approx(1)


def test_multi_scale_similarity_is_that_of_torchmetrics() -> None:
    truth = torch.nn.functional.interpolate(field(0, (1, 1, 24, 24)), 200, mode="bicubic").clamp(0, 10) / 10
    prediction = (truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    ours = ms_ssim(prediction[0], truth[0])
    theirs = multiscale_structural_similarity_index_measure(prediction, truth, data_range=1.0)
    assert float(ours) == pytest.approx(float(theirs), abs=0.02)  # they fill the border, we leave it out
    assert float(ms_ssim(truth[0], truth[0])) == pytest.approx(1)
    assert ms_ssim(truth[0, :, :100], truth[0, :, :100]).isnan().all(), "too small"


@pytest.mark.parametrize("size", [(64, 64), (63, 65), (40, 96)])
def test_the_spectrum_of_a_wave_lies_at_its_wavelength(size: tuple[int, int]) -> None:
    x = torch.arange(size[1]) * 2 * torch.pi / 8
    wave = torch.cos(x).expand(1, 1, 1, *size)
    power = spectrum(wave, torch.ones(1, 1, 1, *size, dtype=torch.bool))[0, 0]
    ring = int(np.searchsorted(WAVELENGTHS, 8.0, side="right")) - 1
    assert int(power.nan_to_num(0).argmax()) in (ring, ring - 1)


def test_spectra_add_up_to_the_variance_and_show_blur() -> None:
    noise = field(5, (1, 1, 1, 64, 64)) - 5
    valid = torch.ones_like(noise, dtype=torch.bool)
    power = spectrum(noise, valid)[0, 0]
    flat = power[power.isfinite()]
    assert flat.mean() == pytest.approx(
        float(noise.var()), rel=0.2
    )  # white noise has the same power at all wavelengths
    blurred = torch.nn.functional.avg_pool2d(noise[0], 5, 1, 2)[None]
    ratio = spectrum(blurred, valid)[0, 0] / power
    assert ratio[0] < 0.2
    assert ratio[7] > 0.7


def test_gradient_difference_is_that_of_the_published_code(parity: Path) -> None:
    with np.load(parity / "metrics.npz") as file:
        values = json.loads(str(file["meta"]))["values"]
        for channels in ("1", "3"):
            truth, prediction = (
                torch.tensor(file[f"{name}{channels}"]).permute(0, 1, 4, 2, 3).double() for name in ("true", "pred")
            )
            total, count = gradient_difference(
                prediction.clamp(0, 1), truth, torch.ones_like(truth[:, :, :1], dtype=torch.bool)
            )
            ours = total.sum(0) / count.sum(0)
            np.testing.assert_allclose(ours, values[f"C{channels}"]["modernn_gdl_frame_unit"], rtol=1e-5)


def test_gradients_across_missing_pixels_are_not_counted() -> None:
    truth, prediction = field(0), field(1)
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[..., 10, 10] = False
    total, count = gradient_difference(prediction, truth, valid)
    changed = truth.clone()
    changed[..., 10, 10] = 1e6
    again, _ = gradient_difference(prediction, changed, valid)
    assert float(again) == float(total)
    assert int(count) == 39 * 47 - 3


def test_lpips_combines_features_as_the_published_code_does(parity: Path) -> None:
    with np.load(parity / "metrics.npz") as file:
        about = json.loads(str(file["meta"]))["values"]
        part = {key: torch.tensor(file[key]) for key in file.files if key.startswith("lpips")}
    ours = lpips_distance(*([part[f"lpips_{kind}{k}"] for k in range(2)] for kind in ("fa", "fb", "w")))
    np.testing.assert_allclose(ours, about["lpips_from_features"], rtol=1e-5)
    np.testing.assert_allclose(about["lpips_scaling"]["shift"], SHIFT, atol=1e-6)
    np.testing.assert_allclose(about["lpips_scaling"]["scale"], SCALE, atol=1e-6)


def test_lpips_reads_weights_in_the_published_layout() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = zip((3, 64, 192, 384, 256), (64, 192, 384, 256, 256), (11, 5, 3, 3, 3), (0, 3, 6, 8, 10), strict=True)
    weights = {}
    for number, (inner, outer, kernel, place) in enumerate(sizes):
        weights[f"features.{place}.weight"] = torch.randn(outer, inner, kernel, kernel, generator=generator) * 0.05
        weights[f"features.{place}.bias"] = torch.zeros(outer)
        weights[f"lin{number}.model.1.weight"] = torch.rand(1, outer, 1, 1, generator=generator)
    network = LPIPS(weights)
    pictures, others = torch.rand(2, 2, 1, 64, 64, generator=generator)
    assert [tuple(seen.shape[1:]) for seen in network.features(pictures)] == [
        (64, 15, 15), (192, 7, 7), (384, 3, 3), (256, 3, 3), (256, 3, 3)
    ]  # fmt: skip
    assert (network(pictures, others) > 0).all()
    assert network(pictures, pictures).abs().max() < 1e-6
    with pytest.raises(KeyError, match="features"):
        LPIPS({})


def test_frechet_distance_is_that_of_the_matrix_root() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(50, 6)) @ generator.normal(size=(6, 6)), generator.normal(1, 2, (70, 6))
    first, second = np.cov(one.T), np.cov(other.T)
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(expected)


@pytest.mark.parametrize("size", [(20, 24), (21, 15)])
def test_the_spectrum_is_the_mean_over_all_frequencies_of_a_ring(size: tuple[int, int]) -> None:
    noise = field(11, (1, 1, 1, *size))
    valid = field(12, (1, 1, 1, *size)) > 1
    seen = torch.where(valid, noise, 0.0)[0, 0, 0].numpy().astype(np.float64)
    power = np.abs(np.fft.fft2(seen, norm="ortho")) ** 2
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    wavelength = 1 / np.maximum(frequency, 1e-9)
    ours = spectrum(noise, valid)[0, 0].numpy()
    for ring, (low, high) in enumerate(pairwise(WAVELENGTHS)):
        inside = (wavelength >= low - 1e-6) & (wavelength < high - 1e-6)
        if not inside.any():
            assert np.isnan(ours[ring])
        elif not np.isclose(wavelength, low, atol=1e-4).any() and not np.isclose(wavelength, high, atol=1e-4).any():
            assert ours[ring] == pytest.approx(power[inside].mean(), rel=1e-4)


def test_frechet_distance_of_known_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(20_000, 3, generator=generator, dtype=torch.float64)
    other = torch.randn(20_000, 3, generator=generator, dtype=torch.float64) * 2 + torch.tensor([1.0, 0, 0])
    assert frechet_distance(one, other) == pytest.approx(1 + 3 * (1 - 2) ** 2, rel=0.03)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="two rows"):
        frechet_distance(one[:1], other)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_fss_of_the_largest_values_is_that_of_their_percentile(share: float) -> None:
    prediction, truth = field(6), field(7)
    valid = field(8) > 2
    error, reference = fractions_sums([prediction], truth, valid, [percentile_limit(share, 0.0)], (3,))
    masks = []
    for values in (prediction, truth):
        there = values[valid]
        limit = np.sort(there.numpy())[min(int(share * len(there)), len(there) - 1)]
        masks.append(torch.where(values >= limit, 8.0, 0.0))
    assert float(fss(error.sum(), reference.sum())) == pytest.approx(score(*masks, 3, valid))


def test_the_largest_values_of_a_field_do_not_depend_on_how_large_they_are() -> None:
    prediction, truth = field(9), field(9) * 3
    valid = torch.ones_like(truth, dtype=torch.bool)
    error, _ = fractions_sums([prediction], truth, valid, [percentile_limit(0.9, 0.1)], (1,))
    assert float(error.sum()) == 0


def test_what_is_dry_is_never_among_the_largest() -> None:
    dry, wet = torch.zeros(1, 1, 1, 10, 10), torch.zeros(1, 1, 1, 10, 10)
    wet[..., :2, :2] = 5
    valid = torch.ones_like(dry, dtype=torch.bool)
    limit = percentile_limit(0.5, 0.1)
    assert limit(dry[0, 0, 0], valid[0, 0, 0]) == 0.1
    assert limit(wet[0, 0, 0], valid[0, 0, 0]) == 0.1, "fewer are wet than the share: all that are"
    assert limit(wet[0, 0, 0], ~valid[0, 0, 0]) == 0.1, "nothing is observed"


def test_fss_is_0_where_no_forecast_event_was_observed() -> None:
    """To the last digit, whatever the sums were rounded to."""
    reference = torch.tensor([1.0, 3.0], dtype=torch.float64)
    assert fss(reference * (1 + 1e-8), reference).tolist() == [0, 0]


def test_events_of_the_forecast_alone_score_0_and_none_at_all_is_undefined() -> None:
    generator = torch.Generator().manual_seed(0)
    message, valid = (
        3 * torch.rand(1, 2, 1, 64, 64, generator=generator),
        torch.rand(1, 2, 1, 64, 64, generator=generator) > 0.1,
    )
    dry = torch.zeros_like(message)
    score = fss(*fractions_sums([message, dry], dry, valid, [threshold_limit(1.0)], (1, 3, 9, 17, 33, 65)))
    assert (score[0] == 0).all()
    assert score[1].isnan().all()

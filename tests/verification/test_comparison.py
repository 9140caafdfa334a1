"""Claims: what is so is found, what is not so is not claimed, and every claim says what it rests on."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from test_result import Clips

from framecast.data.quantities import INTENSITY, RAIN_RATE
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.protocol import Context
from framecast.report.comparison import write_comparison
from framecast.verification.claims import FEWEST, Claim
from framecast.verification.comparison import compare
from framecast.verification.regimes import regimes as regimes_of
from framecast.verification.result import Verification
from framecast.verification.significance import hering_genton
from framecast.verification.verify import verify
from framecast.verification.views import event_frequency, power, wet_ratio


class Noisy:
    """The newest frame with noise of a given size."""

    name = "noisy"
    context_length = 1

    def __init__(self, noise: float, seed: int) -> None:
        self.noise, self.rng = noise, np.random.default_rng(seed)

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        frames = np.repeat(context.frames[:, -1:], horizon, axis=1)[None]
        return (frames + self.noise * self.rng.standard_normal(frames.shape)).clip(0).astype(np.float32)


def noisy_pair(one: float, other: float, cases: int = 40) -> Verification:
    """Two forecasts with noise of two sizes, of rain that changes a little."""
    rng = np.random.default_rng(0)
    first = rng.gamma(0.6, 3.0, (cases, 1, 1, 20, 20))
    values = first * (1 + 0.05 * rng.standard_normal((cases, 5, 1, 1, 1)))
    return verify({"a": Noisy(one, 1), "b": Noisy(other, 2)}, Clips(values), scales=(1, 5))


def test_a_difference_is_claimed_with_p_cases_and_blocks() -> None:
    result = compare(noisy_pair(0.5, 1.5))
    claim = next(claim for claim in result.overall if claim.score == "MSE")
    assert claim.p < 0.001
    assert claim.interval[0] < claim.difference < claim.interval[1] < 0
    assert claim.verdict.startswith("MSE: a is better than b (")
    assert "40 independent blocks" in claim.verdict
    assert (claim.cases, claim.blocks) == (40, 40)
    similar = next(claim for claim in result.overall if claim.score == "SSIM")
    assert similar.verdict.startswith("SSIM: a is better than b")
    assert {claim.score for claim in result.overall} >= {
        "MSE",
        "MAE",
        "SSIM",
        "GDL",
        "CSI at 2 mm/h",
        "FSS at 2 mm/h, 5 pixels",
    }
    assert len(result.by_lead) == 3 * len(result.overall)


def test_no_difference_is_a_verdict() -> None:
    result = compare(noisy_pair(1.0, 1.0))
    claim = next(claim for claim in result.overall if claim.score == "MSE")
    assert claim.p > 0.05
    assert "no evidence of a difference between a and b" in claim.verdict


def test_forecasts_that_are_equal_never_differ() -> None:
    values = np.random.default_rng(0).gamma(0.6, 3.0, (12, 5, 1, 20, 20))
    result = compare(verify({"a": Persistence(), "b": Persistence()}, Clips(values)))
    assert all(claim.p == 1 for claim in result.overall if claim.p == claim.p)


class Mostly:
    """The truth, but in some cases the newest frame."""

    name = "mostly"
    context_length = 1

    def __init__(self, values: np.ndarray) -> None:
        self.known = {frames[1].tobytes(): frames[2:] for frames in values[:-8]}

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        newest = context.frames[:, -1]
        cases = [self.known.get(frame.tobytes(), np.repeat(frame[None], horizon, axis=0)) for frame in newest]
        return np.stack(cases)[None]


def test_an_infinite_score_is_not_compared() -> None:
    """PSNR by the convention of OpenSTL is a mean over frames, infinite where one is perfect."""
    values = np.random.default_rng(0).random((16, 5, 1, 20, 20)).astype(np.float32)
    result = compare(
        verify({"a": Mostly(values), "b": Persistence()}, Clips(values, INTENSITY), convention="openstl"), repeats=200
    )
    claims = [claim for claim in [*result.overall, *result.by_lead] if claim.score == "PSNR"]
    assert claims
    for claim in claims:
        assert not claim.significant
        assert claim.verdict.endswith("what is infinite cannot be compared")


def test_few_blocks_claim_nothing(tmp_path: Path) -> None:
    result = compare(noisy_pair(0.1, 5.0, cases=FEWEST - 1))
    assert "4 independent blocks are too few to tell" in result.overall[0].verdict
    assert all(np.isnan(claim.p) and not claim.significant for claim in result.overall + result.by_lead)
    text = write_comparison(result, tmp_path / "page.html").read_text()
    assert "With fewer than 5 independent blocks nothing is claimed.</p>" in text
    assert ">too few blocks</td>" in text
    assert "point is filled" not in text
    assert "Skill over extrapolation" not in text  # there is none to compare with
    enough = write_comparison(compare(noisy_pair(0.1, 5.0, cases=FEWEST)), tmp_path / "page.html").read_text()
    assert "point is filled" in enough
    one = compare(noisy_pair(0.1, 5.0, cases=1))
    assert "1 independent block is too few to tell" in one.overall[0].verdict
    assert "nan" not in write_comparison(one, tmp_path / "page.html").read_text().split("All differences")[1]


def test_undefined_scores_have_an_undefined_verdict() -> None:
    dry = np.zeros((8, 5, 1, 20, 20))
    result = compare(verify({"a": Persistence(), "b": Persistence()}, Clips(dry)))
    claim = next(claim for claim in result.overall if claim.score.startswith("CSI"))
    assert "is undefined" in claim.verdict


def test_false_alarms_are_as_rare_as_promised() -> None:
    """Of 20 comparisons of equals hardly one may claim a difference."""
    claimed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = rng.gamma(0.6, 3.0, (20, 3, 1, 12, 12))
        result = compare(
            verify({"a": Noisy(1.0, 2 * seed), "b": Noisy(1.0, 2 * seed + 1)}, Clips(values), scales=()), repeats=200
        )
        claimed += any(claim.p < 0.05 for claim in result.overall)
    assert claimed <= 3


def test_p_grows_with_the_number_of_claims() -> None:
    one = compare(noisy_pair(0.95, 1.0))
    raw = min(claim.p for claim in one.overall)
    assert min(claim.p for claim in one.by_lead) >= raw * 0.5
    assert all(0 <= claim.p <= 1 for claim in one.overall + one.by_lead if claim.p == claim.p)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_hering_and_genton_as_scores_computes_it(correlation: float) -> None:
    tests = pytest.importorskip("scores.stats.statistical_tests")
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(200)
    for k in range(1, 200):
        noise[k] += correlation * noise[k - 1]
    differences = noise + 0.4
    series = xr.DataArray(differences[None], dims=("lead", "time"), coords={"lead": [1]}).assign_coords(h=("lead", [1]))
    theirs = tests.diebold_mariano(series, "lead", "h", method="HG")
    statistic, p = hering_genton(differences)
    assert statistic == pytest.approx(float(theirs["dm_test_stat"][0]), rel=0.03)
    assert 0 < p < 1
    assert hering_genton(np.zeros(5)) == (pytest.approx(np.nan, nan_ok=True), 1.0)


def test_claims_say_when_they_are_of_one_day_only(tmp_path: Path) -> None:
    result = compare(noisy_pair(1, 2, cases=6))
    assert result.days is None
    clock = np.datetime64("2020-01-01T22:00", "ns") + np.arange(6) * np.timedelta64(10, "m")
    result.verification.sums["init_time"] = ("case", clock)
    assert result.days == 1
    text = write_comparison(result, tmp_path / "page.html", warnings=["seen in training"]).read_text()
    assert "of a single day" in text
    assert "<li>seen in training</li>" in text
    result.verification.sums["init_time"] = ("case", clock + np.timedelta64(90, "m"))
    assert result.days == 2
    assert "of 2 days" in write_comparison(result, tmp_path / "page.html").read_text()


def test_skill_is_relative_to_extrapolation() -> None:
    values = np.random.default_rng(0).gamma(0.6, 3.0, (6, 6, 1, 24, 24))
    result = compare(
        verify({"a": Noisy(0.1, 0), "extrapolation": Extrapolation(RAIN_RATE)}, Clips(values, context=3)), ["a"]
    )
    ours, theirs = (result.verification.frame(name, "mse").value for name in ("a", "extrapolation"))
    assert result.skill("a") == pytest.approx(1 - ours / theirs)
    assert np.isnan(compare(noisy_pair(1, 2)).skill("a"))


def anchors(model: float, extrapolation: float, probability: float | None) -> dict[str, Claim]:
    """The claims on a model, with noise of that size, against forecasts named as the anchors."""
    first = np.random.default_rng(0).gamma(0.6, 3.0, (12, 1, 1, 20, 20))
    forecasters = {"model": Noisy(model, 1), "extrapolation": Noisy(extrapolation, 2)}
    if probability is not None:
        forecasters["extrapolation_probability"] = Noisy(probability, 3)
    result = compare(verify(forecasters, Clips(np.repeat(first, 5, axis=1)), scales=(1, 5)), ["model"])
    return {claim.score: claim for claim in result.overall if claim.other == "extrapolation"}


SCORES = ("MSE", "CSI at 2 mm/h", "Brier score at 2 mm/h", "FSS at 2 mm/h, 5 pixels")


@pytest.mark.parametrize("score", SCORES)
def test_better_than_extrapolation_is_claimed_only_if_its_probability_is_beaten(score: str) -> None:
    beaten = anchors(0.3, 3.0, 1.0)[score]
    assert beaten.winner == "model"
    assert f"{score}: model is better than extrapolation (" in beaten.verdict
    for probability in (0.05, 0.3):  # ahead of the model, and as good
        held = anchors(0.3, 3.0, probability)[score]
        assert held.withheld
        assert held.winner is None
        assert not held.significant
        assert held.p < 0.05
        assert "no claim, since extrapolation_probability (" in held.verdict
        assert "better" not in held.verdict


def test_where_its_probability_is_missing_the_verdict_says_so() -> None:
    for score in SCORES:
        verdict = anchors(0.3, 3.0, None)[score].verdict
        assert f"{score}: model is better than extrapolation (" in verdict
        assert verdict.endswith("; not compared with extrapolation_probability, the stronger baseline")


def test_worse_than_extrapolation_is_claimed_whatever_else() -> None:
    for probability in (None, 0.05, 3.0):
        claim = anchors(3.0, 0.3, probability)["MSE"]
        assert claim.winner == "extrapolation"
        assert "model is worse than extrapolation (" in claim.verdict
        assert "extrapolation_probability" not in claim.verdict


def test_images_have_no_such_anchor() -> None:
    values = np.random.default_rng(0).random((12, 1, 1, 20, 20)).repeat(5, axis=1)
    forecasters = {"model": Noisy(0.01, 1), "extrapolation": Noisy(0.3, 2)}
    claims = {each.score: each for each in compare(verify(forecasters, Clips(values, INTENSITY))).overall}
    assert claims["MSE"].verdict.startswith("MSE: model is better than extrapolation (")
    assert "extrapolation_probability" not in claims["MSE"].verdict


def test_regimes_split_the_cases_by_what_was_observed() -> None:
    values = np.random.default_rng(0).gamma(0.6, 3.0, (9, 5, 1, 24, 24)) * np.arange(1, 10).reshape(-1, 1, 1, 1, 1)
    result = verify({"a": Persistence()}, Clips(values))
    regimes = {(regime.kind, regime.label.split()[0]): regime for regime in regimes_of(result)}
    low, high = regimes["intensity", "low"], regimes["intensity", "high"]
    assert np.flatnonzero(low.cases).tolist() == [0, 1, 2]
    assert np.flatnonzero(high.cases).tolist() == [6, 7, 8]
    assert result.subset(low.cases).cases == 3
    assert result.subset(low.cases).frame("a", "mse").value < result.subset(high.cases).frame("a", "mse").value
    whole = sum(
        float(result.subset(regimes["intensity", k].cases).sums["mse"].sum()) for k in ("low", "middle", "high")
    )
    assert whole == pytest.approx(float(result.sums["mse"].sum()))


def test_spectra_and_wet_area_show_what_a_forecast_lost() -> None:
    class Smooth:
        name = "smooth"
        context_length = 1

        def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
            from scipy.ndimage import uniform_filter

            return np.repeat(uniform_filter(context.frames[:, -1:], (1, 1, 1, 5, 5)), horizon, axis=1)[None]

    first = np.random.default_rng(0).gamma(0.3, 3.0, (4, 1, 1, 64, 64))
    result = verify({"smooth": Smooth(), "same": Persistence()}, Clips(np.repeat(first, 5, axis=1)))
    ratio = power(result, "smooth") / power(result)
    assert (ratio[:, 0] < 0.3).all()
    np.testing.assert_allclose(power(result, "same"), power(result), rtol=1e-6)
    np.testing.assert_allclose(wet_ratio(result, "same"), 1)
    assert (wet_ratio(result, "smooth") > 1.2).all()
    assert result.score("same", result.metric("fss", threshold=0, scale=0)).value == pytest.approx(1)
    assert result.curve("smooth", result.metric("fss", threshold=1, scale=2)).values.shape == (3,)
    assert 0 < event_frequency(result, 0) < 1


def test_dry_blocks_are_no_evidence_about_events() -> None:
    """One of forty blocks has rain: nothing is known of how CSI would come out elsewhere."""
    values = np.zeros((40, 5, 1, 20, 20))
    values[7] = np.random.default_rng(0).gamma(0.6, 5.0, (1, 1, 20, 20))
    verification = verify({"a": Noisy(0.5, 1), "b": Noisy(1.0, 2)}, Clips(values), scales=(1, 5))
    assert verification.event("a", "csi", 2).interval is None
    claims = {claim.score: claim for claim in compare(verification).overall}
    assert claims["MSE"].blocks == 40
    for score in ("CSI at 8 mm/h", "FSS at 8 mm/h, 5 pixels"):
        assert not claims[score].significant
        assert claims[score].blocks < 40


def test_a_score_that_says_nothing_of_the_truth_is_not_claimed() -> None:
    values = np.random.default_rng(0).gamma(0.6, 3.0, (12, 5, 1, 20, 20))
    result = compare(verify({"a": Noisy(0.5, 1), "b": Persistence()}, Clips(values), convention="czh98"))
    assert "LAPLACIAN" not in {claim.score for claim in result.overall}


def test_claims_mention_cases_that_fell_back() -> None:
    verification = noisy_pair(0.5, 1.5, cases=8)
    assert not any("fell back" in claim.verdict for claim in compare(verification).overall)
    counts = np.zeros((2, 8))
    counts[1, :3] = 1
    verification.sums["fallback_cases"] = (("forecaster", "case"), counts)
    result = compare(verification)
    assert all(
        claim.verdict.endswith("b fell back to extrapolation in 3 of 8 cases")
        for claim in result.overall + result.by_lead
    )

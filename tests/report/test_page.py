"""The report has every part that there is something for, and none that there is nothing for."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from pyproj import CRS
from test_comparison import Noisy, noisy_pair
from test_result import Clips, Ensemble, showers

import framecast
from framecast.data.quantities import INTENSITY, RAIN_RATE
from framecast.errors import ConfigError, DataError, RunError
from framecast.forecasting.baselines.extrapolation_probability import ExtrapolationProbability
from framecast.forecasting.baselines.persistence import Persistence
from framecast.report.figures import shared_lead_axis
from framecast.report.probabilities import reliability_by_lead_time
from framecast.report.verdict import verdict
from framecast.verification.claims import FEWEST
from framecast.verification.comparison import compare
from framecast.verification.examples import Grid
from framecast.verification.result import Verification
from framecast.verification.verify import verify

SWISS = CRS.from_epsg(21781).to_wkt()


@pytest.fixture(scope="module")
def rain() -> Verification:
    values = showers(1, cases=8)
    forecasters = {"persistence": Persistence(), "ensemble": Ensemble(values, 1.0)}
    return verify(forecasters, Clips(values), rates=(0.5, 4.0), step=np.timedelta64(5, "m"))


def test_the_report_of_rain_contains_every_part(rain: Verification, tmp_path: Path) -> None:
    grid = Grid(np.arange(20) * 1000.0 + 2e5, np.arange(22) * 1000.0 + 6e5, "m", SWISS)
    page = framecast.write_report(replace(rain, grid=grid), tmp_path / "report.html", settings="model: <predrnn>")
    text = page.read_text()
    for heading in (
        "Neighbourhoods",
        "Objects",
        "Probabilities",
        "Ensembles",
        "Detail",
        "Where",
        "Cases, moving",
        "What forecasts cost",
    ):
        assert f"<h2>{heading}</h2>" in text, heading
    for word in (
        "The largest 10% of each field: random at most 0.100, useful from 0.550",
        "|S|",
        "skill over climate",
        "spread",
        "Brier score",
    ):
        assert word in text, word
    assert "model: &lt;predrnn&gt;" in text
    assert rain.checksum in text
    assert "not computed: needs the weights" in text
    assert len(text) < 3e6


def test_reliability_by_lead_time_has_a_panel_for_each_threshold_and_lead_time(rain: Verification) -> None:
    drawing = reliability_by_lead_time(rain)
    for rate in ("0.5", "4"):
        for minutes in (5, 10, 15):
            assert f"{rate} mm/h, {minutes} min" in drawing
    older = rain.sums.drop_vars([name for name in rain.sums if str(name).endswith("_by_lead_time")])
    assert reliability_by_lead_time(replace(rain, sums=older)) == ""


def test_rates_beyond_the_ladder_of_a_distribution_are_named(tmp_path: Path) -> None:
    values = showers(1) * 20
    result = verify([ExtrapolationProbability(RAIN_RATE)], Clips(values), rates=(0.05, 2.0, 50.0))
    text = framecast.write_report(result, tmp_path / "report.html").read_text()
    for line in (
        "extrapolation_probability: 0.05 mm/h is below its lowest rate, 0.1 mm/h, which stands for it",
        "extrapolation_probability: 50 mm/h is above its highest rate, 32 mm/h, and is extrapolated",
    ):
        assert f"<li>{line}</li>" in text
    assert ": 2 mm/h is" not in text


def test_other_objects_and_paths_that_cannot_be_written_are_refused(rain: Verification, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'report\.html' given, expected a verification"):
        framecast.write_report("report.html", rain)  # type: ignore[arg-type]
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("folder", "folder: is a folder"),
        ("page", "page: no suffix is not the suffix"),
        ("a.pdf", ".pdf is no"),
    ):
        with pytest.raises(ConfigError, match=message):
            framecast.write_report(rain, tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        framecast.write_report(rain, tmp_path / "file" / "page.html")
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file"}, "nothing is half-written"


def test_the_report_of_images_has_no_rain_and_no_map(tmp_path: Path) -> None:
    result = verify({"p": Persistence()}, Clips(np.random.default_rng(0).random((3, 5, 3, 16, 16)), INTENSITY))
    text = framecast.write_report(result, tmp_path / "report.html").read_text()
    for heading in ("Neighbourhoods", "Objects", "Probabilities", "Ensembles", "Where"):
        assert f"<h2>{heading}</h2>" not in text, heading
    assert "<h2>Detail</h2>" in text


@pytest.mark.parametrize(
    ("units", "crs", "label"),
    [("m", SWISS, "x (km)"), ("km", "", "x (km)"), ("degrees", "", "longitude (°)"), ("furlong", "", "x furlong")],
)
def test_a_map_says_what_its_axes_are(
    rain: Verification, units: str, crs: str, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from framecast.report import maps

    seen: list[str] = []

    def noted(figure: object) -> str:
        seen.extend(axes.get_xlabel() for axes in figure.axes)  # type: ignore[attr-defined]
        return "drawn"

    monkeypatch.setattr(maps, "png", noted)
    scale = 1000.0 if units == "m" else 1.0
    grid = Grid(np.arange(20) * scale + 200, np.arange(22) * scale + 600, units, crs)
    assert maps.place(replace(rain, grid=grid)) == "drawn"
    assert seen == [label]
    assert maps.place(replace(rain, grid=None)) == ""
    assert maps.place(replace(rain, grid=grid._replace(y=grid.y[:5]))) == ""


def test_where_nothing_could_be_scored_the_page_says_so(tmp_path: Path) -> None:
    values = showers(1)
    values[:, :2] = np.nan  # no basis
    nothing = verify({"one": Persistence(), "other": Persistence()}, Clips(values))
    assert "undefined" in framecast.write_report(nothing, tmp_path / "report.html").read_text()


def test_the_verdict_claims_what_a_comparison_claims(tmp_path: Path) -> None:
    few, enough = (noisy_pair(0.1, 5.0, cases=count) for count in (FEWEST - 1, 2 * FEWEST))
    for verification in (few, enough):
        claims = {claim.score: claim.verdict for claim in compare(verification, ["a"]).overall}
        message = verdict(verification)
        assert all(claims[score] in message for score in ("MSE", "SSIM", "CSI at 2 mm/h"))
        assert message in framecast.write_report(verification, tmp_path / "report.html").read_text()
    assert verdict(few).startswith("On 4 cases (4 independent blocks). MSE: a and b, ")
    assert "better" not in verdict(few)
    assert "MSE: a is better than b (" in verdict(enough)


def test_the_verdict_is_against_the_best_baseline() -> None:
    rng = np.random.default_rng(0)
    values = rng.gamma(0.6, 3.0, (8, 1, 1, 20, 20)) * (1 + 0.05 * rng.standard_normal((8, 5, 1, 1, 1)))
    forecasters = {"model": Noisy(1.0, 0), "bad": Noisy(5.0, 1), "good": Noisy(0.1, 2)}
    message = verdict(verify(forecasters, Clips(values)))
    assert "MSE: model is worse than good (" in message
    assert "bad" not in message


@pytest.mark.parametrize("panels", [1, 2, 3, 4])
@pytest.mark.parametrize(("leads", "ticks"), [([1, 2], [1, 2]), (np.arange(5.0, 65, 5), [10, 20, 30, 40, 50, 60])])
def test_ticks_are_lead_times_named_below_each_column(panels: int, leads: list[float], ticks: list[float]) -> None:
    figure, axes = plt.subplots(2, 2, sharex=True, squeeze=False)
    for panel in axes.flat:
        panel.plot(leads, leads)
    shared_lead_axis(axes, panels, np.array(leads), "lead time (frames)")
    figure.canvas.draw()
    named = [k for k, panel in enumerate(axes.flat) if panel.get_visible() and panel.get_xlabel()]
    assert named == {1: [0], 2: [0, 1], 3: [1, 2], 4: [2, 3]}[panels]
    for k in named:
        labels = axes.flat[k].get_xticklabels()
        assert [float(label.get_text()) for label in labels if label.get_visible()] == ticks
    plt.close(figure)

"""The report has every part that there is something for, and none that there is nothing for."""

import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

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
from framecast.forecasting.protocol import Context
from framecast.report import tiles
from framecast.report.comparison import write_comparison
from framecast.report.figures import decades, lead_axis
from framecast.report.probabilities import reliability_by_lead_time
from framecast.report.tables import score_table
from framecast.report.verdict import comparison_lines, find, marks, verdict
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


class Written(NamedTuple):
    """A report with a map, and the boxes of labels that cover others in its figures."""

    page: Path
    covered: list[str]


@pytest.fixture(scope="module")
def written(rain: Verification, tmp_path_factory: pytest.TempPathFactory) -> Written:
    covered: list[str] = []

    def checked(figure: Any) -> None:
        for boxes in tick_boxes(figure):
            covered.extend(str(box) for k, box in enumerate(boxes) for other in boxes[:k] if box.overlaps(other))
        original(figure)

    original = plt.close
    grid = Grid(np.arange(20) * 1000.0 + 2e5, np.arange(22) * 1000.0 + 6e5, "m", SWISS)
    out = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "close", checked)
        title = "a_long_name_of_a_folder_" * 6
        page = framecast.write_report(replace(rain, grid=grid), out, settings="model: <predrnn>", title=title)
    return Written(page, covered)


def test_the_report_of_rain_contains_every_part(rain: Verification, written: Written) -> None:
    text = written.page.read_text()
    for heading in (
        "All scores",
        "Neighbourhoods",
        "Objects",
        "Probabilities",
        "Ensembles",
        "Detail",
        "Where",
        "Cases, moving",
        "What forecasts cost",
    ):
        assert f">{heading}</h2>" in text, heading
        assert f">{heading}</a></li>" in text, f"{heading} in the contents"
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
    titles = [panel.title for panel in reliability_by_lead_time(rain)]
    assert titles == [f"{rate} mm/h, {minutes} min" for rate in ("0.5", "4") for minutes in (5, 10, 15)]
    older = rain.sums.drop_vars([name for name in rain.sums if str(name).endswith("_by_lead_time")])
    assert reliability_by_lead_time(replace(rain, sums=older)) == []


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
        assert f">{heading}</" not in text, heading
    assert ">Detail</h2>" in text


@pytest.mark.parametrize(
    ("units", "crs", "labelled"), [("m", SWISS, True), ("km", "", False), ("degrees", "", True), ("furlong", "", None)]
)
def test_a_map_has_degrees_where_they_are_known(
    rain: Verification, units: str, crs: str, labelled: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels: list[str] = []

    def noted(figure: Any) -> str:
        labels.extend(label.get_text() for axes in figure.axes for label in axes.get_xticklabels())
        return "drawn"

    monkeypatch.setattr(tiles, "png", noted)
    corner, scale = ((2e5, 6e5), 1000.0) if units == "m" else ((40.0, 5.0), 0.1)
    grid = Grid(np.arange(20) * scale + corner[0], np.arange(22) * scale + corner[1], units, crs)
    assert tiles.place(replace(rain, grid=grid)) == ("" if labelled is None else "drawn")
    assert any("°" in label for label in labels) == bool(labelled)
    assert tiles.place(replace(rain, grid=None)) == ""
    assert tiles.place(replace(rain, grid=grid._replace(y=grid.y[:5]))) == ""


def test_where_nothing_could_be_scored_the_page_says_so(tmp_path: Path) -> None:
    values = showers(1)
    values[:, :2] = np.nan  # no basis
    nothing = verify({"one": Persistence(), "other": Persistence()}, Clips(values))
    assert "undefined" in framecast.write_report(nothing, tmp_path / "report.html").read_text()


def test_the_answer_says_what_can_be_claimed_and_until_when() -> None:
    few, enough = (noisy_pair(0.1, 5.0, cases=count) for count in (FEWEST - 1, 2 * FEWEST))
    assert verdict(few).startswith("In these cases, a was better than b, the best other forecaster, in MSE")
    assert "4 cases (4 independent blocks) are too few to claim it of others" in verdict(few)
    assert verdict(enough).startswith("a is better than b, the best other forecaster, in MSE")
    claims = {claim.score: claim.winner for claim in compare(enough, ["a"]).overall}
    for score in ("MSE", "CSI at 2 mm/h", "Brier score at 2 mm/h"):
        assert score in verdict(enough)
        assert claims[score] == "a"
    assert "10 cases (10 independent blocks)" in verdict(enough)


def late(verification: Verification, worse: slice) -> Verification:
    """The verification with the squared errors of the first forecaster multiplied at some lead times."""
    sums = verification.sums.copy(deep=True)
    sums["mse"][{"forecaster": 0, "lead_time": worse}] *= 1e6
    return replace(verification, sums=sums)


def test_the_answer_names_the_lead_times_at_which_a_claim_holds() -> None:
    enough = noisy_pair(0.1, 5.0, cases=2 * FEWEST)
    leads = enough.sums.sizes["lead_time"]
    assert leads == 3
    (all_leads, *_), (first, *_), (last, *_) = (
        find(late(enough, part), "a") for part in (slice(0, 0), slice(2, 3), slice(0, 1))
    )
    assert (all_leads.relation, all_leads.extent) == ("better", "at every lead time")
    assert (first.relation, first.other) == ("better", "b") or first.relation == "worse"
    ahead = {"better": {"up to 2 frames ahead"}, "worse": {"from 3 frames on"}}
    assert first.extent in ahead[first.relation]
    assert last.extent in {"better": {"from 2 frames on"}, "worse": {"up to 1 frames ahead"}}[last.relation]


def test_the_answer_is_about_the_best_of_the_others() -> None:
    rng = np.random.default_rng(0)
    values = rng.gamma(0.6, 3.0, (8, 1, 1, 20, 20)) * (1 + 0.05 * rng.standard_normal((8, 5, 1, 1, 1)))
    forecasters = {"model": Noisy(1.0, 0), "bad": Noisy(5.0, 1), "good": Noisy(0.1, 2)}
    message = verdict(verify(forecasters, Clips(values)))
    assert "model is worse than good, the best other forecaster, in MSE" in message
    assert "bad" not in message


class Nothing:
    """A forecast of nothing: always dry."""

    name = "nothing"
    context_length = 1

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        return np.zeros((1, len(context.frames), horizon, *context.frames.shape[2:]), np.float32)


def test_only_what_can_be_claimed_is_marked() -> None:
    """A forecast of nothing has no false alarms; that is not better."""
    few, enough = (noisy_pair(0.1, 5.0, cases=count) for count in (FEWEST - 1, 2 * FEWEST))
    assert marks(few) == {}
    claimed = {(claim.score, claim.winner) for claim in compare(enough, ["a"]).overall if claim.winner}
    assert {place for place, mark in marks(enough).items() if mark == "best"} == claimed
    assert all(score.split(" at ")[0] not in ("FAR", "POD", "Frequency bias") for score, _ in marks(enough))
    rng = np.random.default_rng(1)
    values = rng.gamma(0.6, 3.0, (2 * FEWEST, 1, 1, 20, 20)) * (
        1 + 0.05 * rng.standard_normal((2 * FEWEST, 5, 1, 1, 1))
    )
    dry = verify({"nothing": Nothing(), "good": Noisy(0.1, 2)}, Clips(values))
    table = score_table(dry, dry.metrics("event", threshold=0), marks(dry))
    assert table.rows[0][0] == "nothing"
    assert all(cell.mark != "best" for cell in table.rows[0][1])
    assert all(cell.mark == "" for _, cells in score_table(few, few.headlines(), marks(few)).rows for cell in cells)


def test_headings_say_units_and_direction(written: Written) -> None:
    text = written.page.read_text()
    for heading in ("MSE (mm/h)² ↓", "MAE (mm/h) ↓", "SSIM ↑", "PSNR (dB) ↑", "Frequency bias at 4 mm/h → 1"):
        assert heading in text, heading


def test_the_answer_comes_first_and_provenance_last(rain: Verification, written: Written) -> None:
    text = written.page.read_text()
    parts = ['class="verdict"', "<table", "<nav", 'id="leads"', 'id="scores"', 'id="meaning"', 'id="provenance"']
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert verdict(rain) in text


def test_scores_lie_beside_the_report(rain: Verification, written: Written) -> None:
    text = written.page.read_text()
    for name in ("scores.csv", "scores.json"):
        assert written.page.with_name(name).is_file()
        assert f'href="{name}"' in text
    assert len(written.page.with_name("scores.csv").read_text().splitlines()) == len(rain.rows()) + 1


class Outline(HTMLParser):
    """Checks that elements are closed in order and names are unique; collects links within the page."""

    VOID = frozenset(("meta", "img", "input", "br", "link", "wbr"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.links: list[str] = []
        self.images_without_text = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names += [str(given["id"])] if "id" in given else []
        self.links += [str(given["href"])[1:]] if str(given.get("href", "")).startswith("#") else []
        self.images_without_text += tag == "img" and not given.get("alt")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"


def check_outline(page: Path) -> None:
    outline = Outline()
    outline.feed(page.read_text())
    assert outline.open == []
    assert len(set(outline.names)) == len(outline.names), "names are unique"
    assert set(outline.links) <= set(outline.names), "links lead somewhere"
    assert outline.images_without_text == 0


@pytest.fixture(scope="module")
def compared(rain: Verification, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparison(compare(rain, ["ensemble"]), tmp_path_factory.mktemp("compared") / "comparison.html")


def test_pages_are_valid(written: Written, compared: Path) -> None:
    check_outline(written.page)
    check_outline(compared)
    assert "claims" in json.loads(compared.with_name("scores.json").read_text())


def test_pages_fit_a_phone_and_have_a_dark_form(written: Written, compared: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            opened = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme).new_page()
            for path in (written.page, compared):
                opened.goto(path.as_uri())
                assert opened.evaluate("document.documentElement.scrollHeight") < 4000  # sections are folded
                opened.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
                assert opened.evaluate("document.documentElement.scrollWidth") <= 390
            ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        browser.close()


def test_a_comparison_with_too_few_blocks_says_so_once() -> None:
    comparison = compare(noisy_pair(0.1, 5.0, cases=FEWEST - 1), ["a"])
    lines = comparison_lines(comparison)
    assert (
        lines[0] == "No difference can be claimed: 4 independent blocks are too few to tell; a claim needs at least 5."
    )
    assert len(lines) == 2
    enough = comparison_lines(compare(noisy_pair(0.1, 5.0, cases=2 * FEWEST), ["a"]))
    assert len(enough) == 2
    assert enough[1].startswith("a and b: a is better in MSE")


def tick_boxes(figure: Any) -> list[list[Any]]:
    """The boxes of the labels of each axis that are shown."""
    figure.canvas.draw()
    return [
        [
            label.get_window_extent()
            for label in axis.get_ticklabels(which="both")
            if label.get_text() and label.get_visible()
        ]
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
    ]


@pytest.mark.parametrize("counts", [(2.1e5, 6.3e5), (1, 9), (3, 4e6), (5e4, 5e4), (900, 1100)])
def test_labels_of_counts_do_not_cover_each_other(counts: tuple[float, float]) -> None:
    figure, axes = plt.subplots(figsize=(4.1, 0.9))
    axes.plot([0, 1], counts)
    decades(axes)
    for boxes in tick_boxes(figure):
        assert not [1 for k, box in enumerate(boxes) for other in boxes[:k] if box.overlaps(other)]
    assert len(tick_boxes(figure)[1]) >= 2
    plt.close(figure)


def test_no_label_of_a_report_covers_another(written: Written) -> None:
    assert written.covered == []


@pytest.mark.parametrize(("leads", "ticks"), [([1, 2], [1, 2]), (np.arange(5.0, 65, 5), [10, 20, 30, 40, 50, 60])])
def test_ticks_are_lead_times(leads: list[float], ticks: list[float]) -> None:
    figure, axes = plt.subplots()
    axes.plot(leads, leads)
    lead_axis(axes, np.array(leads), "lead time (frames)")
    figure.canvas.draw()
    assert [float(label.get_text()) for label in axes.get_xticklabels()] == ticks
    assert axes.get_xlabel() == "lead time (frames)"
    plt.close(figure)


def test_intervals_are_spoken_of_where_there_are_any(rain: Verification, written: Written, tmp_path: Path) -> None:
    first = rain.sums["block"].values == rain.sums["block"].values[0]
    report = framecast.write_report(rain.subset(first), tmp_path / "report.html", title="One block").read_text()
    assert "95 % interval" in written.page.read_text()
    assert "95 % interval" not in report
    assert "of one block of cases there is no interval" in report
    alone = compare(rain.subset(first), rain.forecasters)
    page = write_comparison(alone, tmp_path / "comparison.html", title="Two").read_text()
    assert "below each value its 95 % interval" not in page
    assert "Differences with" not in page

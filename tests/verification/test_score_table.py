"""Scores as tables and on the screen: the numbers of the result, with their units, places and directions."""

import csv
import io
import json
import math

import numpy as np
import pytest
from test_comparison import noisy_pair
from test_result import Clips, showers

import framecast
from framecast.data.quantities import INTENSITY
from framecast.forecasting.baselines.persistence import Persistence
from framecast.scores.metric import Metric
from framecast.verification.comparison import compare
from framecast.verification.metrics import METRICS
from framecast.verification.result import Score, Verification
from framecast.verification.score_table import to_csv, to_json
from framecast.verification.showing import format_number, format_score
from framecast.verification.verify import verify

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def rain() -> Verification:
    return noisy_pair(0.1, 5.0, cases=8)


def test_every_score_is_a_row_with_its_place_units_and_direction(rain: Verification) -> None:
    table = rain.to_pandas()
    assert {"forecaster", "score", "threshold", "lead", "value", "low", "high", "units", "direction", "count"} <= set(
        table
    )
    for metric in rain.metrics():
        rows = table[(table["score"] == metric.name) & (table["forecaster"] == "b")]
        for dim, values in (("threshold", rain.rates), ("scale", rain.sums.get("scale"))):
            if dim in metric.place:
                rows = rows[rows[dim] == float(values[metric.place[dim]])]
            else:
                rows = rows[rows[dim].isna()]
        rows = rows[rows["percentile"].isna() == ("percentile" not in metric.place)]
        overall, by_lead = rows[rows["lead"].isna()], rows[rows["lead"].notna()]
        if "percentile" in metric.place:
            continue
        score, curve = rain.score("b", metric), rain.curve("b", metric)
        np.testing.assert_array_equal(overall["value"], [score.value])
        np.testing.assert_array_equal(by_lead["value"], curve.values)
        np.testing.assert_array_equal(by_lead["low"], curve.low)
        assert set(rows["direction"]) == {metric.better}
    units = table.groupby("score")["units"].first()
    assert (units["mse"], units["mae"], units["csi"], units["psnr"]) == ("(mm/h)²", "mm/h", "1", "dB")
    assert (table["count"] > 0).all()


def test_the_dataset_holds_the_same_scores(rain: Verification) -> None:
    scores = rain.to_xarray()
    assert scores["csi"].dims == ("forecaster", "threshold", "lead_time")
    metric = rain.metric("csi", threshold=1)
    np.testing.assert_array_equal(
        scores["csi"].sel(forecaster="a", threshold=rain.rates[1]), rain.curve("a", metric).values
    )
    assert float(scores["mse_overall"].sel(forecaster="a")) == rain.frame("a", "mse").value
    assert rain.frame("a", "mse").interval == (
        float(scores["mse_low_overall"].sel(forecaster="a")),
        float(scores["mse_high_overall"].sel(forecaster="a")),
    )
    assert scores["mse"].attrs["units"] == "(mm/h)²"
    assert scores["fss"].dims == ("forecaster", "threshold", "scale", "lead_time")


def test_tables_as_text_say_nothing_for_what_is_not_known(rain: Verification) -> None:
    rows = rain.rows()
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(read) == len(rows)
    assert float(read[0]["value"]) == rows[0].value
    assert read[0]["lead"] == ""
    content = json.loads(to_json({"cases": 8}, scores=rows), parse_constant=lambda text: pytest.fail(text))
    assert content["cases"] == 8
    assert content["scores"][0]["threshold"] is None
    assert len(content["scores"]) == len(rows)


def test_claims_are_a_table_too(rain: Verification) -> None:
    comparison = compare(rain, ["a"])
    table = comparison.to_pandas()
    assert len(table) == len(comparison.overall) + len(comparison.by_lead)
    assert set(table["winner"]) <= {"a", "b", ""}
    assert table[table["lead"].isna()].loc[0, "difference"] == comparison.overall[0].difference


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: f"{metric.convention}-{metric.name}")
def test_each_metric_has_units_and_an_arrow_in_its_direction(metric: Metric) -> None:
    assert metric.units_of("") in ("", "dB")
    assert (
        metric.arrow[:1]
        == {"lower": "↓", "higher": "↑", "neither": "→" if metric.perfect is not None else ""}[metric.better]
    )


def test_what_is_shown_fits_a_screen(rain: Verification) -> None:
    images = verify({"p": Persistence()}, Clips(np.random.default_rng(0).random((3, 5, 3, 16, 16)), INTENSITY))
    for shown in (rain, images, compare(rain, ["a"]), framecast.load("radar")):
        text = repr(shown)
        assert len(text.splitlines()) <= 25
        assert max(map(len, text.splitlines())) <= 130
        assert "object at 0x" not in text
        assert shown._repr_html_().count("<table>") == 1
    assert "a" in repr(rain)
    assert "CSI at 2 mm/h ↑" in repr(rain)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.4625, "0.463"),
        (1234.5, "1,234"),
        (4.61e-05, "4.6 × 10⁻⁵"),  # noqa: RUF001
        (-0.00127, "-0.00127"),
        (math.nan, "undefined"),
        (math.inf, "infinite"),
    ],
)
def test_numbers_are_written_as_people_write_them(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (Score(0.0, (0.0, 0.0)), "0"),
        (Score(0.02913, (0.0, 0.0296)), "0.029 (0.000 to 0.030)"),
        (Score(0.0006, (4.61e-05, 0.00127)), "0.0006 (0.0000 to 0.0013)"),
        (Score(1604.2, (1390.0, 1811.0)), "1,600 (1,390 to 1,810)"),
        (Score(0.4625, None), "0.463"),
        (Score(math.nan, None), "undefined"),
    ],
)
def test_a_value_and_its_interval_have_the_same_decimals(score: Score, text: str) -> None:
    assert format_score(score) == text


def test_undefined_scores_stay_undefined_in_tables() -> None:
    values = showers(1)
    values[:, :2] = np.nan  # no basis
    table = verify({"one": Persistence()}, Clips(values)).to_pandas()
    assert table["value"].isna().any()

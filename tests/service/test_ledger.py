"""The ledger: records survive, torn lines are cut off, and forecasts without a line are declared."""

import json
from pathlib import Path

import pytest
from rain_frames import at

from framecast.service.layout import Layout, write_json
from framecast.service.ledger import RECORD, Cycle, Ledger, declare_nothing


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path, "small")
    layout.folder.mkdir()
    return layout


def forecast_of(number: int) -> Cycle:
    return Cycle(
        cycle=at(number),
        outcome="forecast",
        rung="extrapolation",
        newest_frame=at(number),
        age_seconds=120.0,
        files=("forecast.nc",),
        seconds={"total": 1.5},
        started=at(number),
        finished=at(number),
    )


def test_records_are_read_as_they_were_written(layout: Layout) -> None:
    records = [*declare_nothing([at(0), at(1)], ("missing: no frame",), at(4)), forecast_of(2)]
    Ledger(layout).append(*records)
    assert Ledger(layout).recent == records


def test_a_torn_line_is_cut_off_and_nothing_else(layout: Layout) -> None:
    Ledger(layout).append(forecast_of(0), forecast_of(1))
    complete = layout.cycles.read_bytes()
    layout.cycles.write_bytes(complete + forecast_of(2).line().encode()[:50])
    ledger = Ledger(layout)
    assert layout.cycles.read_bytes() == complete
    ledger.append(forecast_of(2))
    assert [json.loads(line)["cycle"] for line in layout.cycles.read_text().splitlines()] == [
        "2026-05-01T12:00:00Z",
        "2026-05-01T12:05:00Z",
        "2026-05-01T12:10:00Z",
    ]


def test_a_forecast_without_a_line_is_declared_once(layout: Layout) -> None:
    Ledger(layout).append(forecast_of(0))
    for number in (0, 1):
        layout.forecast(at(number)).mkdir(parents=True)
        write_json(layout.forecast(at(number)) / RECORD, forecast_of(number).plain())
    (layout.forecasts / "20260501T121000Z").mkdir()  # not of this service
    assert [cycle.cycle for cycle in Ledger(layout).recent] == [at(0), at(1)]
    assert len(layout.cycles.read_text().splitlines()) == 2
    assert Ledger(layout).last == forecast_of(1)


def test_only_the_end_of_a_long_ledger_is_read(layout: Layout) -> None:
    line = forecast_of(0).line()
    layout.cycles.write_text(line * (3 * 2**20 // len(line)) + forecast_of(7).line())
    ledger = Ledger(layout)
    assert ledger.last == forecast_of(7)
    assert len(ledger.recent) == 1024

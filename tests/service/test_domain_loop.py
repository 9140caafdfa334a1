"""The loop of a domain: one declared outcome for each expected time, whatever comes."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rain_frames import Output, SetClock, at, content, domain_of, name, put, shower
from simulated_day import iso_of

import framecast
from framecast.errors import RunError
from framecast.forecasting.products.settings import ProductSettings
from framecast.service.domain import DomainLoop
from framecast.service.issuing import Issuer
from framecast.service.layout import iso, name_of
from framecast.service.settings import Retention


class Operation(Output):
    """A domain that runs on a clock set by hand: it starts when frame 10 is due."""

    def __init__(self, tmp_path: Path, **settings: Any) -> None:
        self.incoming, self.out = tmp_path / "in", tmp_path / "out"
        self.incoming.mkdir()
        self.clock = SetClock(at(10))
        self.domain = domain_of(self.incoming, **settings)
        for number in range(6, 11):
            put(self.incoming, number)

    def loop(self) -> DomainLoop:
        return DomainLoop(self.domain, self.out, now=self.clock.now, timer=self.clock.timer)

    def look(self, loop: DomainLoop, seconds: float = 60, every: float = 10) -> None:
        """Step through so many seconds."""
        for _ in range(int(seconds / every)):
            self.clock.advance(every)
            loop.step()

    def outcomes(self) -> dict[str, str]:
        """The rung of each cycle, by the number of its frame."""
        numbers = {iso(at(number)): number for number in range(-500, 500)}
        return {numbers[record["cycle"]]: record["rung"] for record in self.records}  # type: ignore[misc]

    @property
    def forecasts(self) -> list[str]:
        return sorted(path.name for path in (self.out / "small" / "forecasts").iterdir())


@pytest.fixture
def operation(tmp_path: Path) -> Operation:
    return Operation(tmp_path)


def test_each_new_frame_is_forecast_once(operation: Operation) -> None:
    with operation.loop() as loop:
        operation.look(loop)
        assert operation.outcomes() == {10: "extrapolation"}
        for number in (11, 12):
            operation.look(loop, 240)
            put(operation.incoming, number)
            operation.look(loop)
    assert operation.outcomes() == dict.fromkeys((10, 11, 12), "extrapolation")
    assert operation.forecasts == [name_of(at(number)) for number in (10, 11, 12)]
    forecast = framecast.open_forecast(operation.out / "small" / "forecasts" / name_of(at(12)) / "forecast.nc")
    assert forecast["init_time"].values[0] == np.datetime64("2026-05-01T13:00")
    assert forecast.sizes["lead_time"] == 3
    assert operation.records[-1]["files"] == ["forecast.nc"]
    assert operation.records[-1]["newest_frame"] == iso(at(12))
    status = operation.status
    assert (status["rung"], status["init_time"], status["next_expected"]) == ("extrapolation", iso(at(12)), iso(at(13)))
    assert status["rungs"] == ["extrapolation", "persistence", "nothing"]
    assert status["largest"] > 10
    stored = framecast.open(operation.out / "small" / "frames")
    assert stored.sizes["time"] == 7
    assert np.allclose(stored.values[-1, 0], shower(12))


def test_a_missing_frame_is_declared_and_bridged_in_the_next_forecast(operation: Operation) -> None:
    with operation.loop() as loop:
        operation.look(loop)
        operation.look(loop, 890)  # frame 11 never comes
        assert operation.outcomes() == {10: "extrapolation", 11: "nothing"}
        assert "missing: no frame within 10 minutes" in operation.records[-1]["reasons"][0]
        assert "the forecast of 2026-05-01T12:50:00Z stands, 15 minutes old" in operation.records[-1]["reasons"]
        assert operation.status["rung"] == "extrapolation"
        put(operation.incoming, 12)
        operation.look(loop)
        assert operation.outcomes() == {10: "extrapolation", 11: "nothing", 12: "extrapolation"}
        assert any(reason.startswith("bridged") for reason in operation.records[-1]["reasons"])
        operation.look(loop, 3600)
    assert operation.status["rung"] == "nothing"
    assert list(operation.outcomes()) == list(range(10, 24))


def test_a_late_frame_is_no_second_cycle_but_joins_the_context(operation: Operation) -> None:
    with operation.loop() as loop:
        operation.look(loop)
        operation.look(loop, 890)
        put(operation.incoming, 11)
        operation.look(loop)
        assert operation.outcomes() == {10: "extrapolation", 11: "nothing"}
        put(operation.incoming, 12)
        operation.look(loop)
    assert operation.records[-1]["reasons"] == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda number: content(number)[:3000], "damaged: "),
        (lambda number: content(number, np.full((48, 48), np.nan, np.float32)), "empty: "),
        (lambda number: content(number, shower(number - 1)), "frozen: "),
        (lambda number: content(number, shower(number, 32)), "another grid: "),
        (lambda number: b"", "missing: "),
    ],
)
def test_a_frame_that_cannot_be_used_leads_to_nothing_with_the_reason(
    fault: Any, reason: str, operation: Operation
) -> None:
    with operation.loop() as loop:
        operation.look(loop)
        operation.look(loop, 240)
        (operation.incoming / name(11)).write_bytes(fault(11))
        operation.look(loop, 700)
        put(operation.incoming, 12)
        operation.look(loop)
    assert operation.outcomes() == {10: "extrapolation", 11: "nothing", 12: "extrapolation"}
    assert any(each.startswith(reason) for each in operation.records[1]["reasons"])


def test_an_overrun_takes_the_newest_only_and_declares_the_others(operation: Operation) -> None:
    with operation.loop() as loop:
        operation.look(loop)
        operation.clock.advance(1200)  # a very long cycle
        for number in (11, 12, 14):
            put(operation.incoming, number)
        operation.look(loop)
    assert operation.outcomes() == {
        10: "extrapolation",
        11: "nothing",
        12: "nothing",
        13: "nothing",
        14: "extrapolation",
    }
    assert [record["reasons"][0].split(":")[0] for record in operation.records[1:4]] == [
        "overrun",
        "overrun",
        "missing",
    ]


def test_frames_that_come_together_are_no_overrun(operation: Operation) -> None:
    """No cycle was late: the reason says what is true."""
    with operation.loop() as loop:
        operation.look(loop)
        operation.look(loop, 480)
        for number in (11, 12):
            put(operation.incoming, number)
        operation.look(loop)
    assert operation.outcomes() == {10: "extrapolation", 11: "nothing", 12: "extrapolation"}
    assert operation.records[1]["reasons"] == [f"skipped: the newer frame of {iso(at(12))} was there too"]


def test_a_restart_goes_on_where_the_ledger_ends(operation: Operation) -> None:
    with operation.loop() as loop:
        operation.look(loop)
    operation.clock.advance(3600)
    for path in operation.incoming.iterdir():
        path.unlink()
    for number in (20, 21, 22):
        put(operation.incoming, number)
    with operation.loop() as loop:
        operation.look(loop)
        assert loop.memory.get(at(9)) is not None  # from its own store
    outcomes = operation.outcomes()
    assert list(outcomes) == list(range(10, 23))
    assert [number for number, rung in outcomes.items() if rung != "nothing"] == [10, 22]
    assert all("down" in record["reasons"][0] for record in operation.records[1:12])


def test_only_one_process_writes_a_domain(operation: Operation) -> None:
    with operation.loop(), pytest.raises(RunError, match="another process"), operation.loop():
        pass


def test_a_model_that_cannot_be_loaded_leaves_its_rung(tmp_path: Path) -> None:
    operation = Operation(tmp_path, model=str(tmp_path / "no_model"), ladder=("extrapolation", "persistence"))
    with operation.loop() as loop:
        operation.look(loop)
    assert operation.outcomes() == {10: "extrapolation"}
    assert "failed: " in operation.records[0]["reasons"][0]


def test_forecasts_are_scored_once_when_their_frames_have_come(tmp_path: Path) -> None:
    operation = Operation(tmp_path, scores=True)

    def go(loop: DomainLoop, *numbers: int) -> None:
        for number in numbers:
            operation.look(loop, 240, every=60)
            put(operation.incoming, number)
            operation.look(loop, 60, every=20)

    with operation.loop() as loop:
        operation.look(loop, 30)
        go(loop, *range(11, 15))
    with operation.loop() as loop:  # a restart scores nothing again
        go(loop, 15)
    with (operation.out / "small" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    times = {iso(at(number)): number for number in (10, 11, 12)}
    assert {row["init_time"] for row in rows} == set(times)
    assert {row["forecaster"] for row in rows} == {"extrapolation", "persistence"}
    keys = [
        tuple(row[name] for name in ("init_time", "lead_minutes", "forecaster", "score", "threshold")) for row in rows
    ]
    assert len(set(keys)) == len(keys)


def test_the_day_before_is_summarised_and_judged(tmp_path: Path) -> None:
    operation = Operation(tmp_path, scores=True, horizon=1, model="persistence", ladder=("extrapolation",))
    with operation.loop() as loop:
        operation.look(loop, 30)
        for number in (*range(11, 14), *range(144, 148)):  # frame 144 is that of midnight
            operation.clock.advance((at(number) - operation.clock.time).total_seconds() + 10)
            put(operation.incoming, number)
            operation.look(loop, 60, every=20)
    yesterday = operation.status["yesterday"]
    assert (yesterday["day"], yesterday["forecasts"]) == ("2026-05-01", 3)
    extrapolation, issued = (yesterday["scores"][f"persistence/{name}"] for name in ("extrapolation", "persistence"))
    assert extrapolation["mse"] < issued["mse"]
    assert extrapolation["csi_2"] > issued["csi_2"]
    assert operation.status["drift"]["warning"] is None
    assert operation.status["drift"]["promise"] == "the days before"
    advantages = operation.status["drift"]["advantages"]
    assert {(each["reference"], each["p"]) for each in advantages} == {("extrapolation", None)}


def test_products_are_written_and_what_is_impossible_is_a_reason(tmp_path: Path) -> None:
    products = ProductSettings(products=("rate", "accumulation_15", "member"), formats=("netcdf",))
    operation = Operation(tmp_path, products=products)
    with operation.loop() as loop:
        operation.look(loop)
    files = operation.records[0]["files"]
    folder = operation.out / "small" / "forecasts" / name_of(at(10))
    assert files[0] == "forecast.nc"
    assert sorted([*files, "cycle.json"]) == sorted(path.name for path in folder.iterdir())
    assert any("accumulation" in file for file in files)
    assert any(reason.startswith("no_product: member") for reason in operation.records[0]["reasons"])


def test_the_archive_grows_by_each_forecast_and_a_restart_completes_it(tmp_path: Path) -> None:
    operation = Operation(tmp_path, archive=True)
    store = operation.out / "small" / "archive.zarr"
    with operation.loop() as loop:
        operation.look(loop)
        shutil.rmtree(store)  # as if killed before it was written
    with operation.loop() as loop:
        operation.look(loop, 240)
        put(operation.incoming, 11)
        operation.look(loop)
    archived = framecast.open_forecast(store)
    assert [iso_of(each) for each in archived["init_time"].values] == [iso(at(10)), iso(at(11))]


def test_old_forecasts_frames_and_scores_are_deleted(tmp_path: Path) -> None:
    operation = Operation(tmp_path, retention=Retention(forecasts=1, frames=2))
    with operation.loop() as loop:
        operation.look(loop)
        operation.look(loop, 4000, every=200)
        put(operation.incoming, 24)
        operation.look(loop)
        operation.look(loop, 700, every=100)
    assert operation.forecasts == [name_of(at(24))]
    stored = sorted(path.name for path in (operation.out / "small" / "frames").iterdir())
    assert stored == [f"{name_of(at(number))}.nc" for number in (6, 7, 8, 9, 10, 24)]


def test_a_plan_that_no_process_survives_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes end while they make the first forecast; the third makes a smaller one, and the file of the plan is gone."""
    operation = Operation(tmp_path)
    put(operation.incoming, 10)
    with monkeypatch.context() as broken:
        broken.setattr(Issuer, "issue", lambda *_: (_ for _ in ()).throw(SystemExit))
        for _ in range(2):
            with operation.loop() as loop, pytest.raises(SystemExit):
                operation.look(loop)
    with operation.loop() as loop:
        operation.look(loop)
    reason = "cut down to 1 lead time of 3: the process ended twice while it made more"
    assert [record["reasons"] for record in operation.records] == [[reason]]
    forecast = framecast.open_forecast(operation.out / "small" / "forecasts" / operation.forecasts[0] / "forecast.nc")
    assert forecast.attrs["framecast_reasons"] == reason
    assert not (operation.out / "small" / "attempt.json").exists()
    put(operation.incoming, 11)
    with operation.loop() as loop:
        operation.look(loop, 300)
    assert operation.records[-1]["reasons"] == []

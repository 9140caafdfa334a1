"""The settings of a service: the example is valid, and what is wrong is named."""

from pathlib import Path

import pytest

import framecast
from framecast.checkpoints.model_folder import ModelCard, save
from framecast.config.parsing import plain
from framecast.data.quantities import RAIN_RATE
from framecast.data.scaling import RainLog
from framecast.errors import ConfigError, DataError
from framecast.models import PredRNN
from framecast.service.checking import check_service
from framecast.service.settings import Domain, Service, example, example_settings, read_settings
from framecast.types import FrameShape


def test_the_example_is_valid_and_shows_every_group() -> None:
    settings = example_settings()
    assert [domain.name for domain in settings.domains] == ["switzerland", "catalonia"]
    assert settings.domains[1].options.units == "dBZ"
    shown = example()
    for name in (*plain(settings), *plain(settings.log), *plain(settings.serve), *plain(settings.domains[0].retention)):
        assert f"{name}:" in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("out: o\ndomains: []", "has no domain"),
        ("out: o\ndomains: [{name: a, source: s}, {name: a, source: t}]", "'a' is repeated"),
        ("out: o\ndomains: [{name: ../a, source: s}]", "no name of a folder"),
        ("out: o\ndomains: [{name: a, source: s, cadance: 5}]", "did you mean 'cadence'"),
        ("out: o\ndomains: [{name: a, source: s, cadence: five}]", "expected a number"),
        ("out: o\ndomains: [{name: a, source: s, retention: {frames: -1}}]", "at least"),
        ("out: o\ndomains: [{name: a, source: s, ladder: [persistance]}]", "did you mean 'persistence'"),
        ("domains: [{name: a, source: s}]", "out must be given"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_settings(tmp_path / "service.yaml")
    assert "service.yaml" in str(caught.value)


def test_an_unknown_domain_lists_the_known() -> None:
    settings = example_settings()
    assert isinstance(settings, Service)
    with pytest.raises(ConfigError, match="switzerland"):
        settings.domain("austria")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("out: in/o\ndomains: [{name: a, source: in}]", "would be read as frames"),
        ("out: .\ndomains: [{name: in, source: in}]", "would be read as frames"),
        ("out: in/o\ndomains: [{name: a, source: 'in/**/*.nc'}]", "would be read as frames"),
        ("out: in/o\ndomains: [{name: a, source: 'in/*/*/*/20*.nc'}]", "would be read as frames"),
        ("out: o\ndomains: [{name: a, source: in}]\nserve: {host: 0.0.0.0}", "no token is set"),
        ("out: o\ndomains: [{name: a, source: in}]\nserve: {host: 0.0.0.0}", "service.yaml, serve.token_file: "),
        ("out: o\ndomains: [{name: a, source: in}]\nserve: {token_file: nowhere}", "nowhere"),
        ("out: o\ndomains: [{name: a, source: in, device: cudda}]", "service.yaml, domains.a.device: .*cudda"),
        (
            "out: o\ndomains: [{name: a, source: in, device: 'cuda:99'}]",
            "domains.a.device: .*cuda:99.* this machine has",
        ),
        ("out: o\ndomains: [{name: a, source: in, tile: 16}]", "service.yaml, domains.a.tile: .*too small for radar"),
        (
            "out: o\ndomains: [{name: a, source: in, products: {products: [accumulation_7]}}]",
            "service.yaml, domains.a.products: the window 0 to 7 min does not begin and end with a frame",
        ),
        (
            "out: o\ndomains: [{name: a, source: in, products: {products: [accumulation_60_120]}}]",
            "the window 60 to 120 min ends after the forecast, which reaches 60 min",
        ),
        (
            "out: o\ndomains: [{name: a, source: in, horizon: 3, products: {windows: [[0, 30]]}}]",
            "the window 0 to 30 min ends after the forecast, which reaches 15 min",
        ),
        ("out: o\ndomains: [{name: a, source: in, products: {products: [alerts], areas: nowhere.csv}}]", "nowhere.csv"),
    ],
)
def test_a_service_that_would_fail_in_each_cycle_is_not_started(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FRAMECAST_TOKEN", raising=False)
    Path("service.yaml").write_text(text)
    with pytest.raises((ConfigError, DataError), match=message):
        framecast.run_service("service.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["service.yaml"]


def test_members_of_a_model_of_values_are_refused(tmp_path: Path) -> None:
    """Also where the model is a rung of the ladder."""
    config, shape = PredRNN.tiny(), FrameShape(1, 16, 16, 3, 2)
    save(tmp_path / "values", config.build(shape), ModelCard(config, RainLog(), RAIN_RATE, shape, 300.0))
    values = str(tmp_path / "values")
    for rungs in ({"model": values}, {"model": "radar", "ladder": (values,)}):
        domain = Domain(name="a", source="in", members=5, **rungs)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"domains\.a\.members: .*no members can be drawn") as caught:
            check_service(Service(out="o", domains=(domain,)))
        assert "leave members out" in str(caught.value)


def test_a_model_may_come_later(tmp_path: Path) -> None:
    domain = Domain(name="a", source=str(tmp_path), model=str(tmp_path / "later"), tile=16, members=5)
    (note,) = check_service(Service(out=str(tmp_path / ".." / "o"), domains=(domain,)))
    assert "later cannot be loaded yet: no trained model here" in note


def test_scores_are_never_appended_to_another_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "nowcasts" / "switzerland" / "scores.csv"
    table.parent.mkdir(parents=True)
    table.write_text("forecaster,score\nradar,0.5\n")
    with pytest.raises(ConfigError, match="something else than the scores of a service"):
        check_service(example_settings())
    assert table.read_text() == "forecaster,score\nradar,0.5\n"


def test_a_source_may_come_later() -> None:
    notes = check_service(example_settings())
    assert notes == ["switzerland: incoming/switzerland does not exist yet"]

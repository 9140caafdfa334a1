"""Where recipes are found, and which row of one is meant."""

from pathlib import Path

import pytest
import yaml

import framecast
from framecast.config.recipes import PACKAGED, origins, published_scores, read, rows
from framecast.errors import ConfigError

NAMES = ("radar", "radar.yaml", "recipes/radar", "recipes/radar.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_of_the_package_is_found_by_name_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    by_path = read(f"{PACKAGED / 'radar.yaml'}#predrnn")
    assert read(f"{name}#predrnn") == by_path
    assert rows(name) == ["convlstm", "predrnn", "predrnn_v2", "lagrangian"]
    assert published_scores("recipes/moving_mnist.yaml", "predrnn_v2")["mse"] == 48.4


@pytest.mark.parametrize("name", NAMES)
def test_a_file_on_disk_is_taken_before_a_recipe_of_the_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = yaml.safe_load((PACKAGED / "radar.yaml").read_text())
    own["base"]["training"]["iterations"] = 7
    Path("recipes").mkdir()
    Path(name).write_text(yaml.safe_dump(own))
    assert read(f"{name}#predrnn").training.iterations == 7


def test_a_folder_of_that_name_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("radar").mkdir()
    assert read("radar#predrnn").model.name == "predrnn"


def test_the_path_of_a_recipe_may_hold_the_sign_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "run#2").mkdir()
    file = tmp_path / "run#2" / "experiment.yaml"
    file.write_text("data: {name: moving_digits}\nmodel: {name: convlstm}")
    assert read(file).model.name == "convlstm"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("radra#predrnn", "no such file, and no recipe of that name, did you mean 'radar'?"),
        ("recipes/moving_mnst.yaml#predrnn", "did you mean 'moving_mnist'?"),
        ("elsewhere/radar.yaml#predrnn", "no such file"),
        ("radar.yml#predrnn", "no such file"),
    ],
)
def test_a_name_that_is_neither_is_an_error_with_the_names(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(name)
    assert message in str(error.value)
    assert "kth, mixed_moving_mnist, moving_mnist, radar" in str(error.value.remedy)


def test_a_row_with_another_model_keeps_the_channels_of_the_base(tmp_path: Path) -> None:
    base = "base: {data: {name: moving_digits}, model: {name: predrnn, hidden: [6, 6], kernel: 3}}\n"
    models = {
        "convlstm": "{name: convlstm}",
        "wide": "{name: convlstm, hidden: [9]}",
        "around": "{name: motionrnn, backbone: {name: mim}}",
        "default": "{name: motionrnn}",
        "simvp": "{name: simvp}",
    }
    rows = ", ".join(f"{row}: {{model: {model}}}" for row, model in models.items())
    (tmp_path / "table.yaml").write_text(f"{base}rows: {{{rows}}}")
    read_models = {row: read(f"{tmp_path / 'table.yaml'}#{row}").model for row in models}
    assert read_models["convlstm"].hidden == (6, 6)  # type: ignore[union-attr]
    assert read_models["wide"].hidden == (9,)  # type: ignore[union-attr]
    assert read_models["around"].backbone.hidden == read_models["default"].backbone.hidden == (6, 6)  # type: ignore[union-attr]
    assert read_models["default"].backbone.name == "predrnn"  # type: ignore[union-attr]
    assert read_models["simvp"].hidden == 512  # type: ignore[union-attr]  # a width of another kind


def test_whose_the_settings_are_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_text(
        "base: {origin: {data: paper, loss: script}, data: {name: moving_digits}, model: {name: convlstm}}\n"
        "rows: {one: {origin: {loss: ours}}, two: }"
    )
    assert origins(tmp_path / "table.yaml", "one") == {"data": "paper", "loss": "ours"}
    assert origins(tmp_path / "table.yaml", "two") == {"data": "paper", "loss": "script"}
    assert read(f"{tmp_path / 'table.yaml'}#one") == read(f"{tmp_path / 'table.yaml'}#two")
    assert origins("radar", "predrnn") == {}


def test_a_table_of_several_rows_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read("recipes/radar.yaml")
    assert (
        str(error.value) == "radar: has 4 rows\n  -> name one: radar#ROW, of convlstm, predrnn, predrnn_v2, lagrangian"
    )
    base = "base: {data: {name: moving_digits}, model: {name: convlstm}}\n"
    (tmp_path / "one.yaml").write_text(base + "rows: {only: {model: {kernel: 3}}}")
    assert read(tmp_path / "one.yaml") == read(f"{tmp_path / 'one.yaml'}#only")
    (tmp_path / "none.yaml").write_text(base)
    assert read(tmp_path / "none.yaml").model.name == "convlstm"


def test_the_recipes_of_the_package_are_listed_with_title_source_and_rows() -> None:
    known = framecast.recipes()
    assert set(known) == {path.stem for path in PACKAGED.glob("*.yaml")}
    assert known["radar"].title == "Radar nowcasting"
    assert known["radar"].source is None
    assert known["radar"].rows == ("convlstm", "predrnn", "predrnn_v2", "lagrangian")
    assert str(known["shanghai_radar"].source).startswith("MotionRNN")
    assert all(each.title and each.rows for each in known.values())

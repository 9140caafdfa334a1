"""Recipes: merging, overriding, and errors that say where and what."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from framecast.config.experiment import Experiment, Training
from framecast.config.parsing import merge, parse, plain
from framecast.config.recipes import PACKAGED, read
from framecast.curriculum import NoSampling, Scheduled
from framecast.data.datasets import ArchiveData
from framecast.data.motion.coordinates import Lagrangian
from framecast.data.scaling import RainLog
from framecast.data.sets.clips import ClipData
from framecast.data.windows.splits import ByFile
from framecast.errors import ConfigError
from framecast.losses import BrierSum, CrossEntropy
from framecast.models import ConvLSTM, ModularDesign, MotionRNN, PredRNNV2
from framecast.models.heads import Exceedance
from framecast.types import FrameShape


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        """
base:
  data: {name: archive, path: archive/, context: 5}
  model: {name: predrnn_v2, hidden: [8, 8], decoupling: 0.05}
  optimiser: {learning_rate: 1e-4}
rows:
  same: {}
  other:
    model: {name: convlstm}
    data: {context: 4}
    paper: {mse: 1.0}
"""
    )
    return path


def test_a_row_is_the_base_with_its_differences(recipe: Path) -> None:
    same, other = read(f"{recipe}#same"), read(f"{recipe}#other")
    assert same.model == PredRNNV2(hidden=(8, 8), decoupling=0.05)
    assert same.optimiser.learning_rate == 1e-4
    assert other.model == ConvLSTM(hidden=(8, 8))
    assert other.data == ArchiveData(path="archive/", context=4)
    assert same.curriculum == NoSampling()


def test_single_settings_are_changed_by_key_and_value(recipe: Path) -> None:
    overrides = ["model.hidden=[4,4]", "data.path=elsewhere/", "curriculum.name=scheduled", "curriculum.stop=10"]
    changed = read(f"{recipe}#same", [*overrides, "data.scaling.name=rain_log", "data.scaling.floor=0.2"])
    assert changed.model == PredRNNV2(hidden=(4, 4), decoupling=0.05)
    assert changed.curriculum == Scheduled(stop=10)
    assert changed.data == ArchiveData(path="elsewhere/", context=5, scaling=RainLog(floor=0.2))


def test_a_part_of_a_model_keeps_what_is_not_stated_of_it(recipe: Path) -> None:
    """The predictor of a modular design is by default a smaller one than PredRNN's own default, on patches of one pixel."""
    modular = read(f"{recipe}#same", ["model.name=modular", "model.predictor.hidden=[4,4]"]).model
    assert modular == ModularDesign(predictor=replace(ModularDesign().predictor, hidden=(4, 4)))
    around = read(f"{recipe}#same", ["model.name=motionrnn", "model.backbone.kernel=3"]).model
    assert around == MotionRNN(backbone=replace(MotionRNN().backbone, kernel=3))
    other = read(f"{recipe}#same", ["model.name=modular", "model.predictor.name=convlstm"]).model
    assert other == ModularDesign(predictor=ConvLSTM())


def test_another_kind_starts_from_its_defaults_whatever_the_order(recipe: Path) -> None:
    for overrides in (["model.kernel=3", "model.name=convlstm"], ["model.name=convlstm", "model.kernel=3"]):
        assert read(f"{recipe}#same", overrides).model == ConvLSTM(kernel=3)


def test_a_kind_inside_a_kind(recipe: Path) -> None:
    changed = read(f"{recipe}#same", ["data.split.name=file", "data.split.test=['*2017*']"])
    assert changed.data.split == ByFile(test=("*2017*",))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.hiden=[4]", r"unknown key 'hiden', did you mean 'hidden'\?"),
        ("modle.hidden=[4]", r"unknown key 'modle', did you mean 'model'\?"),
        ("model.name=predrn", r"name 'predrn' is not known, did you mean 'predrnn'\?"),
        ("optimiser.name=adam", r"unknown key 'name'"),
        ("training.iterations=0", "must be at least 1"),
        ("data.min_valid=2", "min_valid"),
        ("training.iterations", "not of the form key=value"),
        ("model=[1", "is not YAML"),
        ("data.split={name: file, test: [*2017*]}", r"""(?s)is not YAML.*too: such as test: \["\*2017\*"\]$"""),
        ("data.path=*/my rain.nc", r"""(?s)is not YAML.*too: 'data\.path="\*/my rain\.nc"'$"""),
    ],
)
def test_mistakes_are_named(recipe: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(f"{recipe}#same", [override])


def test_a_number_out_of_range_is_named_with_its_file(recipe: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{recipe.name}\S*, training\.iterations: 0 must be at least 1"):
        read(f"{recipe}#same", ["training.iterations=0"])


@pytest.mark.parametrize(
    ("override", "expected", "remedy"),
    [
        ("data.size=64x64", "'64x64' given, expected a list of 2 whole numbers or null", "data.size=[64,64]"),
        (
            "data.crop=128,128",
            "'128,128' given, expected a whole number or a list of 2 whole numbers or null",
            "data.crop=[128,128]",
        ),
        ("model.hidden=8", "8 given, expected a list of whole numbers", "model.hidden=[8]"),
        ("model.hidden=wide", "'wide' given, expected a list of whole numbers", "model.hidden=[128,128,128,128]"),
        ("model.hidden=", "nothing given, expected a list of whole numbers", "model.hidden=[128,128,128,128]"),
        ("training.iterations=many", "'many' given, expected a whole number", "training.iterations=80000"),
        ("training.ema=None", "'None' given, expected a number or null", "training.ema=null"),
        ("data.flips=2", "2 given, expected true or false", "data.flips=false"),
        (
            "optimiser.schedule=stepwise",
            "'stepwise' given, expected constant or cosine or one_cycle or warm_restarts",
            "optimiser.schedule=constant",
        ),
        ("data.units=1", "1 given, expected text or null", """'data.units="1"'"""),
        (
            "data.split={name: file, test: '*2017*'}",
            "'*2017*' given, expected a list of texts",
            """'data.split.test=["*2017*"]'""",
        ),
        (
            "data.split={name: dates, test: 2017}",
            "2017 given, expected a list of 2 dates or null",
            """'data.split.test=["2017-01-01","2018-01-01"]'""",
        ),
        ("loss=l1", "'l1' given, expected settings, {name: NAME, KEY: VALUE, ...}", "loss.name=l1"),
        (
            "data.split=time",
            "'time' given, expected settings, {name: NAME, KEY: VALUE, ...}",
            "data.split.KEY=VALUE; name is one of: blocks, file, dates",
        ),
        ("data.sampling=wet", "'wet' given, expected settings, {KEY: VALUE, ...}", "known: by, least, saturation"),
        (
            "data.inputs=terrain.tif",
            "'terrain.tif' given, expected a list of settings in braces",
            """'data.inputs=[{"path":"terrain.tif"}]'""",
        ),
        ("data.inputs=[{path: a, high: tall}]", "'tall' given, expected a number", "such as high: 1.0"),
        ("data.inputs=[{path: a, hihg: 3}]", "unknown key 'hihg', did you mean 'high'?", "path, variable, low, high"),
    ],
)
def test_a_value_of_another_kind_is_said_in_plain_words(
    recipe: Path, override: str, expected: str, remedy: str
) -> None:
    """One message, whatever kinds would do: what was given, what is expected, and how that is written."""
    with pytest.raises(ConfigError) as error:
        read(f"{recipe}#same", [override])
    assert error.value.what == expected
    assert str(error.value.remedy).endswith(remedy)
    assert str(error.value.where).startswith(f"{recipe}#same, {override.partition('=')[0]}")


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("data.size=64x64", "data.size=[64,64]"),
        ("data.path=2017", 'data.path="2017"'),
        ("data.split={name: dates, test: 2017}", 'data.split.test=["2017-01-01","2018-01-01"]'),
        ("training.ema=None", "training.ema=null"),
    ],
)
def test_what_is_suggested_will_do(recipe: Path, override: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(f"{recipe}#same", [override])
    assert str(error.value.remedy).removeprefix("such as ").strip("'") == remedy
    read(f"{recipe}#same", ["data.split.name=dates", remedy] if "dates" in override else [remedy])


def test_settings_that_are_no_list_and_rows_that_are_none_are_said(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="given, expected a list"):
        read(f"{recipe}#same", "model.hidden=[4]")
    (tmp_path / "rows.yaml").write_text("base: {}\nrows: [same, other]")
    with pytest.raises(ConfigError, match="rows are not settings by name"):
        read(tmp_path / "rows.yaml")
    (tmp_path / "text.yaml").write_text("base: {}\nrows: {same: convlstm}")
    with pytest.raises(ConfigError, match="rows are not settings by name"):
        read(f"{tmp_path / 'text.yaml'}#same")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.crop", "0"),
        ("data.crop", "[-8,8]"),
        ("data.split.test", "[2016, 2017]"),
        ("data.split.test", "[2017-01-01, 2016-01-01]"),
        ("optimiser.learning_rate", ".nan"),
        ("optimiser.betas", "[0.9,2]"),
        ("optimiser.clip", "0"),
        ("optimiser.weight_decay", "-1"),
        ("optimiser.warmup", "-1"),
        ("training.seed", "-1"),
        ("training.workers", "-1"),
        ("training.validation_windows", "-1"),
    ],
)
def test_a_value_that_cannot_work_is_refused_before_anything_begins(recipe: Path, key: str, value: str) -> None:
    """Years are among them: they would be taken for seconds since 1970."""
    dates = ["data.split.name=dates"] if "split" in key else []
    with pytest.raises(ConfigError) as error:
        read(f"{recipe}#same", [*dates, f"{key}={value}"])
    assert str(error.value.where or error.value.parameter).endswith(key)


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("data.time_step=-1", "data.time_step: -1.0 given"),
        ("data.size=[0,4]", "data.size: (0, 4) given"),
        ("data.scaling={name: rain_log, zr: {a: -1}}", "data.scaling.zr: Z = -1.0"),
    ],
)
def test_a_value_that_a_config_refuses_is_named_by_its_key(recipe: Path, override: str, place: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(f"{recipe}#same", [override])
    assert f", {place}" in str(error.value)


def test_missing_files_rows_and_keys_are_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no row 'smae', did you mean 'same'\?"):
        read(f"{recipe}#smae")
    with pytest.raises(ConfigError, match="no such file, and no recipe of that name"):
        read(tmp_path / "absent.yaml")
    (tmp_path / "short.yaml").write_text("model: {name: convlstm}")
    with pytest.raises(ConfigError, match="data must be given"):
        read(tmp_path / "short.yaml")
    (tmp_path / "odd.yaml").write_text("base: {model: {hidden: [4]}, data: {name: moving_digits}}")
    with pytest.raises(ConfigError, match="name must be given"):
        read(tmp_path / "odd.yaml")


def test_an_experiment_goes_through_yaml_and_back(recipe: Path, tmp_path: Path) -> None:
    overrides = ["data.split={name: dates, test: [2020-01-01T00:00:00, 2020-02-01T00:00:00]}", "data.crop=32"]
    experiment = read(f"{recipe}#same", overrides)
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(plain(experiment)))
    assert read(tmp_path / "experiment.yaml") == experiment


def test_an_outsiders_model_is_named_by_its_config(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside.py").write_text(
        "from typing import Literal\n"
        "from framecast.models import ConvLSTM\n"
        "from framecast.types import config\n"
        "@config\n"
        "class Mine(ConvLSTM):\n"
        "    name: Literal['outside:Mine'] = 'outside:Mine'\n"
        "    width: int = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    experiment = read(f"{recipe}#same", ["model.name=outside:Mine", "model.width=5"])
    assert experiment.model.width == 5  # type: ignore[attr-defined]
    assert parse(Experiment, plain(experiment), where="again") == experiment
    with pytest.raises(ConfigError, match="cannot be imported"):
        read(f"{recipe}#same", ["model.name=outside:Absent"])


def test_merging_keeps_what_is_not_named() -> None:
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
    assert merge({"a": {"name": "x", "c": 2}}, {"a": {"name": "y"}}) == {"a": {"name": "y"}}


def rows() -> list[str]:
    return [
        f"{path}#{row}" for path in sorted(PACKAGED.glob("*.yaml")) for row in yaml.safe_load(path.read_text())["rows"]
    ]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.rsplit("/", 1)[1])
def test_every_recipe_is_an_experiment(row: str) -> None:
    """Of which the model can be built for the frames of the data."""
    experiment = read(row)
    data = experiment.data
    if isinstance(data, ArchiveData):
        assert data.crop_size is not None
        shape = FrameShape(1, *data.crop_size, data.context, data.horizon)
    elif isinstance(data, ClipData):
        shape = FrameShape(data.channels, data.size, data.size, data.context, data.horizon, data.number_of_actions)
    else:
        shape = FrameShape(data.source_class.channels, data.size, data.size, data.context, data.horizon)
    experiment.model.check(shape)


def test_no_row_repeats_a_value_of_its_base() -> None:
    def repeated(base: object, difference: object, where: str) -> list[str]:
        if not isinstance(base, dict) or not isinstance(difference, dict):
            return [where] if base == difference else []
        if "name" in difference and difference["name"] != base.get("name"):
            return []
        return [
            found
            for key in difference
            if key in base
            for found in repeated(base[key], difference[key], f"{where}.{key}")
        ]

    for path in PACKAGED.glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        for row, difference in content["rows"].items():
            assert repeated(content["base"], difference, row) == [], path.name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": Exceedance()}, "cannot be trained by the loss l2"),
        ({"loss": CrossEntropy()}, "the head values cannot be trained by the loss cross_entropy"),
        ({"head": Exceedance(), "loss": BrierSum(), "model": ModularDesign()}, "a space of its own"),
        ({"coordinates": Lagrangian(), "training": Training(reverse_time=True)}, "another newest frame"),
        ({"data": ArchiveData(path="x", several_steps=True)}, "does not read the time step"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    experiment = Experiment(data=ArchiveData(path="x"), model=ConvLSTM())
    with pytest.raises(ConfigError, match=message):
        replace(experiment, **changes)


def test_the_model_of_distributions_is_checked_with_its_own_channels() -> None:
    """TCTN, for one, refuses what it cannot build for; the head passes the shape on."""
    experiment = Experiment(
        data=ArchiveData(path="x"),
        model=ConvLSTM(patch=4),
        head=Exceedance(),
        loss=CrossEntropy(),
        coordinates=Lagrangian(),
    )
    experiment.check(FrameShape(1, 16, 16, 4, 2))
    with pytest.raises(ConfigError, match="patches of 4 x 4"):
        experiment.check(FrameShape(1, 18, 16, 4, 2))
    assert parse(Experiment, plain(experiment), where="test") == experiment

"""The public names: documented, annotated, readable in `help`, and the equal of the command line."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

import framecast
from framecast.cli import app
from framecast.errors import ArgumentError, ConfigError

NAMES = {
    "open",
    "open_forecast",
    "inspect",
    "training_cost",
    "convert",
    "train",
    "resume",
    "load",
    "forecast",
    "evaluate",
    "compare",
    "crossvalidate",
    "verify",
    "diagnose",
    "reproduce",
    "import_checkpoint",
    "write",
    "plot",
    "recipes",
    "baselines",
    "Context",
    "Forecaster",
    "ReadOptions",
    "EvaluationSettings",
}
"""The public names that users rely on."""
OTHERWISE = {
    "verify": "verify_forecasts",
    "scores": "summarise",
    "run": "run_service",
    "serve": "serve_folder",
    "import": "import_checkpoint",
    "doctor": "check_installation",
}
"""The functions of commands that have another name."""


def test_the_names_are_there() -> None:
    assert set(framecast.__all__) >= NAMES
    assert dir(framecast) == sorted([*framecast.__all__, "__version__"])
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        framecast.opne  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", framecast.__all__)
def test_a_name_is_documented_annotated_and_readable(name: str) -> None:
    public = getattr(framecast, name)
    assert inspect.getdoc(public)
    if isinstance(public, type):
        return
    signature = inspect.signature(public)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
    assert "<function" not in str(signature), "help shows the address of a function"


def test_each_command_has_its_function() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert {OTHERWISE.get(name, name) for name in commands} <= set(framecast.__all__)


def test_options_are_keywords_with_their_texts() -> None:
    parameters = inspect.signature(framecast.open).parameters
    assert [name for name in parameters if name not in ("path", "options")] == list(
        inspect.signature(framecast.ReadOptions).parameters
    )
    assert "time_step: Minutes between frames" in str(framecast.open.__doc__)


def test_the_former_name_of_options_still_leads_to_them() -> None:
    assert framecast.Options is framecast.ReadOptions


SEVERAL = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: framecast.open("x", unit="mm/h"),
        lambda: framecast.open(3),  # type: ignore[arg-type]
        lambda: framecast.ReadOptions(time_step=-1),
        lambda: framecast.inspect("x", horizon=0),
        lambda: framecast.evaluate("x", limit=0),
        lambda: framecast.evaluate("x", horizon=True),
        lambda: framecast.evaluate("x", cluster=3),  # type: ignore[arg-type]
        lambda: framecast.evaluate("x", progress=3),  # type: ignore[arg-type]
        lambda: framecast.evaluate(3),  # type: ignore[arg-type]
        lambda: framecast.evaluate("x", fvd=3),
        lambda: framecast.load(3),  # type: ignore[arg-type]
        lambda: framecast.train(3),  # type: ignore[arg-type]
        lambda: framecast.compare(["x", "x"]),
        lambda: framecast.verify([], "x", step=3, horizon=3),
        lambda: framecast.evaluate("x", rates=(True,)),
        lambda: framecast.evaluate("x", convention="mine"),
        lambda: framecast.evaluate("x", baselines=("oracle",)),
        lambda: framecast.evaluate("x", scales=(0,)),
        lambda: framecast.evaluate("x", thresholds=(1,)),
        lambda: framecast.evaluate({"a": "x"}, report=True),
        lambda: framecast.compare([], limit=1),
        lambda: framecast.load(Path(), tile=0),
        lambda: framecast.diagnose("x", "slots", others=("y", "z")),
        lambda: framecast.evaluate("x", "y", "thuml"),  # type: ignore[arg-type]
        lambda: framecast.evaluate("x", "y", options={"units": "mm/h"}),  # type: ignore[arg-type]
        lambda: framecast.compare(["x"], "y", settings={}),  # type: ignore[arg-type]
        lambda: framecast.verify([], "x", settings={}),  # type: ignore[arg-type]
        lambda: framecast.verify([], "x", context=0, horizon=3),
        lambda: framecast.verify([], "x", batch_size=0, horizon=3),
        lambda: framecast.verify(3, "x", horizon=3),  # type: ignore[arg-type]
        lambda: framecast.verify({"a": 3}, "x", horizon=3),  # type: ignore[dict-item]
        lambda: framecast.forecast("x", "y", 3, options={}),  # type: ignore[arg-type]
        lambda: framecast.open("x", {"units": "mm/h"}),  # type: ignore[arg-type]
        lambda: framecast.inspect("x", options={}),  # type: ignore[arg-type]
        lambda: framecast.convert("x", "y.zarr", changes={}),  # type: ignore[arg-type]
        lambda: framecast.crossvalidate("radar#convlstm", out="x"),
        lambda: framecast.crossvalidate("radar#convlstm", out=3),  # type: ignore[arg-type]
        lambda: framecast.crossvalidate("radar#convlstm", out="x", settings={}),  # type: ignore[arg-type]
        lambda: framecast.crossvalidate("radar#convlstm", out="x", limit=0),
        lambda: framecast.crossvalidate("radar#convlstm", ["data.path=[a, b]"], out="x", events="a"),
        lambda: framecast.crossvalidate("radar#convlstm", ["data.path=[a, b]"], out="x", judge="a"),
        lambda: framecast.crossvalidate("radar#convlstm", "data.path=[a, b]", out="x"),
        lambda: framecast.evaluate("x", convention=[]),
        lambda: framecast.evaluate("x", baselines=None),
        lambda: framecast.forecast("x", "y", 3, rates=("a", 1)),
        lambda: framecast.forecast("x", "y", 3, quantiles=(True,)),
        lambda: framecast.forecast("x", "y", 3, palette=["services"]),  # type: ignore[arg-type]
        lambda: framecast.inspect("x", stride=None),  # type: ignore[arg-type]
        lambda: framecast.copy_recipe(3),  # type: ignore[arg-type]
        lambda: framecast.summarise(3),  # type: ignore[arg-type]
        lambda: framecast.drift([3]),  # type: ignore[list-item]
        # arrays, of which NumPy cannot tell whether they are true
        lambda: framecast.inspect("x", split=SEVERAL),  # type: ignore[arg-type]
        lambda: framecast.load("x", SEVERAL),  # type: ignore[call-overload]
        lambda: framecast.forecast("x", "y", overwrite=SEVERAL),  # type: ignore[arg-type]
        lambda: framecast.evaluate("x", convention=SEVERAL),
        lambda: framecast.EvaluationSettings(limit=SEVERAL),  # type: ignore[arg-type]
        lambda: framecast.ReadOptions(units=SEVERAL),  # type: ignore[arg-type]
        lambda: framecast.ProductSettings(palette=SEVERAL),  # type: ignore[arg-type]
        lambda: framecast.verify([], SEVERAL),  # type: ignore[arg-type]
        lambda: framecast.score_forecast(SEVERAL, None),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_argument_is_a_value_error_that_names_it(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=": ") as error:
        call()
    assert isinstance(error.value, ArgumentError)
    assert isinstance(error.value, ConfigError)
    assert str(error.value).startswith(f"{error.value.parameter}: ")


def test_keywords_have_the_defaults_of_the_function_they_belong_to() -> None:
    """No baselines in `verify`, whose settings have none."""
    assert inspect.signature(framecast.verify).parameters["baselines"].default == ()
    default = inspect.signature(framecast.evaluate).parameters["baselines"].default
    assert default == ("persistence", "extrapolation", "extrapolation_probability")

"""Rows of papers: the settings that they print, kept in one table beside the recipes, and whose the others are.

`recipes/published.csv` has one line a row. After a change that is meant: `python tests/config/test_published_settings.py`.
"""

import csv
import io
from typing import Any

import pytest

from framecast.checkpoints.model_folder import ModelCard
from framecast.config.parsing import plain
from framecast.config.recipes import PACKAGED, origins, read, recipes
from framecast.data.quantities import INTENSITY
from framecast.data.scaling import Unit
from framecast.models.parts.capabilities import two_stages
from framecast.types import FrameShape

TABLE = PACKAGED / "published.csv"
GROUPS = {"data", "model", "curriculum", "loss", "optimiser", "training"}
PUBLISHED = {name: recipe.rows for name, recipe in recipes().items() if name != "radar"}
ROWS = [(name, row) for name, names in PUBLISHED.items() for row in names]


def described(settings: dict[str, Any], *without: str) -> str:
    """The settings of a model or a curriculum, short: its name, and what the paper or the script gives."""
    return " ".join(
        f"{key}={described(value) if isinstance(value, dict) else value}".replace(" ", "") if key != "name" else value
        for key, value in settings.items()
        if key not in without and value is not None
    )


def line(name: str, row: str) -> dict[str, str]:
    experiment = plain(read(f"{name}#{row}"))
    data, training, optimiser = (experiment[group] for group in ("data", "training", "optimiser"))
    split = data.get("split", {})
    fields = {
        "recipe": name,
        "row": row,
        "size": data.get("size") or data.get("crop") or 64,
        "frames": f"{data['context']}->{data['horizon']}",
        "train": data.get("train", ""),
        "validation": split.get("validation", data.get("validation", "")),
        "test": split.get("test", data.get("random_test") or data.get("test", "")),
        "batch": training["batch_size"],
        "iterations": training["iterations"],
        "rate": optimiser["learning_rate"],
        "decay": optimiser["weight_decay"],
        "schedule": described({"name": optimiser["schedule"]} | schedule(optimiser)),
        "second step": training["reverse_time"],
        "loss": described(experiment["loss"]) + f" from={training['loss_start']}",
        "curriculum": described(experiment["curriculum"]),
        "model": described(experiment["model"], "segment"),
    }
    return {key: str(value) for key, value in fields.items()}


def schedule(optimiser: dict[str, Any]) -> dict[str, Any]:
    used = {"cosine": ("minimum", "hold"), "warm_restarts": ("cycle", "cycle_factor")}
    return {key: optimiser[key] for key in used.get(optimiser["schedule"], ())}


def table() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(TABLE.read_text())))


def test_every_row_is_in_the_table_and_as_it_stands_there() -> None:
    kept = {(each["recipe"], each["row"]): each for each in table()}
    assert list(kept) == ROWS
    for name, row in ROWS:
        assert line(name, row) == kept[name, row], f"{name}#{row}"


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_row_says_whose_each_group_of_settings_is(name: str, row: str) -> None:
    said = origins(name, row)
    assert set(said) == GROUPS
    assert all(value.split()[0] in ("paper", "script", "ours") for value in said.values())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row"), ROWS)
def test_the_model_of_a_row_can_be_built_and_loaded(name: str, row: str) -> None:
    """Without memory, as a saved model is before its weights are read."""
    experiment: Any = read(f"{name}#{row}")
    data = experiment.data
    size = getattr(data, "size", None) or data.crop
    channels, actions = getattr(data, "channels", 1), getattr(data, "number_of_actions", 0)
    shape = FrameShape(channels, size, size, data.context, data.horizon, actions)
    card = ModelCard(experiment.model, Unit(), INTENSITY, shape, None)
    assert card.weights()


def experiments(name: str, *without: str) -> dict[str, Any]:
    return {row: read(f"{name}#{row}") for row in PUBLISHED[name] if not row.startswith(without)}


def test_the_settings_of_predrnn() -> None:
    """Section 5.2: Adam, 1e-4 unless otherwise specified, batches of 8, 80,000 iterations, four layers of 128, kernels of 5."""
    own = ("convlstm", "predrnn", "mim")
    others = ("predrnn_pp", "predrnn_base", "predrnn_modular")
    for name in ("moving_mnist", "kth", "guangzhou_radar"):
        rows = {row: each for row, each in experiments(name).items() if row.startswith(own) and row not in others}
        assert len(rows) >= 3
        for row, each in rows.items():
            settings = each.optimiser.learning_rate, each.training.batch_size, each.training.iterations
            assert settings == (1e-4, 8, 80_000), row
            assert each.model.hidden == ((183,) * 4 if row == "convlstm" else (128,) * 4), row
            assert each.model.kernel == 5
            assert each.training.reverse_time
    assert (read("moving_mnist#predrnn").data.train, read("moving_mnist#predrnn").data.test) == (10_000, 5_000)
    assert read("kth#predrnn").data.size == 128
    v2, row = read("moving_mnist#predrnn_v2"), read("moving_mnist#predrnn_rss_exponential")
    assert (v2.curriculum, v2.optimiser, v2.training) == (row.curriculum, row.optimiser, row.training)


def test_the_settings_of_motionrnn() -> None:
    """Section 4: four blocks of 64, L1 + L2, Adam, 3e-4, batches of 8, 100,000 iterations, alpha 0.5."""
    for name in ("human36m", "shanghai_radar", "v_mnist"):
        for row, each in experiments(name, "modernn").items():
            settings = each.optimiser.learning_rate, each.training.batch_size, each.training.iterations
            assert settings == (3e-4, 8, 100_000), row
            assert (each.loss.name, each.loss.alpha) == ("l1l2", 1.0)
            backbone = each.model.backbone if each.model.name == "motionrnn" else each.model
            assert backbone.hidden == (64,) * 4
            if backbone.name != "trajgru":
                assert backbone.kernel == 5
            assert getattr(each.model, "alpha", 0.5) == 0.5
            assert each.training.reverse_time
    assert (read("v_mnist#mim").data.train, read("v_mnist#mim").data.test) == (100_000, 10_000)


def test_the_settings_of_modernn() -> None:
    """Section IV: L2, Adam, 3e-4, batches of 8, 80,000 iterations, 64 channels in all recurrent models."""
    rows = [(name, row) for name, row in ROWS if name in ("robonet", "mixed_moving_mnist")]
    rows += [("human36m", row) for row in PUBLISHED["human36m"] if row.startswith("modernn")]
    rows += [("guangzhou_radar", row) for row in PUBLISHED["guangzhou_radar"] if row.startswith("large")]
    rows += [
        ("kth", row)
        for row in ("modernn", "sa_convlstm", "e3dlstm", "phydnet", "simvp", "modernn_predrnn", "svg", "lmc")
    ]
    for name, row in rows:
        each = read(f"{name}#{row}")
        settings = each.optimiser.learning_rate, each.training.batch_size, each.training.iterations, each.loss.name
        assert settings == (3e-4, 8, 80_000, "l2"), f"{name}#{row}"
        assert each.training.reverse_time
        if each.model.name in ("crevnet", "lmc"):
            assert each.model.layers == 4
        elif not each.model.name.startswith(("modernn_slots", "phydnet", "simvp", "motionrnn", "svg")):
            assert each.model.hidden == (64,) * 4, f"{name}#{row}"


def test_the_settings_of_modernn_with_detail_context() -> None:
    """Section 3.1, and the released script: AdamW with decay, a cosine, sums of errors without the first prediction."""
    mnist, typhoon = read("moving_mnist#modernn_dcb"), read("typhoon#modernn_dcb")
    for each, iterations in ((mnist, 80_000), (typhoon, 100_000)):
        assert (each.training.iterations, each.training.batch_size, each.training.loss_start) == (iterations, 32, 2)
        assert each.curriculum.stop == iterations / 2
        assert (each.optimiser.weight_decay, each.optimiser.schedule, each.optimiser.minimum) == (0.01, "cosine", 1e-6)
        assert (each.loss.name, each.loss.reduction, each.training.reverse_time) == ("l1l2", "sum", True)
        assert each.model.hidden == (64,) * 4
    assert mnist.data.test == 10_000
    assert all(each.model.hidden == (64,) * 4 for each in experiments("typhoon").values())


def test_the_settings_of_the_modular_design() -> None:
    """Section IV-C: base and modular models keep the same setup, 64 units, 70,000 iterations; KTH at 128 x 128."""
    for name in ("moving_mnist", "kth"):
        for predictor in ("predrnn", "tctn"):
            base, modular = read(f"{name}#{predictor}_base"), read(f"{name}#{predictor}_modular")
            assert two_stages(modular.model) is not None
            assert (base.training, base.optimiser, base.curriculum, base.data) == (
                modular.training,
                modular.optimiser,
                modular.curriculum,
                modular.data,
            )
            assert base.training.iterations == 70_000
            assert base.model.hidden == ((64,) * 4 if predictor == "predrnn" else 64)
            assert modular.model.predictor.hidden == base.model.hidden
    assert read("kth#tctn_base").data.size == 128


if __name__ == "__main__":
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(line(*ROWS[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(line(name, row) for name, row in ROWS)

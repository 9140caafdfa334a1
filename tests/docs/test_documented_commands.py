"""What the documents show works: every command is accepted, those of README and guide run, and so do the tutorials.

Data and settings are made small: `SHORT` has what a command gets in addition, and `NAMES` what a placeholder stands for.
"""

import re
import shlex
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from moving_rain import write_rain
from typer.main import get_command
from typer.testing import CliRunner

import framecast
from framecast.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
RUN_HERE = ("README.md", "docs/guide.md", "docs/nowcasting.md")
"""Documents whose commands are run, in their order."""
TRAIN = (
    "data.crop=16 data.context=3 data.horizon=3 training.iterations=2 training.batch_size=2 training.workers=0 "
    "training.validation_windows=1 training.checkpoint_every=2"
)
SHORT = {
    "train": f"{TRAIN} model.hidden=[4,4] model.kernel=3",
    "crossvalidate": TRAIN,
    "reproduce": "--scale 0.00001 model.hidden=[4,4,4,4] data.test=2 training.batch_size=2",
    "evaluate": "--limit 1 --baselines persistence",
    "compare": "--limit 1 --baselines persistence",
    "calibrate": "--limit 1",
    "diagnose": "--limit 2",
}
"""What makes a command short."""
NAMES = {
    "RUN2": "runs/y",
    "RUN3": "runs/z",
    "RUN": "runs/x",
    "runs/a": "runs/x",
    "runs/b": "runs/y",
    "KIND": "gradients",
}
"""What a placeholder stands for."""


def commands(document: Path) -> list[list[str]]:
    """The commands of all blocks, without comments and redirections; a line that ends in a backslash goes on."""
    text = document.read_text().replace("\\\n", " ")
    fenced = "\n".join(re.findall(r"^```(?:shell|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"^ {4}(framecast +[a-z].*)$", text, re.MULTILINE)
    lines += re.findall(r"^(?:\$ )?(framecast +[a-z].*)$", fenced, re.MULTILINE)
    return [shlex.split(re.sub(r"\s[#>].*", "", line))[1:] for line in lines if "..." not in line]


def documented() -> list[tuple[str, list[str]]]:
    """The commands of all documents: those in blocks, and those in running text that have options."""
    inline = r"`framecast ([a-z]+ [^`\n]*--[^`\n]* [^`\n]+)`"
    found = []
    for document in DOCUMENTS:
        name = str(document.relative_to(ROOT))
        texts = [shlex.split(text) for text in re.findall(inline, document.read_text()) if "..." not in text]
        found += [(name, words) for words in [*commands(document), *texts]]
    return found


@pytest.mark.parametrize(
    ("document", "words"), documented(), ids=lambda part: part if isinstance(part, str) else part[0]
)
def test_a_documented_command_is_accepted(document: str, words: list[str]) -> None:
    """Its name and its options exist, and their values can be read; nothing is run."""
    group: Any = get_command(app)
    name, *arguments = words
    assert name in group.commands
    group.commands[name].make_context(name, arguments)


ELSEWHERE = {
    "import": "tests/checkpoints/test_importing.py::test_the_command_says_what_it_did",
    "--lpips": "tests/verification/test_perceptual_weights.py",
    "demo": "tests/workflows/test_demo.py",
    "run": "tests/service/test_processes.py::test_a_crash_takes_no_other_down_and_a_signal_ends_all",
    "serve": "tests/service/http/test_serve_guard.py::test_the_command_refuses_to_start_without_a_token",
}
"""Commands, or their options, that need what only another test has."""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the documents name."""
    names = (
        "archive/a",
        "test/a",
        "latest/a",
        "swiss_2015",
        "swiss_2017",
        "dutch_2010",
        "other",
        "one",
        "two",
        "three",
    )
    for day, name in enumerate((*names, "other_event", "another"), 1):
        path = tmp_path / f"{name}.nc"
        path.parent.mkdir(exist_ok=True)
        write_rain(path, f"2020-01-{day:02d}", 40, height=32, width=32, speed=0.4)
    with xr.open_dataarray(tmp_path / "one.nc", engine="h5netcdf") as rain:
        rain.to_dataset().to_zarr(tmp_path / "rain.zarr")
        (250 + rain.rename("tb")).assign_attrs(units="K").to_dataset().to_zarr(tmp_path / "satellite.zarr")
    with warnings.catch_warnings(action="ignore"):  # a raster without a place, as the frames
        size = {"height": 32, "width": 32, "count": 1, "dtype": "float32"}
        with rasterio.open(tmp_path / "terrain.tif", "w", driver="GTiff", **size) as raster:
            raster.write(np.full((1, 32, 32), 100.0, np.float32))
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"):
        digits = np.random.default_rng(1).integers(0, 255, (40, 28, 28), np.uint8)
        (tmp_path / "mnist" / name).write_bytes(struct.pack(">4i", 2051, *digits.shape) + digits.tobytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("document", RUN_HERE)
def test_the_commands_of_a_document_run(document: str, workspace: Path) -> None:
    for words in commands(ROOT / document):
        if ELSEWHERE.keys() & {words[0], *(word for word in words if word.startswith("--"))}:
            continue
        given = [NAMES.get(word, word) for word in words]
        if given[0] == "calibrate":  # of distributions
            given[1] = "radar"
        for run in {"runs/x", "runs/y", "runs/z"} & set(given):
            if not Path(run).exists() and given[0] != "train":
                framecast.train("radar#predrnn_v2", shlex.split(SHORT["train"]), data="archive/", out=run)
        more = [] if "--resume" in given else shlex.split(SHORT.get(given[0], ""))
        if more and "--out" not in given and given[0] in ("train", "reproduce"):
            more += ["--out", f"out-{given[0]}-{len(list(workspace.iterdir()))}"]
        result = CliRunner().invoke(app, [*given, *more], catch_exceptions=False)
        assert result.exit_code == 0, (given, result.output)


@pytest.mark.parametrize("document", RUN_HERE)
def test_the_python_of_a_document_runs(document: str, workspace: Path) -> None:
    recipe = yaml.safe_load((ROOT / "src" / "framecast" / "recipes" / "radar.yaml").read_text())
    recipe["base"]["data"] |= {"crop": 16, "horizon": 2, "split": {"name": "blocks", "test": 0.0}}
    recipe["base"]["model"]["hidden"] = [4, 4]
    recipe["base"]["training"] |= {"iterations": 2, "batch_size": 2, "validation_windows": 1}
    Path("recipes").mkdir()
    for path in ("recipes/radar.yaml", "radar"):  # a file at that path comes first
        Path(path).write_text(yaml.safe_dump(recipe))
    for code in re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL):
        if "runs/other" in code:
            framecast.train("recipes/radar.yaml#convlstm", data="archive/", out="runs/other")
        exec(code.replace("limit=200", "limit=1"), {"framecast": framecast})


def test_what_runs_elsewhere_is_tested_there() -> None:
    for test in ELSEWHERE.values():
        path, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / path).read_text()


CELLS = re.compile(r"```\{code-cell\}[^\n]*\n(.*?)```", re.DOTALL)
LESS = {"training.iterations=60": "training.iterations=2", "limit=6": "limit=1", "data.train=2000": "data.train=64"}
"""What makes a tutorial short."""


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(tutorial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells, in order; the site shows them as they ran in full length."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = tutorial.read_text()
    for long, short in LESS.items():
        text = text.replace(long, short)
    cells = CELLS.findall(text)
    assert cells
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in cells:
        exec(cell, names)

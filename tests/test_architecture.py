"""Properties of the tree that are easy to lose."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "framecast"
OPTION = re.compile(r"(?<![\w-])--[a-z]")


def test_nothing_is_unpickled() -> None:
    text = {path: path.read_text() for path in SOURCE.rglob("*.py")}
    for forbidden in ("import pickle", "allow_pickle=True", "weights_only=False", "torch.hub"):
        assert [path.name for path, code in text.items() if forbidden in code] == []
    for path, code in text.items():
        for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            if name == "torch.load":
                assert any(k.arg == "weights_only" for k in call.keywords), f"{path}: torch.load without weights_only"
            if name in ("np.load", "numpy.load"):
                assert any(k.arg == "allow_pickle" for k in call.keywords), f"{path}: np.load without allow_pickle"


def test_missing_pixels_are_filled_in_scaling_only() -> None:
    using = [path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if "nan_to_num" in path.read_text()]
    assert set(using) <= {"data/scaling.py"}


def test_files_stay_readable() -> None:
    long = {path.name: n for path in SOURCE.rglob("*.py") if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_the_root_holds_what_everything_shares_and_nothing_else() -> None:
    shared = {
        "__init__",
        "errors",
        "types",
        "checks",
        "progress",
        "curriculum",
        "losses",
        "colours",
    }
    assert {path.stem for path in SOURCE.glob("*.py")} == shared


def test_files_of_tests_have_names_of_their_own() -> None:
    """Folders of tests are no packages: two files of one name cannot be collected together."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_yaml_and_json_are_read_in_one_place() -> None:
    """`plain_data` refuses repeated keys, odd numbers and bombs; any other loader would not."""
    reading = [
        f"{path.relative_to(SOURCE)}: {word}"
        for path in SOURCE.rglob("*.py")
        if path.name != "plain_data.py"
        for word in ("import yaml", "json.load(", "json.loads(")
        if word in path.read_text()
    ]
    assert reading == []


def calls_outside(*functions: str, but: str = "") -> list[tuple[str, ast.Call]]:
    """The calls of `functions` in all files but those in the folder `but`."""
    found = []
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if not but or not name.startswith(but):
            calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
            found += [(name, call) for call in calls if ast.unparse(call.func) in functions]
    return found


def test_nothing_outside_models_asks_for_the_type_of_a_model() -> None:
    """It asks `models.parts.capabilities`, which others' models answer as well."""
    of_models = set()
    for path in (SOURCE / "models").rglob("*.py"):
        of_models |= {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)}
    asked = [
        f"{name}: {ast.unparse(call)}"
        for name, call in calls_outside("isinstance", "issubclass", but="models/")
        if of_models & {node.id for node in ast.walk(call.args[1]) if isinstance(node, ast.Name)}
        or of_models & {node.attr for node in ast.walk(call.args[1]) if isinstance(node, ast.Attribute)}
    ]
    assert asked == []


def test_contracts_are_not_looked_up_by_hasattr() -> None:
    assert {name for name, _ in calls_outside("hasattr")} == set()


def test_the_library_names_no_option_of_the_command_line() -> None:
    """It names parameters; the command line, which alone knows its options, spells them."""
    naming = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] != "cli"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and OPTION.search(node.value.replace("aws s3 sync --no", ""))
    ]
    assert naming == []


WRITING = {
    *(
        "write_text",
        "write_bytes",
        "to_netcdf",
        "to_zarr",
        "save_file",
        "tofile",
        "savez",
        "memmap",
        "open_memmap",
        "fsync",
    ),
    *("copytree", "copy", "copy2", "copyfile", "move", "link", "symlink", "mkstemp", "mkdtemp", "touch", "symlink_to"),
    *("TemporaryDirectory", "NamedTemporaryFile", "hardlink_to", "SummaryWriter"),
}
"""Names of functions that write files."""
EXCEPTIONS = {
    ("data/readers/compressed.py", "TemporaryDirectory"): "what is read, expanded, for as long as it is read",
    ("data/readers/compressed.py", "plain.open"): "into that",
    ("data/store/conversion.py", "shutil.copy2"): "into a temporary of `replacing`",
    ("data/store/conversion.py", "os.link"): "into a temporary of `replacing`",
    ("data/store/conversion.py", "_previous(out).rename"): "completes the swap of an earlier version",
    ("data/store/layout.py", "xr.Dataset(coords=coordinates, attrs={'Conventions': 'CF-1.10'}).to_zarr"): "as above",
    ("forecasting/products/archive.py", "dataset.to_zarr"): "into memory",
    ("forecasting/products/archive.py", "fitted.to_zarr"): "into memory",
    ("forecasting/film.py", "av.open"): "into memory",
    ("forecasting/write.py", "to_dataset(forecast).to_zarr"): "into memory",
    ("service/http/on_request.py", "tempfile.TemporaryDirectory"): "what is sent, for as long as it is forecast from",
    ("training/logs.py", "SummaryWriter"): "TensorBoard writes its files itself",
    ("verification/stored_parts.py", "np.savez"): "into memory",
    ("verification/evaluate.py", "verification.save"): "our own, which writes through `writing`",
    ("verification/verify_forecasts.py", "result.save"): "as above",
}
"""Calls outside `framecast.writing`, and why they may be."""


def writes(call: ast.Call, buffers: set[str]) -> bool:
    """Whether a call writes a file by itself: a writing function that is not ours, a file opened to be written, or moved. What is
    saved into one of the `buffers` in memory is written to no file."""
    function, arguments = call.func, [*call.args, *(keyword.value for keyword in call.keywords)]
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name == "open":
        modes = [node.value for argument in arguments for node in ast.walk(argument) if isinstance(node, ast.Constant)]
        return any(
            isinstance(mode, str) and re.fullmatch("[rwaxbt+]{1,3}", mode) and mode.strip("rbt") for mode in modes
        )
    if not isinstance(function, ast.Attribute):
        return name in WRITING - {"write_text", "write_bytes", "copy", "move", "link"}
    text = ast.unparse(function)
    if name in ("save", "savefig"):
        return bool(call.args) and not buffers & {getattr(argument, "id", "") for argument in call.args}
    if name in ("rename", "replace"):  # of a path: those of texts and arrays have other arguments
        path = (
            len(call.args) == 1 and not call.keywords and isinstance(call.args[0], ast.Name | ast.Attribute | ast.BinOp)
        )
        return text in ("os.rename", "os.replace") or (path and getattr(call.args[0], "id", "") not in ("name", "self"))
    if name in ("copy", "move", "link"):
        return text.startswith(("shutil.", "os."))
    return name in WRITING or text in ("os.open", "os.write")


def test_files_are_written_by_one_module_only() -> None:
    """So that all of them are written whole or not at all."""
    outside = set()
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith("writing/"):
            continue
        nodes = [*ast.walk(ast.parse(path.read_text()))]
        assigned = [node for node in nodes if isinstance(node, ast.Assign) and "io." in ast.unparse(node.value)]
        buffers = {ast.unparse(node.targets[0]) for node in assigned}
        calls = [node for node in nodes if isinstance(node, ast.Call) and writes(node, buffers)]
        outside |= {(name, ast.unparse(call.func)) for call in calls}
    assert outside == EXCEPTIONS.keys()


READING = {
    *("open", "io.open", "os.open", "gzip.open", "bz2.open", "lzma.open", "tarfile.open", "zipfile.ZipFile"),
    *("h5py.File", "h5netcdf.File", "netCDF4.Dataset", "Image.open", "av.open", "rasterio.open"),
    *(
        "np.load",
        "np.fromfile",
        "np.memmap",
        "np.loadtxt",
        "np.genfromtxt",
        "pd.read_csv",
        "torch.load",
        "load_file",
        "safe_open",
    ),
    *("xr.open_dataset", "xr.open_dataarray", "xr.open_mfdataset", "xr.open_zarr"),
    *("zarr.open", "zarr.open_group", "zarr.open_array"),
}
"""Functions that open files to be read."""
GATED = re.compile(r"\bcheck_file\(|\bio\.BytesIO\(|\bMemoryStore\(")
"""What is opened has gone through the gate, or lies in memory."""
RAW = {
    ("checkpoints/published/weights.py", "load_file"): "after `check_file`",
    ("checkpoints/published/weights.py", "torch.load"): "as above",
    ("coastlines/__init__.py", "np.load"): "of the package",
    ("config/recipes.py", "known[name].read_text"): "of the package",
    ("data/motion/kept.py", "np.load"): "written by `_write` beside it",
    ("data/store/conversion.py", "zarr.open_array"): "the store that is written",
    ("data/store/layout.py", "zarr.open_group"): "as above",
    ("data/store/manifest.py", "file.open"): "whose errors are those of the system; a file of the store",
    ("data/synthetic/moving_mnist.py", "gzip.open"): "after `check_file`",
    ("data/synthetic/moving_mnist.py", "path.open"): "as above",
    ("__init__.py", "Path(__file__).with_suffix('.pyi').read_text"): "of the package",
    ("cli/completion.py", "path.read_text"): "of the package",
    ("service/http/page.py", "path.read_bytes"): "of the package",
    ("service/settings.py", "EXAMPLE.read_text"): "of the package",
    ("training/latent_cache.py", "np.load"): "written by this run",
    ("training/resume_state.py", "torch.load"): "after its checksum was read through the gate",
    ("verification/case_file.py", "xr.open_dataset"): "after `check_file`",
}
"""Files that are opened outside `framecast.reading` and the readers, and why they may be."""


def reads(call: ast.Call) -> bool:
    """Whether a call opens a file to be read that has not gone through the gate in the same expression."""
    if not isinstance(call.func, ast.Attribute | ast.Name) or GATED.search(ast.unparse(call)):
        return False
    text = ast.unparse(call.func)
    if text in READING:
        return True
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr in ("read_text", "read_bytes"):
        return True
    modes = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
    named = {keyword.arg for keyword in call.keywords} & {"mode", "newline", "encoding", "buffering"}
    of_path = not call.args and text.removesuffix(".open").endswith(("path", "file", "catalogue"))
    read = any(isinstance(mode, str) and re.fullmatch("[rbt+]{1,3}", mode) for mode in modes)
    return call.func.attr == "open" and (read or bool(named) or of_path)


def test_files_are_read_through_the_gate_or_by_the_readers() -> None:
    """So that a pipe never blocks and a file is never larger than its kind may be; readers check what they recognise."""
    outside = set()
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith(("reading/", "writing/", "data/readers/")):
            calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
            outside |= {(name, ast.unparse(call.func)) for call in calls if reads(call) and not writes(call, set())}
    assert outside == RAW.keys()


@pytest.mark.parametrize(
    ("code", "raw"),
    [
        ("open(path, 'rb')", True),
        ("path.open('rb')", True),
        ("(folder / name).read_bytes()", True),
        ("h5py.File(path)", True),
        ("np.fromfile(path, np.uint8)", True),
        ("check_file(path).open('rb')", False),
        ("np.load(io.BytesIO(content))", False),
        ("read_bytes(path)", False),
        ("data.open()", False),
    ],
)
def test_a_raw_opening_is_recognised(code: str, raw: bool) -> None:
    assert reads(ast.parse(code, mode="eval").body) is raw  # type: ignore[arg-type]

"""Measures the structure of the source code: sizes of files and functions, imports between packages, and private words as names.

    python benchmarks/house.py [TREE] [--docs DOCS] [--before FILE]

With FILE, an earlier output, it prints a table of both. TREE is the folder of the package, `src/framecast` by default; another
version is measured by its folder. DOCS holds the pages `adding_*.md`, of which each says in a line "Files touched: N" what an
addition costs; `docs` beside TREE's `src` by default. Only the standard library is used, and nothing of TREE is imported.

An arrow is an import of one package by another (including imports inside functions, excluding those for type checking). An
arrow is upward if a package of a lower layer imports one of a higher layer; the layers are those of `pyproject.toml`.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PRIVATE = (
    *("said", "found", "there", "beside", "happened", "chance", "coins", "chief", "happenings", "pictures", "whole"),
    *("kept", "taken", "told", "made", "watched", "blameless", "several", "passes"),
)
"""Names that are not terms of the field."""
LONG = 40
"""Functions of more lines, of the whole or of the body, are long."""
WIDTH = 63
"""Of the names in the output."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A file of the tree: its name in the package ("data.frames"), its text and its syntax tree."""

    name: str
    path: Path
    text: str
    syntax: ast.Module

    @property
    def lines(self) -> int:
        """The number of lines, with empty ones."""
        return len(self.text.splitlines())

    @property
    def package(self) -> str:
        """The first part of the name: the package or module at the root."""
        return self.name.partition(".")[0]

    def functions(self) -> Iterator[Function]:
        """All functions and methods, with nested ones."""
        return (node for node in ast.walk(self.syntax) if isinstance(node, Function))


def modules(tree: Path) -> list[Module]:
    """Every module of a package."""
    result = []
    for path in sorted(tree.rglob("*.py")):
        parts = list(path.relative_to(tree).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        text = path.read_text()
        result.append(Module(name, path, text, ast.parse(text)))
    return result


def body_lines(function: Function) -> int:
    """The lines of a body without its docstring."""
    first = function.body[1] if ast.get_docstring(function) is not None and len(function.body) > 1 else function.body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def all_lines(function: Function) -> int:
    """The lines of a function, with signature and docstring."""
    return (function.end_lineno or 0) - function.lineno + 1


def arguments(function: Function) -> list[ast.arg]:
    """The arguments without self and cls."""
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [each for each in every if each.arg not in ("self", "cls")]


def share_typed(functions: list[Function]) -> float:
    """The fraction of arguments and returns with a type."""
    stated = [each.annotation is not None for function in functions for each in arguments(function)]
    stated += [function.returns is not None for function in functions]
    return sum(stated) / max(len(stated), 1)


def comment_lines(text: str) -> int:
    """The number of comments, without directives to tools."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return sum(not re.match(r"#\s*(type:|noqa|fmt:|mypy:|!)", each) for each in comments)


def code_lines(text: str) -> int:
    """The number of lines that are neither empty nor only a comment."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


def arrows(tree: Path, every: list[Module]) -> Counter[tuple[str, str]]:
    """The number of import statements of each pair of packages (importing, imported)."""
    package, known = tree.name, {module.package for module in every}
    result: Counter[tuple[str, str]] = Counter()
    for module in every:
        for node in _run(module.syntax):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                inside = node.module == package
                names = [f"{package}.{alias.name}" for alias in node.names] if inside else [node.module]
            for name in names:
                top, _, rest = name.partition(".")
                target = rest.partition(".")[0]
                if top == package and target in known and target != module.package:
                    result[module.package, target] += 1
    return result


def room_arrows(tree: Path, every: list[Module]) -> int:
    """The number of different arrows between folders of any depth; a module at the root counts as a folder."""
    names = {module.name for module in every}
    folders = {module.name for module in every if module.path.stem == "__init__"}

    def room(name: str) -> str:
        parts = name.split(".")
        while parts and ".".join(parts) not in names:
            parts.pop()
        name = ".".join(parts)
        return name if name in folders or "." not in name else name.rpartition(".")[0]

    pairs = set()
    for module in every:
        for node in _run(module.syntax):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith(f"{tree.name}."):
                source, target = room(module.name), room((node.module or "").partition(".")[2])
                if target and source != target:
                    pairs.add((source, target))
    return len(pairs)


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a syntax tree, without those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _run(child)


def layers(tree: Path) -> dict[str, int]:
    """The height of each package, 0 for the lowest layer of `pyproject.toml`; empty without such a file."""
    for folder in (tree.parent.parent, tree.parent):
        if (file := folder / "pyproject.toml").is_file():
            contracts = tomllib.loads(file.read_text())["tool"]["importlinter"]["contracts"]
            (order,) = (each["layers"] for each in contracts if each.get("containers") == [tree.name])
            return {
                name.strip(" ()"): height
                for height, layer in enumerate(reversed(order))
                for name in re.split(r"[|:]", layer)
            }
    return {}


def private_names(every: list[Module]) -> Counter[str]:
    """Count the private words that are names of functions, arguments and variables."""
    result: Counter[str] = Counter()
    for module in every:
        for node in ast.walk(module.syntax):
            name = None
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            elif isinstance(node, ast.arg):
                name = node.arg
            elif isinstance(node, Function):
                name = node.name
            if name and name.strip("_") in PRIVATE:
                result[name.strip("_")] += 1
    return result


def occurrences(every: list[Module], word: str) -> tuple[int, int]:
    """The number of lines and files in which a word is an argument, a keyword, a variable or an attribute."""
    lines = {
        (module.name, getattr(node, "lineno", 0))
        for module in every
        for node in ast.walk(module.syntax)
        if (isinstance(node, ast.arg | ast.keyword) and node.arg == word)
        or (isinstance(node, ast.Name) and node.id == word)
        or (isinstance(node, ast.Attribute) and node.attr == word)
    }
    return len(lines), len({name for name, _ in lines})


def percentile(values: list[int], share: float) -> int:
    """The value that a fraction `share` of all values do not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def measures(tree: Path) -> Iterator[tuple[str, str]]:
    """The measures of a tree: names and values."""
    every = modules(tree)
    functions = [(module, function) for module in every for function in module.functions()]
    bodies = [body_lines(function) for _, function in functions]
    lengths = [all_lines(function) for _, function in functions]
    sizes = [module.lines for module in every]
    largest = max(every, key=lambda module: module.lines)
    where, longest = max(functions, key=lambda pair: all_lines(pair[1]))
    most, widest = max(functions, key=lambda pair: len(arguments(pair[1])))
    classes = [(node, module) for module in every for node in ast.walk(module.syntax) if isinstance(node, ast.ClassDef)]
    (biggest, home) = max(classes, key=lambda pair: (pair[0].end_lineno or 0) - pair[0].lineno)
    loose = [module.name for module in every if module.path.parent == tree]
    heights, between = layers(tree), arrows(tree, every)
    inside = {pair: count for pair, count in between.items() if "__init__" not in pair}
    comments, code = sum(comment_lines(each.text) for each in every), sum(code_lines(each.text) for each in every)
    words = private_names(every)

    yield "files", str(len(every))
    yield "lines", f"{sum(sizes):,}"
    yield (
        "lines a file: median, 90 %, most",
        (f"{median(sizes):.0f}, {percentile(sizes, 0.9)}, {largest.lines} ({largest.name})"),
    )
    yield "functions", str(len(functions))
    largest_function = f"{max(lengths)} ({where.name}.{longest.name})"
    yield (
        "lines of a function: median, 95 %, most",
        f"{median(lengths):.0f}, {percentile(lengths, 0.95)}, {largest_function}",
    )
    long = sum(each > LONG for each in lengths), sum(each > LONG for each in bodies)
    yield f"functions of more than {LONG} lines, and bodies", "{}, {}".format(*long)
    yield "largest class, lines", f"{(biggest.end_lineno or 0) - biggest.lineno + 1} ({home.name}.{biggest.name})"
    yield "most arguments", f"{len(arguments(widest))} ({most.name}.{widest.name})"
    yield "arguments and returns with a type", f"{share_typed([function for _, function in functions]):.1%}"
    yield "comments, of lines of code", f"{comments} ({comments / code:.1%})"
    yield "loose modules at the root", str(len(loose))
    yield (
        "packages at the root, and in all",
        (f"{len({path.parent for path in tree.glob('*/__init__.py')})}, {len(list(tree.rglob('*/__init__.py')))}"),
    )
    yield "arrows between packages and loose modules of the root", str(len(inside))
    yield "arrows between folders of any depth", str(room_arrows(tree, every))
    if heights:
        upward = [f"{a} -> {b}" for a, b in inside if a in heights and b in heights and heights[b] >= heights[a]]
        yield "arrows upward or between siblings", f"{len(upward)} {', '.join(upward)}".strip()
    for word in ("convention", "zr", "dry", "by_name"):
        yield f"`{word}` as a name: lines, files", "{}, {}".format(*occurrences(every, word))
    yield "private words as names", f"{sum(words.values())}: " + ", ".join(f"{w} {n}" for w, n in words.most_common())


def additions(docs: Path) -> Iterator[tuple[str, str]]:
    """The number of files that an addition touches, as stated in the pages `adding_*.md`."""
    for page in sorted(docs.glob("adding_*.md")):
        stated = re.search(r"Files touched:\s*(.+?)\.?\s*$", page.read_text(), re.MULTILINE)
        yield page.stem.replace("_", " ").replace("adding", "files for"), stated[1] if stated else "not stated"


def compared(before: Path, now: dict[str, str]) -> Iterator[str]:
    """The rows of a table in Markdown: what an earlier output has, and what is measured now."""
    lines = before.read_text().splitlines()
    earlier = {line[:WIDTH].strip(): line[WIDTH:].strip() for line in lines}
    yield "| measure | before | after |"
    yield "| --- | --- | --- |"
    for name, value in now.items():
        yield f"| {name} | {earlier.get(name, '').partition(':')[0]} | {value.partition(':')[0]} |"


def main() -> None:
    """Print the measures of a tree."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("tree", type=Path, nargs="?", default=ROOT / "src" / "framecast")
    options.add_argument("--docs", type=Path)
    options.add_argument("--before", type=Path)
    given = options.parse_args()
    tree = given.tree.resolve()
    docs = given.docs or tree.parent.parent / "docs"
    measured = dict(measures(tree))
    if given.before:
        print("\n".join(compared(given.before, measured)))
        return
    for name, value in (measured | dict(additions(docs))).items():
        print(f"{name:<{WIDTH}}{value}")


if __name__ == "__main__":
    main()

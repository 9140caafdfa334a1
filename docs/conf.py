"""The site: `make docs` builds it without a network into docs/_build/html. Pages are Markdown, tutorials are executed."""

import os
import re
from typing import Any

import framecast

project = "framecast"
author = "the framecast developers"
release = version = framecast.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "framecast"
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_dark_style = "github-dark"

# Every reference and every anchor must lead somewhere: `sphinx-build -W` ends at the first that does not.
nitpicky = False  # types in signatures may belong to libraries that are not documented here
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

# Tutorials run when the site is built, and a failing cell ends the build. The cache knows which have not changed.
nb_execution_mode = os.environ.get("FRAMECAST_DOCS_EXECUTE", "cache")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_mime_priority_overrides = [("*", "image/png", 5), ("*", "text/html", 10)]

# Docstrings are plain text with `code` in single quotes of their own.
default_role = "literal"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
python_maximum_signature_line_length = 100
suppress_warnings = ["myst.header", "myst-nb.lexer"]  # headings of the second level first; cells that were not run


def _list_keywords(_app: Any, _kind: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Show the keywords that a docstring lists, indented as `name: text`, as a list."""
    lines[:] = [re.sub(r"^ {4}(\w+): ", r":\1: ", line) for line in lines]


def _shorten_types(
    _app: Any, _kind: str, _name: str, _of: object, _options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None] | None:
    """Leave out the help texts of options, which the docstring has."""
    if signature is None:
        return None
    return re.sub(r"""Annotated\[(.+?), (?:'[^']*'|"[^"]*")\]""", r"\1", signature), returned


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _list_keywords)
    app.connect("autodoc-process-signature", _shorten_types)

"""The tests of the server need the extra `serve`; those of the page a browser as well."""

from importlib.util import find_spec

collect_ignore_glob = []
if any(find_spec(module) is None for module in ("fastapi", "uvicorn", "prometheus_client", "httpx")):
    collect_ignore_glob += ["test_serve_*.py"]
if find_spec("playwright") is None:
    collect_ignore_glob += ["test_serve_page.py"]

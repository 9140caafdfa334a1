"""The report: from sums to figures to one HTML page that needs no network.

Raises `ConfigError` on import where what it draws with is not installed (`pip install "framecast[report]"`).
"""

from framecast.checks import require

require("matplotlib", "jinja2", "psutil", extra="report", purpose="a report")

from framecast.report.page import write_report  # noqa: E402

__all__ = ["write_report"]

"""Reports: figures and HTML pages of verifications, comparisons and inspections. Pages need no network.

Reads results and writes pages; computes no score. Importing it raises `ConfigError` if the packages that it draws with are not
installed (`pip install "framecast[report]"`).
"""

from framecast.checks import require

require("matplotlib", "jinja2", "psutil", extra="report", purpose="a report")

from framecast.report.page import write_report  # noqa: E402

__all__ = ["write_report"]

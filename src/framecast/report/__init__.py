"""The report: from sums to figures to one HTML page that needs no network."""

from framecast.report.page import write_report

__all__ = ["write_report"]

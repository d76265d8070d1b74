"""Pictures and a page of a finished run."""

from irrepnet.report.page import write_report

__all__ = ["write_report"]

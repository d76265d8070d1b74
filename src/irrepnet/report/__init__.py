"""Pages: of a finished run, with its pictures; of a crystal, with all that is said of it."""

from irrepnet.report.crystal import crystal_page, describe, write_crystal_page
from irrepnet.report.page import write_report

__all__ = ["crystal_page", "describe", "write_crystal_page", "write_report"]

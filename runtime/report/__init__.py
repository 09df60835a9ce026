"""The report of a drive: its event log read back, counted, and shown on one page."""

from __future__ import annotations

from .drive import Drive, Run, read_drive
from .page import render_report
from .statistics import drive_statistics

__all__ = ["Drive", "Run", "drive_statistics", "read_drive", "render_report"]

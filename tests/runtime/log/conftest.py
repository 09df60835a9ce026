"""A log at a path, and a disk that does what a test wants."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from outrider.runtime.log import file as log_file
from outrider.runtime.log import writer as log_writer
from outrider.runtime.log.log import EventLog

from .logs import SYNC, WRITE


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine the writer may take longer than a user waits."""
    monkeypatch.setattr(EventLog.flush, "__defaults__", (60.0,))
    monkeypatch.setattr(EventLog.close, "__defaults__", (60.0,))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def disk(monkeypatch):
    """What `os.write` of a log does: swap `disk.write` and `disk.sync`."""

    functions = SimpleNamespace(write=WRITE, sync=SYNC)

    def write(file, data):
        return functions.write(file, data)

    def sync(file):
        return functions.sync(file)

    monkeypatch.setattr(log_file.os, "write", write)
    monkeypatch.setattr(log_file.os, "fsync", sync)
    monkeypatch.setattr(log_writer, "_RETRY_SECONDS", (0.005, 0.02))
    return functions

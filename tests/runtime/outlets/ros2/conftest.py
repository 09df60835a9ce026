"""DDS on loopback alone."""

from __future__ import annotations

import pytest

from .loops import LOOPBACK


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK)
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)

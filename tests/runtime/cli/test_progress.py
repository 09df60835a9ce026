"""Ctrl-C under a progress bar."""

from __future__ import annotations

import signal

import pytest

from outrider.runtime.inputs import samples as sources

from .outcomes import profile_of


def test_a_second_ctrl_c_stops_at_once(outrider, model, monkeypatch, tmp_path):
    def interrupted_twice(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")

    monkeypatch.setattr(sources.Source, "batches", interrupted_twice)
    assert outrider(*profile_of(model, "new.outrider")).code == 130
    assert not (tmp_path / "new.outrider").exists()

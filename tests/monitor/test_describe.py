from __future__ import annotations

import hashlib

import pytest

from outrider.monitor import (
    describe_profile,
)


@pytest.fixture
def path(tmp_path, monitor):
    monitor.save(tmp_path / "m.outrider")
    return tmp_path / "m.outrider"


def test_a_profile_is_described_without_its_network(path, monitor):
    facts = describe_profile(path)
    assert facts.items() >= monitor.describe().items()
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.read_bytes().count(facts["digest"].encode()) == 1

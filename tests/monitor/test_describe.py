from __future__ import annotations

import pytest

from outrider.monitor import (
    describe_profile,
)


@pytest.fixture
def path(tmp_path, monitor):
    monitor.save(tmp_path / "m.outrider")
    return tmp_path / "m.outrider"


def test_a_profile_is_described_without_its_network(path, monitor):
    assert describe_profile(path) == monitor.describe()

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, NotReadyError
from outrider.monitor.thresholds.stored import StoredProfile

from ..conftest import batches, frames


def test_a_threshold_is_changed_without_the_network(monitor, network, tmp_path):
    monitor.save(tmp_path / "m.outrider")
    stored = StoredProfile(tmp_path / "m.outrider")
    assert stored.threshold == monitor.threshold
    stored.set_threshold(7.5, "by hand")
    stored.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", network)
    assert again.threshold == 7.5
    assert again.learned.history[-1].reason == "by hand"
    assert again.describe() == stored.describe()
    new = frames(100, seed=5)
    np.testing.assert_array_equal(again.scores(new), monitor.scores(new))


def test_a_profile_without_a_threshold_has_none_to_change(network, tmp_path):
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(100)))
    monitor.save(tmp_path / "m.outrider")
    with pytest.raises(NotReadyError, match=r"expected a calibrated profile, got one without a threshold; `outrider"):
        StoredProfile(tmp_path / "m.outrider")

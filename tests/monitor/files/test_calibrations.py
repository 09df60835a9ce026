"""A calibration in a file, as its own part of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from outrider.monitor.data.groups import groups_of
from outrider.monitor.files.calibrations import ReadArrays, packed_calibration, unpacked_calibration


def test_what_is_packed_comes_back(monitor):
    facts, arrays = packed_calibration(monitor.calibration)
    groups, read = groups_of(monitor.learned.columns), ReadArrays(arrays)
    found = unpacked_calibration(json.loads(json.dumps(facts)), read, 3, groups, monitor.logic, len(groups.of))
    assert str(found) == str(monitor.calibration)
    for name in ("thresholds", "own", "limits", "scores", "predictions"):
        np.testing.assert_array_equal(getattr(found, name), getattr(monitor.calibration, name))
    assert found.scales.keys() == monitor.calibration.scales.keys()
    assert read.read == set(arrays)  # and no array is left unread
    assert unpacked_calibration(None, ReadArrays({}), 3, groups, monitor.logic, len(groups.of)) is None
    del arrays["calibration.thresholds"]
    with pytest.raises(KeyError, match=r"calibration\.thresholds"):
        unpacked_calibration(facts, ReadArrays(arrays), 3, groups, monitor.logic, len(groups.of))

"""The verdict on one detection."""

from __future__ import annotations

import math

import pytest

from outrider.monitor.boxes import BoxVerdict


@pytest.mark.parametrize(
    ("deviation", "threshold", "alarm"),
    [(1.0, 1.0, False), (math.nextafter(1, 2), 1.0, True), (math.inf, 0.0, True), (math.nan, 1.0, True)],
)
def test_what_deviates_more_than_its_class_may_alarms(deviation, threshold, alarm):
    assert BoxVerdict((0, 0, 1, 1), 3, 0.9, deviation, threshold).alarm is alarm

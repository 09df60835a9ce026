"""A verdict in words."""

from __future__ import annotations

import numpy as np

from outrider.monitor import Status, Verdict
from outrider.runtime.outlets.words import reason_of


def test_the_kind_stands_before_the_reason():
    verdict = Verdict(Status.ALARM, 3.0, 1.0, 0.1, 0, np.zeros(1, np.float32), ("relu",), "too high", None, "sensor")
    assert reason_of(verdict) == "sensor: too high"
    assert reason_of(verdict._replace(kind="")) == "too high"

"""The fallback policies."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Status, Verdict
from outrider.runtime.loop.fallback import hand_over, hold_last_safe, scale_down, stop

VERDICT = Verdict(Status.ALARM, 2.0, 1.0, 0.25, 0, np.float32([2.0]))
OUTPUT, SAFE = np.float32([0.5, -1.0]), np.float32([0.1, 0.2])


def test_the_last_safe_output_is_held():
    assert hold_last_safe(OUTPUT, VERDICT, SAFE) is SAFE
    assert hold_last_safe(OUTPUT, VERDICT, None) is None


def test_stop_commands_nothing_in_the_form_of_the_output():
    assert stop(OUTPUT, VERDICT, None).tolist() == [0, 0]
    assert stop(None, VERDICT, SAFE).tolist() == [0, 0]
    first, second = stop((OUTPUT, np.int64([3])), VERDICT, None)
    assert (first.tolist(), second.tolist(), second.dtype) == ([0, 0], [0], np.int64)
    assert stop(None, VERDICT, None) is None


def test_the_output_is_scaled_down():
    half = scale_down(0.5)
    assert half(OUTPUT, VERDICT, SAFE).tolist() == [0.25, -0.5]
    assert half(OUTPUT, VERDICT, SAFE).dtype == np.float32
    assert half(None, VERDICT, SAFE).tolist() == pytest.approx([0.05, 0.1])
    assert half(None, VERDICT, None) is None
    with pytest.raises(ValueError, match="expected a factor of at least 0 and below 1, got 1"):
        scale_down(1)


def test_another_controller_takes_over():
    handed = hand_over(lambda output, verdict: (output, verdict.status))
    assert handed(OUTPUT, VERDICT, SAFE) == (OUTPUT, Status.ALARM)

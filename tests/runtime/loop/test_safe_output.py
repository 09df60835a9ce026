"""The output that a fallback may hold on to is a copy that nobody else changes."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Status, Verdict
from outrider.runtime import hold_last_safe
from outrider.runtime.loop.safe_output import SafeOutput

VERDICT = Verdict(Status.ALARM, 2.0, 1.0, 0.25, 0, np.float32([2.0]))


def test_without_a_fallback_the_output_passes():
    output = np.ones(2)
    assert SafeOutput(None).apply(output, VERDICT) == (output, None)
    with pytest.raises(TypeError, match="expected a fallback that can be called, such as `stop`, got 'stop'"):
        SafeOutput("stop")


@pytest.mark.parametrize("make", [lambda: np.ones(2), lambda: (np.ones(2), np.zeros(3)), lambda: {"steer": [1.0]}])
def test_what_is_kept_is_a_copy_and_so_is_what_is_handed_on(make):
    safe, output = SafeOutput(hold_last_safe), make()
    assert safe.keep(output) is None

    def spoil(value):
        first = value["steer"] if isinstance(value, dict) else value[0] if isinstance(value, tuple) else value
        first[0] = 9.0

    spoil(output)
    held, error = safe.apply(None, VERDICT)
    assert error is None
    np.testing.assert_equal(held, make())
    spoil(held)
    np.testing.assert_equal(safe.apply(None, VERDICT)[0], make())


def test_room_is_used_again_by_outputs_of_one_form_only():
    safe = SafeOutput(hold_last_safe)
    safe.keep(np.ones(2))
    room = safe.last
    safe.keep(np.zeros(2))
    assert safe.last is room
    assert room.tolist() == [0, 0]
    for other in (np.zeros(3), np.zeros(2, np.float32), (np.zeros(2),)):
        safe.keep(other)
        assert safe.last is not room
        np.testing.assert_equal(safe.last, other)


def test_a_fallback_that_raises_gives_the_last_safe_output_and_says_why():
    def broken(output, verdict, last_safe):
        raise KeyError("no plan")

    safe = SafeOutput(broken)
    safe.keep(np.ones(2))
    held, error = safe.apply(np.zeros(2), VERDICT)
    assert held.tolist() == [1, 1]
    assert isinstance(error, KeyError)


def test_of_an_output_that_cannot_be_copied_for_want_of_memory_nothing_is_kept(monkeypatch):
    safe = SafeOutput(hold_last_safe)
    safe.keep(np.ones(2))
    monkeypatch.setattr(np, "copyto", lambda *_: (_ for _ in ()).throw(MemoryError("full")))
    assert isinstance(safe.keep(np.ones(2)), MemoryError)
    assert safe.last is None

"""Verdicts whatever breaks, and who is refused."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Status, Verdict
from outrider.runtime.generate import Refusals
from outrider.runtime.generate.judging import fault, raised, sentences, text_of, verdicts_or_faults


def verdict(status):
    return Verdict(status, 1.0, 1.0, 0.5, -1, np.zeros(1, np.float32))


def test_verdicts_of_the_guard_are_handed_on():
    found = [verdict(Status.OK), verdict(Status.ALARM)]
    assert verdicts_or_faults(lambda: found, 2) == found


@pytest.mark.parametrize("judge", [lambda: [verdict(Status.OK)], lambda: None, lambda: [True, True], lambda: 1 / 0])
def test_anything_else_is_a_fault_for_every_prompt(judge):
    found = verdicts_or_faults(judge, 2)
    assert [one.status for one in found] == [Status.FAULT] * 2
    assert all(one.alarm and one.confidence == 0 and one.reason for one in found)


def test_an_interrupt_is_no_fault():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdicts_or_faults(interrupted, 1)


def test_an_error_without_a_message_is_named_by_its_kind():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert raised(Mute()) == "Mute, whose message cannot be read"
    assert len(raised(ValueError("x" * 5000))) < 400


@pytest.mark.parametrize(
    ("on_fault", "refused"),
    [("refuse", [False, False, True, True, True]), ("answer", [False, False, True, False, False])],
)
def test_who_is_refused(on_fault, refused):
    found = sentences([verdict(status) for status in Status], [""] * 5, Refusals(), on_fault)
    assert [sentence is not None for sentence in found] == refused
    assert fault("why").reason == "why"


def test_the_text_of_a_prompt_in_each_of_its_forms():
    class Pictured:
        text, images = "rain", (np.zeros((2, 2, 3), np.uint8),)

    assert [text_of(thing) for thing in ("rain", {"prompt": "rain"}, Pictured(), {}, 7, None)] == ["rain"] * 3 + [
        ""
    ] * 3

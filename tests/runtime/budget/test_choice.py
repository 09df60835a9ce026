"""A choice in words and in JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from outrider.runtime import TapChoice

CHOICE = TapChoice(
    ("r1:channel", "r2:sample7"), 1.05, 1.0432, (1.0399, 1.0461), 0.9311, 0.95,
    {"black": (1.0, 1.0), "dead-rows": (0.8622, 0.9)}, "A processor, AVX2", 7, (200, 201, 1999),
)  # fmt: skip


def test_in_words():
    assert str(CHOICE).splitlines() == [
        "taps r1:channel,r2:sample7",
        "2 of 7 candidates; 200 frames learned, 201 chose and 1,999 report",
        "time 1.043 of the bare inference (95 % interval 1.040 to 1.046), 1.05 allowed, on A processor, AVX2",
        "AUROC      choice  all candidates",
        "mean        0.931           0.950",
        "black       1.000           1.000",
        "dead-rows   0.862           0.900",
    ]
    noted = replace(CHOICE, by_fault={"noise": (0.9, 0.9), "zeros": (0.9, 0.9)}, one_class=True)
    assert str(noted).splitlines()[-2:] == [
        "the frames are no pictures: noise and blocks of zeros stand for the faults of a sensor",
        "all frames count as one class here: the sample shows too few of each",
    ]


def test_in_json():
    facts = json.loads(json.dumps(CHOICE.to_dict()))
    assert facts["taps"] == ["r1:channel", "r2:sample7"]
    assert (facts["ratio"], facts["interval"]) == (1.0432, [1.0399, 1.0461])
    assert facts["by_fault"]["dead-rows"] == [0.8622, 0.9]
    assert (facts["frames"], facts["one_class"]) == ([200, 201, 1999], False)

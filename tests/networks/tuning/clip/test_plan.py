from __future__ import annotations

import math

import pytest

from outrider.networks.tuning.clip.plan import ClipPlan


def test_the_default_is_safer_clip():
    assert ClipPlan() == ClipPlan("safer-clip", "nearest", None, 1.0, 1.0, "pair", 16)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "clip"}, "expected a method among safer-clip, safe-clip, got 'clip'"),
        ({"target": "far"}, "expected a target among nearest, partner, fixed, got 'far'"),
        ({"curriculum": "hard"}, "expected a curriculum among pair, target, none, got 'hard'"),
        ({"redirect": -0.1}, "expected a weight redirect of at least 0, got -0.1"),
        ({"preserve": math.nan}, "expected a weight preserve of at least 0, got nan"),
        ({"preserve": math.inf}, "expected a weight preserve of at least 0, got inf"),
        ({"redirect": 0, "preserve": 0}, "expected one of the weights redirect and preserve above 0, got 0 for both"),
        ({"rank": 0}, "expected a rank of at least 1, got 0"),
        ({"target": "fixed"}, "expected a caption with the target 'fixed' and with no other, got None"),
        ({"caption": "a"}, "expected a caption with the target 'fixed' and with no other, got 'a'"),
        (
            {"method": "safe-clip", "target": "partner"},
            "expected the target 'partner' and the curriculum 'none' with safe-clip, got 'partner' and 'pair'",
        ),
    ],
)
def test_other_values_are_refused(given, said):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        ClipPlan(**given)
    assert str(error.value) == said


def test_weights_on_their_bounds_are_taken():
    assert ClipPlan(redirect=0).preserve == 1
    assert ClipPlan(preserve=0).redirect == 1
    assert ClipPlan("safe-clip", "partner", curriculum="none").rank == 16

"""What selectors mean of an offer."""

from __future__ import annotations

import pytest

from outrider.networks.offers import Offer
from outrider.networks.onnx.reading.moves import MovedTap
from outrider.networks.tap import Candidate


def test_taps_are_asked_for_by_name_and_taken_where_they_stand():
    candidates = [
        Candidate(name, kind, (3,), "NC", "float32") for name, kind in (("a", "conv"), ("b", "relu"), ("c", "relu"))
    ]
    offer = Offer("onnx", (4,), tuple(candidates), {"a": MovedTap("a", "b", "the two are fused")})
    assert offer.asked(("a", "auto")) == ("a", "b", "c")
    assert offer.taken(("a", "auto")) == ("b", "c")
    with pytest.raises(ValueError, match=r"got 'd'"):
        offer.taken("d")

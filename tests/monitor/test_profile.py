from __future__ import annotations

import pytest

from outrider.coverage import SingleRange
from outrider.monitor import (
    Monitor,
)

from .conftest import batches, frames


def test_a_profile_reads_like_the_summary_of_the_command(network):
    profile = Monitor(network, SingleRange()).profile(batches(frames(200)))
    counts = profile.trusted.per_class
    lines = str(profile).splitlines()
    assert lines[0].startswith(f"network: {network.engine}, input ")
    assert lines[1:3] == [
        "trusted: 200 of 200 frames (no labels: all)",
        f"per class: {counts.min()} to {counts.max()} frames",
    ]
    assert [line.split(":")[0] for line in lines[3:]] == [name.split(":")[0] for name in profile.names]
    assert repr(profile) == "Profile(1 column, 200 of 200 frames trusted)"


def test_the_old_names_of_facts_and_accepted_frames_warn(network):
    profile = Monitor(network, SingleRange()).profile(batches(frames(50)), minimum_per_class=0)
    with pytest.warns(DeprecationWarning, match=r"Profile\.network is now facts"):
        assert profile.network is profile.facts
    with pytest.warns(DeprecationWarning, match=r"TrustedSet\.trusted is now accepted"):
        assert profile.trusted.trusted == profile.trusted.accepted == 50

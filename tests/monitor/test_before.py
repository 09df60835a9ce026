"""Files of the first version, kept in tests/data/before, load and give the verdicts of then to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Monitor, OutriderWarning

pytest.importorskip("onnxruntime")

from ..recorded import BEFORE, FRAMES, TAPS, Recorded


@pytest.mark.parametrize("name", TAPS)
def test_a_profile_of_before_gives_the_verdicts_of_before(name):
    with pytest.warns(OutriderWarning, match="written by an older Outrider"):
        monitor = Monitor.load(BEFORE / f"{name}.outrider", Recorded(name))
    with np.load(BEFORE / f"{name}.npz") as expected:
        for size in (len(FRAMES), 7, 1):
            found = [monitor.check(FRAMES[i : i + size])[1] for i in range(0, len(FRAMES), size)]
            for fact in ("status", "score", "threshold", "confidence", "prediction", "deviation"):
                np.testing.assert_array_equal(np.concatenate([getattr(v, fact) for v in found]), expected[fact], fact)
            verdicts = [verdict for some in found for verdict in some]
            assert [";".join(verdict.layers) for verdict in verdicts] == expected["layers"].tolist()
            assert [verdict.reason for verdict in verdicts] == expected["reason"].tolist()
        judge = monitor.bind()
        frames = [judge(frame)[1] for frame in FRAMES]
        assert [(v.status, v.score, v.reason) for v in frames] == [(v.status, v.score, v.reason) for v in verdicts]


def test_a_profile_of_before_finds_its_network_by_path():
    with pytest.warns(OutriderWarning, match="written by an older Outrider"):
        monitor = Monitor.load(BEFORE / "defaults.outrider", BEFORE / "network.onnx")
    with np.load(BEFORE / "defaults.npz") as expected:
        np.testing.assert_array_equal(monitor.check(FRAMES)[1].status, expected["status"])
    assert monitor.learned.trusted.accepted == 600

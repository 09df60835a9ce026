from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("torch")

from benchmarks.heads.exported import row
from benchmarks.heads.tables import exported
from benchmarks.tables import markdown


def test_a_shift_beyond_the_threshold_disarms_it_and_its_own_threshold_mends_that():
    own = {
        "threshold": np.linspace(-1, 0, 100),
        "test_safe": np.linspace(-1, 0, 40) - 0.5,
        "test_unsafe": np.linspace(1, 2, 40),
    }
    moved = {name: values - 3 for name, values in own.items()}
    found = row(moved, before=0.0, own=own)
    assert (found["shift_safe"], found["shift_unsafe"], found["largest"]) == pytest.approx((-3, -3, 3))
    assert (found["caught_before"], found["flagged_before"], found["auroc"]) == (0, 0, 1)
    assert (found["caught_after"], found["flagged_after"]) == (1, 0)
    table = markdown(exported({"model": "a model", "rows": {"ONNX, int4": found}}))
    assert "| ONNX, int4 | -3.000 | -3.000 | 3.0e+00 | 1.000 | 0 / 0 | 100 / 0 |" in table

"""The linear read-out: what fits together, what it scores, and what is taken from a guard."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import ExportError
from outrider.runtime.in_graph.heads.read_out import LinearReadOut, read_out_of


def test_the_score_is_the_weighted_sum_of_the_chosen_heads():
    heads = np.arange(24, dtype=np.float32).reshape(1, 3, 2, 4)
    read_out = LinearReadOut([(2, 1), (0, 0)], [[1, 0, 0, 0], [0, 0, 0, 2]], 0.5, 9, 3, 2)
    assert read_out.scores(heads).tolist() == [20 + 2 * 3 + 0.5]
    assert (read_out.head_dim, read_out.width, read_out.weights.dtype) == (4, 8, np.float32)
    assert read_out_of(read_out) is read_out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones((2, 4))}, "expected a row of weights for each of 1 heads, got"),
        ({"weights": np.ones(4)}, "expected a row of weights for each of 1 heads, got"),
        ({"chosen": [], "weights": np.ones((0, 4))}, "expected a row of weights for each of 0 heads"),
        ({"chosen": [(0, 1), (0, 1)], "weights": np.ones((2, 4))}, "expected each head once"),
        ({"chosen": [(3, 0)]}, r"expected heads of 3 layers with 2 heads, got \(3, 0\)"),
        ({"chosen": [(0, -1)]}, r"expected heads of 3 layers with 2 heads, got \(0, -1\)"),
        ({"bias": np.nan}, "expected weights, bias and threshold that are finite"),
        ({"threshold": np.inf}, "expected weights, bias and threshold that are finite"),
    ],
)
def test_numbers_that_do_not_fit_together(change, message):
    given = {"chosen": [(0, 0)], "weights": np.ones((1, 4)), "bias": 0.0, "threshold": 1.0, "layers": 3, "heads": 2}
    with pytest.raises(ExportError, match=message):
        LinearReadOut(**{**given, **change})

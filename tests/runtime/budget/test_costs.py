"""What taps make a machine do, worked out by hand, and prices that are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, RelativeMahalanobis, SingleRange
from outrider.networks import Tap
from outrider.runtime.budget.costs import FEATURES, TapCosts, bytes_read, features_of, features_of_all


@pytest.mark.parametrize(
    ("shape", "layout", "dtype", "neurons", "rows", "expected"),
    [
        ((24, 56, 56), "NCHW", "float32", "channel", 1, 24 * 56 * 56 * 4),
        ((24, 56, 56), "NCHW", "float32", "channel-max", 1, 24 * 56 * 56 * 4),
        ((24, 56, 56), "NCHW", "float32", "sample7", 1, 49 * 2 * 64),  # 96 bytes of a place are two lines
        ((16, 56, 56), "NCHW", "float32", "sample7", 1, 49 * 64),  # exactly one line
        ((7, 7, 10), "NHWC", "uint8", "sample4", 1, 16 * 64),  # every second of seven places
        ((24, 5, 5), "NCHW", "float16", "sample4", 3, 3 * 9 * 64),  # three places along an axis of five
        ((128,), "NC", "float16", "unit", 1, 256),
    ],
)
def test_bytes_that_are_read(shape, layout, dtype, neurons, rows, expected):
    assert bytes_read(Tap("t", "relu", shape, layout, dtype, neurons, rows=rows)) == expected


def test_features_of_taps_alone_and_together():
    pooled = Tap("a", "relu", (24, 56, 56), "NCHW", "float32", "channel")
    units = Tap("a", "relu", (3, 4, 5), "NCHW", "float32", "unit")
    of_pooled = features_of(pooled, [Mahalanobis(), RelativeMahalanobis(), SingleRange()])
    of_units = features_of(units, [SingleRange()])
    assert of_pooled.tolist() == [0, 1, 301056, 72, 2 * 576, 0]
    assert of_units.tolist() == [0, 1, 240, 60, 0, 240]
    assert features_of_all([of_pooled, of_units]).tolist() == [1, 2, 301296, 132, 1152, 240]
    assert features_of_all([]).tolist() == [1, 0, 0, 0, 0, 0]


def designs(n=10, seed=0):
    found = np.random.default_rng(seed).integers(0, 1000, (n, len(FEATURES))).astype(float)
    found[:, 0] = 1
    return found


def test_known_prices_are_recovered():
    prices = np.array([2e-5, 3e-6, 0, 5e-8, 1e-9, 4e-8])
    found = TapCosts.fitted(2e-3, designs(), 2e-3 + designs() @ prices)
    assert found.prices == pytest.approx(prices, rel=1e-6, abs=1e-14)
    other = designs(1, seed=1)[0]
    assert found.ratio(other) == pytest.approx(1 + other @ prices / 2e-3, rel=1e-9)


def test_no_price_is_negative():
    found = TapCosts.fitted(1.0, designs(), np.linspace(0.5, 0.9, 10))  # each faster than the bare network
    assert found.prices == (0,) * len(FEATURES)
    assert found.ratio(designs()[0]) == 1


@pytest.mark.parametrize(
    ("bare", "features", "seconds", "words"),
    [
        (0.0, designs(), np.ones(10), "bare time above 0"),
        (np.nan, designs(), np.ones(10), "bare time above 0"),
        (1.0, designs(0), [], "bare time above 0"),
        (1.0, designs(), np.ones(9), "got 1.0 and shape"),
        (1.0, designs()[:, 1:], np.ones(10), "got 1.0 and shape"),
        (1.0, designs(), [np.nan, *np.ones(9)], "finite times above 0"),
        (1.0, designs(), [0, *np.ones(9)], "finite times above 0"),
        (1.0, -designs(), np.ones(10), "features of 0 or more"),
    ],
)
def test_what_no_measurement_gives_is_refused(bare, features, seconds, words):
    with pytest.raises(ValueError, match=words):
        TapCosts.fitted(bare, features, seconds)

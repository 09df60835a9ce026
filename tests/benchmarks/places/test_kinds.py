"""Conditions and what is counted of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from benchmarks.places.kinds import Condition, conditions, rows
from outrider.networks import ImageSet


def test_every_condition_has_a_kind_and_keeps_the_shape():
    images = np.random.default_rng(0).integers(0, 255, (3, 1, 32, 32), np.uint8)
    column = images.astype(np.float32) / 255
    names = "test", "mnist", "noise", "dark", "FGSM 0.1", "PGD 2/255", "DeepFool", "CW κ=5"
    made = SimpleNamespace(
        columns=lambda: [SimpleNamespace(name=name, images=column) for name in names],
        clean=ImageSet("x", images, np.zeros(3, np.int64), ("a",)),
    )
    found = list(conditions(made))
    kinds = {one.name: one.kind for one in found}
    assert kinds["clean"] == ""
    assert "noise" not in kinds
    assert (kinds["mnist"], kinds["dark"], kinds["FGSM 0.1"], kinds["CW κ=5"]) == (
        "unfamiliar", "sensor", "adversarial", "unsure",
    )  # fmt: skip
    assert "channel-lost" not in kinds
    assert "dead-rows" in kinds
    assert all(one.images.shape == column.shape for one in found)
    assert all(0 <= one.images.min() <= one.images.max() <= 1 for one in found)


def test_only_alarms_are_counted():
    said = ["", "sensor", "", "unknown", "sensor"]
    verdicts = [SimpleNamespace(kind=kind, alarm=bool(kind)) for kind in said]
    monitor = SimpleNamespace(check=lambda batch: (None, verdicts[: len(batch)]))
    (row,) = rows(monitor, iter([Condition("c", "sensor", "g", np.zeros((5, 1, 8, 8)))]))
    assert (row["images"], row["alarms"]) == (5, 3)
    assert row["named"] == {"sensor": 2, "adversarial": 0, "unfamiliar": 0, "unsure": 0, "unknown": 1}

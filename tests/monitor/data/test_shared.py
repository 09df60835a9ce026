"""What several columns keep alike is kept, learned and stored once."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from outrider.coverage import Mahalanobis, NearestNeighbour, RelativeMahalanobis, SingleRange
from outrider.monitor import Monitor, ProfileError, ZScore
from outrider.monitor.data.shared import first_alike, sharing
from outrider.monitor.files import container
from outrider.monitor.profile import Column

from ..conftest import batches, frames

SEVERAL = [SingleRange(), Mahalanobis(), RelativeMahalanobis(), Mahalanobis(shrinkage=0.5)]


def learned(criteria, network):
    monitor = Monitor(network, {"hidden": criteria}, logic=ZScore())
    monitor.profile(batches(frames(300)))
    monitor.extend(batches(frames(200, seed=4)))
    return monitor


def test_columns_of_one_tap_that_keep_the_same_are_alike():
    columns = [Column(criterion, tap, 0) for tap in (0, 1) for criterion in SEVERAL]
    assert first_alike(columns) == [0, 1, 1, 1, 4, 5, 5, 5]
    assert first_alike([Column(NearestNeighbour(k), 0, 0) for k in (1, 2, 1)]) == [0, 1, 0]
    signatures = [column.criterion.empty(4, 2) for column in columns]
    shared = sharing(columns, signatures)
    assert [one.criterion for one in shared] == [one.criterion for one in signatures]
    assert shared[3].arrays["squares"] is signatures[1].arrays["squares"]
    assert shared[7].counts is signatures[5].counts is not signatures[1].counts


def test_they_deviate_as_columns_of_their_own_do(network):
    together, new = learned(SEVERAL, network), frames(50, seed=2)
    first, *others = together.learned.signatures[1:]
    assert all(other.arrays["squares"] is first.arrays["squares"] for other in others)
    size = sum(s.nbytes for s in together.learned.signatures[:2])
    assert together.learned.nbytes == together.describe()["bytes"] == size
    seen = network.observe(new)
    classes = seen.logits.argmax(axis=1)
    for i, criterion in enumerate(SEVERAL):
        alone = learned([criterion], network).learned.signatures[0]
        expected = criterion.deviation(alone, seen.activations[0], classes)
        np.testing.assert_array_equal(
            criterion.deviation(together.learned.signatures[i], seen.activations[0], classes), expected
        )


def test_a_file_holds_them_once_and_may_hold_them_twice(tmp_path, network):
    monitor = learned(SEVERAL, network)
    monitor.calibrate(batches(frames(300, seed=1)), 0.1)
    monitor.save(tmp_path / "once.outrider")
    arrays = load_file(tmp_path / "once.outrider")
    assert "column.1.squares" in arrays
    assert not [name for name in arrays if name.startswith(("column.2.", "column.3."))]
    again = Monitor.load(tmp_path / "once.outrider", network)
    kept = again.learned.signatures
    assert kept[3].arrays["mean"] is kept[2].arrays["mean"] is kept[1].arrays["mean"]
    new = frames(60, seed=2)
    np.testing.assert_array_equal(again.check(new)[1].score, monitor.check(new)[1].score)
    facts = container.read_contents(tmp_path / "once.outrider").facts
    twice = arrays | {f"column.{i}.{n}": arrays[f"column.1.{n}"] for i in (2, 3) for n in ("count", "mean", "squares")}
    (tmp_path / "twice.outrider").write_bytes(container.packed(facts, twice))
    older = Monitor.load(tmp_path / "twice.outrider", network)
    older.save(tmp_path / "again.outrider")
    assert (tmp_path / "again.outrider").read_bytes() == (tmp_path / "once.outrider").read_bytes()
    twice["column.3.squares"] = -twice["column.3.squares"]
    (tmp_path / "twice.outrider").write_bytes(container.packed(facts, twice))
    with pytest.raises(ProfileError, match=r"column 3 .*: expected a covariance"):
        Monitor.load(tmp_path / "twice.outrider", network)

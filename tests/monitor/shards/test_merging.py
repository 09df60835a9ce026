"""The profile of many workers has the same bits however many they are, and parts that do not fit are refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from outrider.coverage import Gaussian, Mahalanobis, SingleRange
from outrider.monitor import MismatchError, Monitor, OutriderWarning, ProfileError
from outrider.monitor.shards import Part
from outrider.networks import TorchNetwork

from ...detectors import NumpyDetector, scenes
from ...networks.several import Fused, fused_frames
from ..conftest import CLASSES, NumpyNetwork, batches, frames
from .workers import EVERY, learned, parts, shuffled, whole

FEW = {"hidden": [SingleRange(), Gaussian()]}


@pytest.fixture(scope="module")
def data():
    found = frames(64 * 64 + 50)
    found[::97] = -0.0 * found[::97]
    return found


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """The profile of one worker, all criteria."""
    return whole(parts(data, 1), tmp_path_factory.mktemp("alone") / "whole.outrider")


@pytest.mark.parametrize("workers", [3, 64])
def test_every_criterion_has_the_same_bits_with_any_number_of_workers(data, alone, tmp_path, workers):
    assert whole(shuffled(parts(data, workers)), tmp_path / "whole.outrider") == alone


def test_so_it_has_with_labels(tmp_path):
    data = frames(700)
    network = NumpyNetwork()
    right = network.run(data).argmax(axis=1)
    labels = np.where(np.arange(700) % 5 == 0, (right + 1) % CLASSES, right)
    found = [
        whole(parts((data, labels), workers, trusted_confidence=0.5), tmp_path / f"{workers}.outrider")
        for workers in (1, 3, 7)
    ]
    assert found[0] == found[1] == found[2]
    learned_of = Monitor.load(tmp_path / "3.outrider", network).learned
    assert learned_of.trusted.labelled
    assert 0 < learned_of.trusted.accepted < 560


def test_it_is_what_one_pass_learns(data, alone, tmp_path):
    """Exactly what is no sum, and up to rounding what is one."""
    path = tmp_path / "whole.outrider"
    path.write_bytes(alone)
    merged = Monitor.load(path, NumpyNetwork()).learned
    plain = Monitor(NumpyNetwork(), EVERY)
    plain.profile(batches(data))
    for column, mine, theirs in zip(merged.columns, merged.signatures, plain.learned.signatures, strict=True):
        np.testing.assert_array_equal(mine.counts, theirs.counts)
        for name, array in mine.arrays.items():
            if column.criterion.merges_exactly:
                np.testing.assert_array_equal(array, theirs.arrays[name])
            else:
                np.testing.assert_allclose(array, theirs.arrays[name], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(merged.digests.values, plain.learned.digests.values)
    assert merged.trusted.frames == plain.learned.trusted.frames == len(data)
    assert merged.trusted.probe is not None
    assert 20 < len(merged.trusted.probe) <= 256


def test_a_worker_that_died_is_run_again(data, alone, tmp_path):
    class Dies(Exception):
        """The machine is taken away."""

    def dying(seen):
        if seen > 1000:
            raise Dies

    checkpoint = tmp_path / "part.partial"
    found = parts(data, 3)
    with pytest.raises(Dies):
        learned(data, "1/3", progress=dying, checkpoint=checkpoint)
    left = Part.load(checkpoint)
    assert 0 < left.profile.trusted.frames < len(left.rows)
    with pytest.raises(ProfileError, match="is not finished"):
        Monitor.merge([found[0], left, found[2]], NumpyNetwork())
    again = learned(data, "1/3", checkpoint=checkpoint)
    assert bytes(again) == found[1]
    assert whole([found[0], bytes(again), found[2]], tmp_path / "whole.outrider") == alone
    anew = bytes(learned(data, "1/3"))
    assert anew == found[1]


def test_more_workers_than_logical_shards(tmp_path):
    data = frames(150)
    found = parts(data, 5, FEW)
    assert [len(Part.of(one).rows) for one in found] == [0, 64, 0, 64, 22]
    assert whole(found, tmp_path / "5.outrider") == whole(parts(data, 1, FEW), tmp_path / "1.outrider")
    needed = [one for one in found if Part.of(one).rows]
    assert whole(needed, tmp_path / "2.outrider") == (tmp_path / "1.outrider").read_bytes()


def test_shards_of_other_numbers_of_workers_fit_where_their_rows_do(tmp_path):
    data = frames(64 * 8)
    found = [bytes(learned(data, shard, FEW)) for shard in ("0/2", "2/4", "6/8", "7/8")]
    assert whole(found, tmp_path / "mixed.outrider") == whole(parts(data, 1, FEW), tmp_path / "1.outrider")


def refused(given, error=ProfileError):
    with pytest.raises(error) as caught:
        Monitor.merge(given, NumpyNetwork())
    return str(caught.value)


def test_missing_shards_are_named():
    found = parts(frames(64 * 8), 4, FEW)
    assert "missing: shards 1/4, 2/4: rows 128 to 383, 256 of 512 frames" in refused([found[0], found[3]])
    mixed = [learned(frames(64 * 8), shard, FEW) for shard in ("0/2", "6/8")]
    message = refused(mixed)
    assert "missing: rows 256 to 383, 448 to 511, 192 of 512 frames" in message
    assert message.endswith("the other 2 are whole: run what is missing again, and merge anew")


def test_a_shard_is_missing_only_with_leave(tmp_path):
    found = parts(frames(64 * 8), 4, FEW)
    with pytest.warns(OutriderWarning, match=re.escape("shard 1/4: rows 128 to 255, 128 of 512 frames")):
        monitor = Monitor.merge([found[0], found[3], found[2]], NumpyNetwork(), allow_missing=True)
    monitor.save(tmp_path / "some.outrider")
    (change,) = Monitor.load(tmp_path / "some.outrider", NumpyNetwork()).learned.history
    assert change.what == "merged"
    assert "shard 1/4: rows 128 to 255" in change.reason
    assert monitor.learned.trusted.frames == 384


def test_overlapping_shards_are_named():
    data = frames(64 * 8)
    assert "expected parts of different frames, got rows 64 to 127 in shard 0/4" in refused(
        [learned(data, "0/4", FEW), learned(data, "1/8", FEW)]
    )
    again = refused([learned(data, "1/4", FEW), learned(data, "1/4", FEW)])
    assert "got rows 128 to 255" in again


def test_the_same_frames_as_two_shards_are_seen():
    half = frames(64 * 4)
    message = refused([learned(np.concatenate([half, half]), shard, FEW) for shard in ("0/2", "1/2")])
    assert "got the same ones in shard 0/2" in message


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"criteria": {"hidden": [SingleRange()]}}, "criteria: expected"),
        ({"trusted_confidence": 0.5}, "trusted confidence: expected 0.9, got 0.5"),
        ({"minimum_per_class": 7}, "minimum per class: expected 5, got 7"),
        ({"batch_size": 32}, "size of batches: expected 64, got 32"),
        ({"class_names": ["a", "b", "c"]}, "names of classes: expected"),
        ({"listing": "other"}, "names of frames: expected"),
        ({"data": frames(64 * 8 + 1)}, "number of frames: expected 512, got 513"),
    ],
)
def test_parts_that_were_made_otherwise_are_refused(settings, named):
    data = frames(64 * 8)
    given = {"data": data, "criteria": FEW} | settings
    message = refused([learned(data, "0/2", FEW), learned(given.pop("data"), "1/2", **given)], MismatchError)
    assert named in message
    assert message.startswith("shard 1/2: expected a part of the same profile as shard 0/2")


def test_parts_of_another_network_are_refused():
    data = frames(64 * 8)
    others = [Monitor(NumpyNetwork(seed=1), FEW).profile_part(data, (k, 2)) for k in range(2)]
    assert "SHA-256: expected" in refused([learned(data, "0/2", FEW), others[1]], MismatchError)
    assert "SHA-256: expected" in refused(others, MismatchError)  # the network at hand is none of theirs


def test_parts_with_labels_and_without_are_refused():
    data = frames(64 * 8)
    labels = NumpyNetwork().run(data).argmax(axis=1)
    both = [learned(data, "0/2", FEW), learned((data, labels), "1/2", FEW)]
    assert "labels: expected them in all parts or in none" in refused(both, MismatchError)


def test_another_version_of_the_program_is_refused():
    data = frames(64 * 8)
    other = learned(data, "1/2", FEW)
    other.by = "outrider 9.9"
    assert "program: expected outrider" in refused([learned(data, "0/2", FEW), other], MismatchError)


def test_nothing_is_no_profile():
    assert "expected parts to merge, got none" in refused([])


def test_a_profile_without_a_trusted_frame_is_refused():
    data = frames(64 * 2)
    labels = (NumpyNetwork().run(data).argmax(axis=1) + 1) % CLASSES
    assert "expected trusted frames, got none" in refused(parts((data, labels), 2, FEW))


def test_the_order_of_classes_is_seen_over_all_parts():
    data = frames(64 * 4)
    labels = (NumpyNetwork().run(data).argmax(axis=1) + 1) % CLASSES
    labels[::2] = NumpyNetwork().run(data[::2]).argmax(axis=1)
    labels[:100] = (NumpyNetwork().run(data[:100]).argmax(axis=1) + 1) % CLASSES
    with pytest.warns(OutriderWarning, match="in another order"):
        Monitor.merge(parts((data, labels), 4, FEW, trusted_confidence=0.0), NumpyNetwork())


def test_memory_is_that_of_a_profile(data):
    """However many frames: a part holds at most two nodes of each level."""
    part = learned(data, "0/1", FEW)
    assert len(part.sums) == part.plan.leaves.bit_count()
    part = learned(data, "1/3", FEW)
    assert len(part.sums) <= 2 * part.plan.height
    assert part.profile.nbytes == learned(data[: 64 * 8], "1/3", FEW).profile.nbytes


def test_a_detector(tmp_path):
    """Its detections are learned class by class, and the classes of a part are those it saw."""
    pictures = np.concatenate([scenes(130, classes=1), scenes(130, seed=1)])

    def made(workers):
        monitors = [Monitor(NumpyDetector(), "single_range") for _ in range(workers)]
        found = [bytes(one.profile_part(pictures, (k, workers))) for k, one in enumerate(monitors)]
        monitor = Monitor.merge(shuffled(found), NumpyDetector())
        monitor.save(tmp_path / f"{workers}.outrider")
        return monitor, (tmp_path / f"{workers}.outrider").read_bytes()

    (alone, expected), (monitor, found) = made(1), made(4)
    assert found == expected
    plain = Monitor(NumpyDetector(), "single_range").profile(batches(pictures, 64)).boxes
    boxes = monitor.learned.boxes
    assert boxes.per_class.tolist() == plain.per_class.tolist() == alone.learned.boxes.per_class.tolist()
    assert (boxes.frames, boxes.left_out, boxes.matched) == (plain.frames, plain.left_out, plain.matched)
    for name, array in boxes.signatures[0].arrays.items():
        np.testing.assert_allclose(array, plain.signatures[0].arrays[name], rtol=1e-9)


def test_a_network_with_several_inputs(tmp_path):
    data = fused_frames(300)
    found = []
    for workers in (1, 3):
        given = [
            bytes(Monitor(Fused(), {"hidden": [SingleRange(), Gaussian()]}).profile_part(data, (k, workers)))
            for k in range(workers)
        ]
        Monitor.merge(given, Fused()).save(tmp_path / "one.outrider")
        found.append((tmp_path / "one.outrider").read_bytes())
    assert found[0] == found[1]


def test_places_of_a_map(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(6, 2, 1)
    ).eval()  # fmt: skip
    data = np.random.default_rng(0).normal(size=(200, 3, 8, 8)).astype(np.float32)

    def network():
        return TorchNetwork(module, (3, 8, 8), taps="auto", neurons="pixel", classes="pixel")

    found = []
    for workers in (1, 3):
        given = [
            bytes(Monitor(network(), {"*": Mahalanobis()}).profile_part(data, (k, workers))) for k in range(workers)
        ]
        monitor = Monitor.merge(given, network())
        monitor.save(tmp_path / "one.outrider")
        found.append((tmp_path / "one.outrider").read_bytes())
    assert found[0] == found[1]
    assert monitor.learned.trusted.per_map_class.min() > 0

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor
from outrider.monitor.data.batches import batches_of, behind, peeked

from ..conftest import CLASSES, INPUTS, NumpyNetwork, frames


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(5, "cat"), "expected labels as integers, the numbers of classes, got <U3"),
        (np.full(5, 0.5), "expected labels as integers, the numbers of classes, got float64"),
        (np.full(5, 99), rf"expected labels below {CLASSES}, the number of classes, got 99"),
    ],
)
def test_labels_that_are_no_classes_are_refused(network, labels, message):
    with pytest.raises(ValueError, match=message):
        Monitor(network, SingleRange()).profile([(frames(5), labels)])


def test_labels_of_another_length_are_refused(network):
    with pytest.raises(ValueError, match=r"expected a label per frame, shape \(50,\), got \(49,\)"):
        Monitor(network, SingleRange()).profile([(frames(50), np.zeros(49, int))])


def whole(found):
    found = list(found)
    labels = [part for _, part in found]
    return (
        np.concatenate([np.asarray(part) for part, _ in found]),
        None if labels[0] is None else np.concatenate(labels),
        [len(part) for part, _ in found],
    )


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("form", ["array", "batches", "generator", "lists", "singles", "array of batches"])
def test_every_form_gives_the_same_frames(network, form, labelled):
    x, y = frames(120), np.arange(120) % CLASSES
    cut = [(x[i : i + 40], y[i : i + 40]) for i in range(0, 120, 40)]
    data = {
        "array": (x, y) if labelled else x,
        "batches": cut if labelled else [a for a, _ in cut],
        "generator": iter(cut) if labelled else (a for a, _ in cut),
        "lists": [[a, b] for a, b in cut] if labelled else [[a] for a, _ in cut],
        "singles": cut if labelled else [(a,) for a, _ in cut],
        "array of batches": cut if labelled else x.reshape(3, 40, -1),
    }[form]
    found, labels, sizes = whole(batches_of(data, network))
    np.testing.assert_array_equal(found, x)
    assert sum(sizes) == 120
    assert max(sizes) <= 64
    if labelled:
        np.testing.assert_array_equal(labels, y)
    else:
        assert labels is None


def test_loaders_of_torch_and_tensors(network):
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    x, y = frames(70), np.arange(70) % CLASSES
    pairs = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=32)
    alone = DataLoader(TensorDataset(torch.from_numpy(x)), batch_size=32)
    for data, expected in ((pairs, y), (alone, None), (torch.from_numpy(x), None)):
        found, labels, _ = whole(batches_of(data, network))
        np.testing.assert_array_equal(found, x)
        assert (labels is None) == (expected is None)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("folder", TypeError, "expected batches .*, got str"),
        (5, TypeError, "expected batches .*, got int"),
        ([(1, 2, 3)], ValueError, "got 3 parts"),
        ([[[1.0] * INPUTS]], TypeError, "expected frames as an array or a tensor, got list"),
        ([np.zeros(INPUTS, np.float32)], ValueError, r"got one of shape \(6,\); frames\[None\] makes a batch of one"),
        (
            np.zeros((4, 3, 2, INPUTS), np.float32),
            ValueError,
            r"expected batches of shape \('n', 6\), got one of shape",
        ),
    ],
)
def test_what_is_no_data_is_refused_with_what_was_expected(network, data, error, message):
    with pytest.raises(error, match=message):
        list(batches_of(data, network))


def test_a_network_without_a_shape_learns_it_from_the_first_batch(network):
    class Unshaped(NumpyNetwork):
        shaped = False

        def learn_shape(self, batch):
            self.shaped, self.learned = True, batch.shape

    unshaped = Unshaped()
    found = peeked(batches_of([frames(5), frames(3)], unshaped))
    assert unshaped.learned == (5, INPUTS)
    assert [len(part) for part, _ in found] == [5, 3]


def test_what_was_seen_before_is_passed_over():
    x = frames(10)
    found = list(behind(iter([(x[:4], np.arange(4)), (x[4:], np.arange(6))]), 6))
    assert len(found) == 1
    np.testing.assert_array_equal(found[0][0], x[6:])
    assert found[0][1].tolist() == [2, 3, 4, 5]


def test_a_sequence_of_batches_needs_no_more_than_getitem(network):
    class Ready:
        def __getitem__(self, index):
            if index >= 3:
                raise IndexError
            return frames(10, seed=index)

    assert whole(batches_of(Ready(), network))[2] == [10, 10, 10]


def test_a_pair_of_arrays_may_be_a_list_and_must_be_of_one_length(network):
    x, y = frames(70), np.arange(70) % CLASSES
    found, labels, _ = whole(batches_of([x, y], network))
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal(labels, y)
    with pytest.raises(ValueError, match="expected a label per frame, got 70 frames and 69 labels"):
        list(batches_of((x, y[:-1]), network))

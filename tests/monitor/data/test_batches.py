from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor
from outrider.monitor.data.batches import batches_of, behind, kept, peeked

from ...networks.several import Fused, fused_frames
from ..conftest import CLASSES, INPUTS, NumpyNetwork, frames


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(5, "cat"), "expected labels as integers, the numbers of classes, got <U3 such as cat"),
        (["cat"] * 5, "expected labels as integers, the numbers of classes, got <U3 such as cat"),
        (np.array([0, 1, 0.5, 2, 1]), "expected labels as integers, the numbers of classes, got float64 such as 0.5"),
        (np.full(5, np.nan), "got float64 such as nan"),
        (np.full(5, True), "got bool such as True"),
        (np.full(5, 99), f"expected labels from 0 and below {CLASSES}, the number of classes, got 99"),
        (np.array([0, 1, -1, 2, 1]), f"expected labels from 0 and below {CLASSES}, the number of classes, got -1"),
        (np.float32([0, 1, -1, 2, 1]), f"expected labels from 0 and below {CLASSES}, the number of classes, got -1"),
        (np.eye(CLASSES)[[0, 1, 2, 0, 1]], r"expected a label per frame, shape \(5,\), got \(5, 3\); of one-hot"),
        (np.zeros((5, 8, 8), int), r"\(5,\), got \(5, 8, 8\); labels of places need a|expected batches of shape"),
        (np.zeros(4, int), r"expected a label per frame, (shape \(5,\), got \(4,\)|got 5 frames and 4 labels)"),
        (np.zeros(7, int), r"expected a label per frame, (shape \(5,\), got \(7,\)|got 5 frames and 7 labels)"),
        (np.int64(1), "expected a label per frame, got a single one, 1"),
        ([[0, 1], [2]], "expected labels as an array of the numbers of classes, got list: "),
    ],
)
@pytest.mark.parametrize("form", [list, tuple])
@pytest.mark.parametrize("inner", [False, True])
def test_labels_that_are_no_classes_are_refused(network, labels, message, form, inner):
    pair = form([frames(5), labels])
    with pytest.raises(ValueError, match=message):
        Monitor(network, SingleRange()).profile([pair] if inner else pair)


@pytest.mark.parametrize("make", [list, np.float64, np.uint8, lambda labels: np.array(labels)[:, None]])
def test_whole_numbers_of_any_type_and_columns_of_them_are_labels(network, make):
    x = frames(300)
    right = network.run(x).argmax(axis=1).tolist()
    counts = [
        Monitor(network, SingleRange()).profile(data).trusted.per_class.tolist()
        for data in ((x, np.array(right)), (x, make(right)), [(x, make(right))])
    ]
    assert counts[0] == counts[1] == counts[2]


def test_true_and_false_are_labels_of_two_classes():
    network, x = NumpyNetwork(classes=2), frames(300)
    right = network.run(x).argmax(axis=1)
    found = [Monitor(network, SingleRange()).profile((x, y)).trusted.per_class.tolist() for y in (right, right == 1)]
    assert found[0] == found[1]


@pytest.mark.parametrize("labels", [np.zeros(200, int), np.zeros(300, int), np.eye(2)[np.zeros(200, int)]])
def test_labels_for_a_network_without_classes_are_refused(labels):
    """They were left out without a word."""
    monitor = Monitor(NumpyNetwork(classes=None), SingleRange())
    for data in ((frames(200), labels), [(frames(200), labels)]):
        with pytest.raises(
            ValueError, match=r"expected (no labels for a network without classes|a label per frame), got"
        ):
            monitor.profile(data)


def test_two_whole_arrays_are_batches_where_both_are_frames_and_else_frames_and_labels(network):
    x = frames(10)
    assert whole(batches_of([x, frames(4)], network))[2] == [10, 4]
    for labels in (x[:, :CLASSES], x.astype(np.float64), np.zeros((10, INPUTS), int)):
        found = list(batches_of((x, labels), network))
        assert len(found) == 1
        np.testing.assert_array_equal(found[0][1], labels)


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


# Several inputs.


def pair_of(n, seed=0):
    camera, speed = fused_frames(n, seed)
    return camera, speed, np.arange(n) % 3


def forms(camera, speed, labels):
    """Every form of (camera, speed), with labels and without, by name."""
    named = {"speed": speed, "camera": camera}
    return {
        "tuple": ((camera, speed), None),
        "list": ([camera, speed], None),
        "mapping": (named, None),
        "nested": (((camera, speed), labels), labels),
        "nested, alone": (((camera, speed),), None),
        "nested lists": ([[camera, speed], labels], labels),
        "nested mapping": ((named, labels), labels),
        "flat": ((camera, speed, labels), labels),
        "labels inside": (named | {"labels": labels}, labels),
        "label inside": (named | {"label": labels}, labels),
    }


CAMERA = np.zeros((2, 1, 5, 6))
FORMS = list(forms(*pair_of(1)))


@pytest.mark.parametrize(
    ("form", "whole"), [(form, whole) for form in FORMS for whole in (False, True) if not whole or "alone" not in form]
)
def test_every_form_of_several_inputs_gives_the_same_frames(form, whole):
    parts = pair_of(130)
    data = forms(*parts)[form][0] if whole else [
        forms(*(part[start : start + 65] for part in parts))[form][0] for start in (0, 65)
    ]  # fmt: skip
    found = list(batches_of(data, Fused()))
    assert [len(frames[0]) for frames, _ in found] == ([64, 64, 2] if whole else [65, 65])
    assert all(type(frames) is tuple for frames, _ in found)
    for at in range(2):
        np.testing.assert_array_equal(np.concatenate([frames[at] for frames, _ in found]), parts[at])
    if forms(*parts)[form][1] is None:
        assert [labels for _, labels in found] == [None] * len(found)
    else:
        np.testing.assert_array_equal(np.concatenate([labels for _, labels in found]), parts[2])


def test_an_input_may_be_called_labels():
    class Labelled(Fused):
        names = "camera", "labels"

    camera, speed, labels = pair_of(5)
    frames, found = next(batches_of([{"camera": camera, "labels": speed, "label": labels}], Labelled()))
    np.testing.assert_array_equal(frames[1], speed)
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (CAMERA, TypeError, r"expected a tuple of 2 arrays \(camera, speed\) or a mapping"),
        ([CAMERA], ValueError, r"2 arrays \(camera, speed\), alone or with .*, got 1 parts"),
        ([(np.zeros(2),) * 4], ValueError, r"2 arrays \(camera, speed\), alone or with .*, got 4 parts"),
        ([(CAMERA, np.zeros(4))], ValueError, r"input speed: expected batches of shape \('n', 4\), got"),
        ([(CAMERA, 7)], TypeError, "input speed: expected frames as an array or a tensor, got int"),
        ([(CAMERA, np.zeros((3, 4)))], ValueError, "frames of every input, got 2 of camera, 3 of speed"),
        ({"camera": CAMERA, "pace": np.zeros((2, 4))}, ValueError, "inputs camera, speed, got camera, pace"),
        ((CAMERA, np.zeros((2, 4)), np.arange(3)), ValueError, "got 2 frames and 3 labels"),
    ],
)  # fmt: skip
def test_what_are_no_frames_of_several_inputs_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        list(batches_of(data, Fused()))


def test_a_loader_of_torch_gives_flat_and_nested_batches():
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    camera, speed, labels = pair_of(10)
    flat = TensorDataset(*map(torch.from_numpy, (camera, speed, labels)))
    nested = [((camera[i], speed[i]), labels[i]) for i in range(10)]
    for data in (flat, nested):
        (frames, found), *rest = batches_of(DataLoader(data, batch_size=10), Fused())
        assert rest == []
        np.testing.assert_array_equal(frames[1], speed)
        np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize(
    ("batch", "learned", "labelled"),
    [
        (lambda camera, speed, labels: (camera, labels), False, True),
        (lambda camera, speed, labels: (camera, speed), True, False),
        (lambda camera, speed, labels: (camera, speed, labels), True, True),
        (lambda camera, speed, labels: ([camera, speed], labels), True, True),
    ],
)
def test_a_network_without_inputs_learns_them_from_the_form_of_the_first_batch(batch, learned, labelled):
    class Unshaped(Fused):
        shaped, several = False, None

        @property
        def inputs(self):
            return super().inputs[: 1 + bool(self.several)]

        def learn_shape(self, batch):
            self.shaped, self.several = True, type(batch) is tuple

    network, parts = Unshaped(), pair_of(5)
    frames, labels = next(batches_of([batch(*parts)], network))
    assert network.several == learned
    np.testing.assert_array_equal(frames[1] if learned else frames, parts[learned])
    assert (labels is not None) == labelled


def test_frames_of_several_inputs_are_passed_over_together():
    camera, speed, labels = pair_of(10)
    passed = []
    found = list(
        behind(iter([((camera[:4], speed[:4]), None), ((camera[4:], speed[4:]), labels[4:])]), 6, passed.append)
    )
    assert [len(frames[0]) for frames in passed] == [4, 2]
    np.testing.assert_array_equal(found[0][0][1], speed[6:])
    np.testing.assert_array_equal(found[0][1], labels[6:])


@pytest.mark.parametrize("good", [0, 1, 3])
def test_what_was_learned_is_kept_where_batches_raise(good):
    def torn():
        yield from range(good)
        raise OSError("a bad sector")

    seen, kept_at = [], []
    with pytest.raises(OSError, match="a bad sector"):
        seen.extend(kept(torn(), lambda: kept_at.append(True)))
    assert kept_at == [True] * bool(good)
    assert list(kept(iter([1, 2]), lambda: pytest.fail("kept"))) == [1, 2]

"""The closed form against the difference of two distances."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, RelativeMahalanobis

from ..samples import learn, relu_data


def difference(signature, shrinkage, new, labels):
    """M²(x | class) - M²(x), with the covariance of all samples that of shrunk classes and of their means."""
    counts, means = signature.counts, signature.arrays["mean"]
    neurons, centre = means.shape[1], np.average(means, axis=0, weights=counts)
    within = signature.arrays["squares"] / counts.sum()
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / neurons * np.eye(neurons)
    between = np.cov(means.T, fweights=counts, ddof=0).reshape(neurons, neurons)
    squares = [
        np.einsum("ni,ij,nj->n", step, np.linalg.inv(covariance), step)
        for step, covariance in ((new - means[labels], within), (new - centre, within + between))
    ]
    return squares[0] - squares[1]


def closed_form(signature, criterion, new, labels):
    centre, directions, targets, offsets = criterion._closed_form(signature)
    along = (new - centre) @ directions.reshape(signature.neurons, -1)
    return np.square(along - targets[labels]).sum(axis=1) + offsets[labels, 0]


@pytest.mark.parametrize(("neurons", "classes"), [(13, 4), (3, 6), (1, 2), (8, 2)])
def test_the_closed_form_is_the_difference_above_the_lowest(neurons, classes):
    """To 1e-6 of the difference in float64, but for one number that is the same for all samples of all classes."""
    criterion = RelativeMahalanobis()
    signature = learn(criterion, *relu_data(neurons=neurons, classes=classes), classes)
    new, labels = relu_data(seed=6, n=60, neurons=neurons, classes=classes)
    new, labels = np.repeat(new * 2, classes, axis=0), np.tile(np.arange(classes), 60)
    expected = difference(signature, criterion.shrinkage, new.astype(np.float64), labels)
    found = closed_form(signature, criterion, new.astype(np.float64), labels)
    lowest = found[0] - expected[0]
    np.testing.assert_allclose(found, expected + lowest, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    deviation = criterion.deviation(signature, new, labels)
    np.testing.assert_allclose(deviation, found, rtol=1e-4, atol=1e-5 * found.max())
    assert closed_form(signature, criterion, targets_of(signature, criterion), np.arange(classes)).min() < 1e-6


def targets_of(signature, criterion):
    """A sample for each class that is as typical of it as none else."""
    centre, directions, targets, _ = criterion._closed_form(signature)
    return centre + targets @ np.linalg.pinv(directions.reshape(signature.neurons, -1))


def test_almost_without_shrinkage_it_is_the_published_difference():
    """Ren et al.: the second distance is that to the mean of all samples under their covariance."""
    values, labels = relu_data(neurons=6, classes=3)
    criterion = RelativeMahalanobis(shrinkage=1e-12)
    signature = learn(criterion, values, labels, 3)
    means = np.stack([values[labels == c].mean(axis=0, dtype=np.float64) for c in range(3)])
    within = np.cov((values - means[labels]).T.astype(np.float64), ddof=0)
    whole = np.cov(values.T.astype(np.float64), ddof=0)
    new, c = relu_data(seed=2, n=40, neurons=6, classes=3)
    steps = (new - means[c], within), (new - values.mean(axis=0, dtype=np.float64), whole)
    near, far = (np.einsum("ni,ij,nj->n", step, np.linalg.inv(cov), step) for step, cov in steps)
    offset = closed_form(signature, criterion, new, c) - (near - far)
    np.testing.assert_allclose(offset, offset[0], rtol=1e-6)


def test_what_is_far_from_all_classes_alike_deviates_little():
    """The difference to Mahalanobis: here all classes agree in the second neuron."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    values = rng.normal(size=(600, 2)).astype(np.float32)
    values[:, 0] += 6 * labels
    far, between = np.float32([[0, 30]]), np.float32([[3, 0]])
    told = []
    for criterion in (Mahalanobis(), RelativeMahalanobis()):
        signature = learn(criterion, values, labels)
        told.append([float(criterion.deviation(signature, new, np.zeros(1, int))[0]) for new in (far, between)])
    assert told[0][0] > 5 * told[0][1]
    assert told[1][0] < told[1][1]


def test_it_keeps_what_mahalanobis_keeps():
    values, labels = relu_data()
    one, other = learn(RelativeMahalanobis(), values, labels), learn(Mahalanobis(), values, labels)
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name])


def test_one_class_has_nothing_to_be_compared_with():
    with pytest.raises(
        ValueError, match=r"expected 2 classes or more for relative_maha.* \(take mahalanobis .*\), got 1"
    ):
        RelativeMahalanobis().empty(4, 1)
    values, labels = relu_data()
    assert not RelativeMahalanobis().tells_nothing(learn(RelativeMahalanobis(), values, labels))
    signature = learn(RelativeMahalanobis(), values, np.full(len(values), 1))
    assert RelativeMahalanobis().tells_nothing(signature) == "all trusted samples are of one class"
    assert not RelativeMahalanobis().deviation(signature, 9 * values, np.full(len(values), 1)).any()
    assert np.isposinf(RelativeMahalanobis().deviation(signature, values[:2], np.zeros(2, int))).all()


def test_classes_of_one_mean_and_layers_that_never_moved_are_told_by_nothing():
    values = np.tile(np.float32([[1, 2], [2, 4]]), (20, 1))
    labels = np.arange(40) // 2 % 2
    signature = learn(RelativeMahalanobis(), values, labels)
    strange = np.float32([[7, -3], [1, 2]])
    assert RelativeMahalanobis().deviation(signature, strange, np.array([0, 1])).tolist() == [0, 0]
    still = learn(RelativeMahalanobis(), np.ones((10, 3), np.float32), np.arange(10) % 2)
    assert RelativeMahalanobis().deviation(still, np.ones((1, 3), np.float32), np.zeros(1, int)) == 0


def test_numbers_too_large_to_compare_deviate_by_infinity():
    values, labels = relu_data()
    signature = learn(RelativeMahalanobis(), values, labels)
    huge = np.full((2, values.shape[1]), 3e38, np.float32) * np.float32([[1], [-1]])
    assert np.isposinf(RelativeMahalanobis().deviation(signature, huge, np.zeros(2, int))).all()

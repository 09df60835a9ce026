"""What the scores of the driving network mean, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks.zoo.steering import STEERING, drive_model, labels_of, steering_of


def test_labels_and_steering_are_inverse():
    steering = np.linspace(-0.3, 0.3, 25)
    labels = labels_of(steering)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(labels @ STEERING, steering, atol=1e-6)
    assert (np.count_nonzero(labels > 1e-6, axis=1) <= 2).all()
    assert steering_of(np.log(labels[7] + 1e-12)) == pytest.approx(steering[7], abs=1e-5)
    np.testing.assert_array_equal(labels_of(np.array([-1.0, 1.0])), np.eye(7)[[0, 6]])


def test_missing_weights_are_named_with_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="outrider demo drive --retrain"):
        drive_model(tmp_path)
    assert drive_model().is_file()

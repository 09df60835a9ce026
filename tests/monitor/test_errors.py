"""The tree of errors, and whom a warning points at."""

from __future__ import annotations

import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, errors
from outrider.monitor.errors import OutriderError, OutriderWarning, warn

from .conftest import batches, frames


def test_every_error_is_one_of_ours_and_the_builtin_that_a_caller_expects():
    tree = {name: cls for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, OutriderError)}
    assert set(tree) == {
        "OutriderError", "NotReadyError", "ProfileError", "MismatchError", "CalibrationError", "ExportError",
        "SignatureError",
    }  # fmt: skip
    assert issubclass(tree["NotReadyError"], RuntimeError)
    for name in ("ProfileError", "MismatchError", "CalibrationError", "ExportError", "SignatureError"):
        assert issubclass(tree[name], ValueError)
    assert issubclass(tree["MismatchError"], tree["ProfileError"])


def test_a_warning_points_at_the_line_of_the_user():
    def of_ours():
        warn("thin")

    def public():
        of_ours()

    with pytest.warns(OutriderWarning, match="thin") as told:
        public()
    assert told[0].filename == __file__


def test_the_warnings_of_profile_and_calibrate_point_at_their_caller(network):
    monitor = Monitor(network, SingleRange())
    with pytest.warns(OutriderWarning, match="will alarm") as told:
        monitor.profile(batches(frames(40)), minimum_per_class=30)
    assert {one.filename for one in told} == {__file__}
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(40)), minimum_per_class=0)
    with pytest.warns(OutriderWarning, match="own data") as told:
        monitor.calibrate(batches(frames(200, seed=1, far=0.5)), 0.05)
    assert {one.filename for one in told} == {__file__}

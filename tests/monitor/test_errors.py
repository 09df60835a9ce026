"""The tree of errors, and whom a warning points at."""

from __future__ import annotations

import pytest

from outrider.monitor import errors
from outrider.monitor.errors import OutriderError, OutriderWarning, warn


def test_every_error_is_one_of_ours_and_the_builtin_that_a_caller_expects():
    tree = {name: cls for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, OutriderError)}
    assert set(tree) == {
        "OutriderError", "NotReadyError", "ProfileError", "MismatchError", "CalibrationError", "ExportError"
    }  # fmt: skip
    assert issubclass(tree["NotReadyError"], RuntimeError)
    for name in ("ProfileError", "MismatchError", "CalibrationError", "ExportError"):
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

"""What every stream has in common: the package that it lacks is named."""

from __future__ import annotations

import re
import sys

import pytest

from outrider.networks.packages import install_hint
from outrider.runtime.inputs.streams import open_stream


@pytest.mark.parametrize(
    ("package", "source"),
    [("av", "a.mp4"), ("av", "0"), ("PIL", "photos"), ("mcap.reader", "a.mcap"), ("rosbags.typesys", "a.mcap"),
     ("rosbags.rosbag2", "a.db3"), ("rosbags.rosbag1", "a.bag")],
)  # fmt: skip
def test_a_missing_package_is_named_with_its_install_command(photos, monkeypatch, package, source):
    monkeypatch.chdir(photos.parent)
    if "." in source:
        (photos.parent / source).touch()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"^[A-Za-z ]+ need more packages: " + re.escape(install_hint("watch"))):
        open_stream(source)

"""Streams that are closed, the message types of ROS 2, and a folder of pictures."""

from __future__ import annotations

import types
from contextlib import ExitStack

import pytest

from outrider.runtime.inputs.streams import open_stream

from .recordings import HEIGHT, WIDTH


@pytest.fixture
def opened():
    """`open_stream`, closed at the end of the test."""
    with ExitStack() as stack:

        def use(path, **options):
            stream = open_stream(str(path), **options)
            stack.callback(stream.close)
            return stream

        yield use


@pytest.fixture(scope="module")
def ros():
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    return types.SimpleNamespace(store=store, typesys=typesys, **{k.split("/")[-1]: v for k, v in store.types.items()})


@pytest.fixture
def photos(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    folder = tmp_path / "photos"
    (folder / "later").mkdir(parents=True)
    for name, value in (("frame_10.png", 10), ("frame_2.png", 2), ("frame_1.png", 1), ("later/frame_0.png", 11)):
        pillow.new("RGB", (WIDTH, HEIGHT), (value, 0, 0)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder

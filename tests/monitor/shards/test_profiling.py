"""How a worker is told its shard, and when it saves."""

from __future__ import annotations

import pytest

from outrider.monitor.shards import Shard, profiling
from outrider.monitor.shards.profiling import as_shard, named

from ..conftest import frames
from .workers import learned


def test_a_shard_as_text_or_numbers():
    assert as_shard("1/3") == as_shard((1, 3)) == as_shard([1, 3]) == Shard(1, 3)


@pytest.mark.parametrize("shard", [3, None, (1, 2, 3), ("1", "3"), 1.5])
def test_anything_else_is_refused(shard):
    with pytest.raises(TypeError, match="expected a shard as 'K/N' or"):
        as_shard(shard)


def test_names_without_the_folder_that_they_are_in():
    assert named(["/a/x/1.png", "/a/x/2.png"], "/a/x") == named(["/b/1.png", "/b/2.png"], "/b")
    assert named(["/a/1.png", "/a/2.png"], "/a") != named(["/a/2.png", "/a/1.png"], "/a")
    assert named(["ab", "c"]) != named(["a", "bc"])


def test_a_checkpoint_is_written_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(profiling, "_CHECKPOINT_SECONDS", -1.0)
    seen = []
    path = tmp_path / "part.partial"
    learned(frames(256), "0/1", progress=lambda done: seen.append(path.exists()), checkpoint=path)
    assert seen == [False, True, True, True]

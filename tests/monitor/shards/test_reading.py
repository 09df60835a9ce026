"""Parts from files: what is broken is named, and the rest kept."""

from __future__ import annotations

import pytest

from outrider.coverage import Gaussian, SingleRange
from outrider.monitor import Monitor, OutriderWarning, ProfileError
from outrider.monitor.shards import Part
from outrider.monitor.shards.reading import network_of

from ..conftest import NumpyNetwork, batches, frames
from .workers import parts, whole

FEW = {"hidden": [SingleRange(), Gaussian()]}


@pytest.fixture
def files(tmp_path):
    found = [tmp_path / f"part-{k}.outrider" for k in range(4)]
    for path, data in zip(found, parts(frames(64 * 8), 4, FEW), strict=True):
        path.write_bytes(data)
    return found


def test_files_bytes_and_parts_are_the_same(files, tmp_path):
    expected = whole(files, tmp_path / "a.outrider")
    mixed = [files[2], Part.load(files[3]), str(files[1]), files[0].read_bytes()]
    assert whole(mixed, tmp_path / "b.outrider") == expected
    assert whole(iter(files), tmp_path / "c.outrider") == expected


def test_a_broken_file_is_named_and_the_rest_kept(files, tmp_path):
    expected = whole(files, tmp_path / "a.outrider")
    kept = files[2].read_bytes()
    files[2].write_bytes(kept[: len(kept) // 2])
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(ProfileError) as caught:
        Monitor.merge(files, NumpyNetwork())
    message = str(caught.value)
    assert f"{files[2]}: expected" in message
    assert "missing: shard 2/4: rows 256 to 383, 128 of 512 frames" in message
    assert "the other 3 are whole" in message
    assert {path: path.read_bytes() for path in files} == before
    with pytest.warns(OutriderWarning, match="part-2.outrider: expected"):
        some = Monitor.merge(files, NumpyNetwork(), allow_missing=True)
    assert some.learned.trusted.frames == 384
    files[2].write_bytes(kept)
    assert whole(files, tmp_path / "b.outrider") == expected


def test_a_file_that_is_not_there_is_named(files, tmp_path):
    gone = tmp_path / "part-9.outrider"
    with pytest.raises(ProfileError, match=r"part-9.outrider: expected a profile, got no such file"):
        Monitor.merge([*files, gone], NumpyNetwork())


def test_parts_and_finished_profiles_do_not_mix(files, monitor, tmp_path):
    monitor.save(tmp_path / "whole.outrider")
    with pytest.raises(ProfileError, match=r"got both, such as .*whole.outrider: merge the parts first"):
        Monitor.merge([*files, tmp_path / "whole.outrider"], NumpyNetwork())


def test_one_profile_alone_or_one_to_resume_is_refused(monitor, tmp_path):
    monitor.save(tmp_path / "whole.outrider")
    with pytest.raises(ProfileError, match="expected several profiles to merge"):
        Monitor.merge([tmp_path / "whole.outrider"], NumpyNetwork())
    unfinished = Monitor(NumpyNetwork(), FEW)

    def stop(seen):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unfinished.profile(batches(frames(100)), progress=stop, checkpoint=tmp_path / "partial.outrider")
    with pytest.raises(ProfileError, match=r"partial.outrider: expected a finished profile, got one to resume"):
        Monitor.merge([tmp_path / "whole.outrider", tmp_path / "partial.outrider"], NumpyNetwork())


def test_files_are_read_in_the_order_of_their_shards(files, monkeypatch):
    """So that what is held of the tree stays small."""
    seen, load = [], Part.of_contents.__func__

    def told(cls, contents, name):
        part = load(cls, contents, name)
        seen.append(part.shard.worker)
        return part

    monkeypatch.setattr(Part, "of_contents", classmethod(told))
    Monitor.merge([files[i] for i in (2, 0, 3, 1)], NumpyNetwork())
    assert seen == [0, 1, 2, 3]


def test_the_network_is_that_of_the_first_file_that_can_be_read(files):
    files[0].write_bytes(b"torn")
    path, facts = network_of(files)
    assert (path, facts.engine) == (files[1], "numpy")
    for file in files:
        file.write_bytes(b"torn")
    with pytest.raises(ProfileError, match=r"part-0.outrider: expected a profile"):
        network_of(files)

"""What one worker learns, keeps and writes."""

from __future__ import annotations

import stat

import numpy as np
import pytest

from outrider.coverage import Gaussian, SingleRange
from outrider.monitor import MismatchError, Monitor, ProfileError
from outrider.monitor.files import read_profile
from outrider.monitor.shards import Part

from ..conftest import NumpyNetwork, frames
from .workers import EVERY, learned

FEW = {"hidden": [SingleRange(), Gaussian()]}


def test_a_part_knows_its_rows_and_frames():
    data = frames(64 * 8)
    part = learned(data, "1/4", FEW)
    assert (part.rows, part.leaves, part.complete) == (range(128, 256), range(2, 4), True)
    assert part.profile.trusted.frames == 128
    assert str(part) == "shard 1/4, rows 128 to 255"
    assert part.digest == learned(np.concatenate([0 * data[:128], data[128:]]), "1/4", FEW).digest
    assert part.digest != learned(data, "2/4", FEW).digest
    assert part.digest != learned(data[::-1].copy(), "1/4", FEW).digest


def test_it_reads_no_frames_of_others():
    network = NumpyNetwork()
    Monitor(network, FEW).profile_part(frames(64 * 8), "1/4", batch_size=32)
    assert network.calls == 4  # two logical shards of 64 frames each


def test_batches_begin_where_logical_shards_do():
    seen = []

    class Watched(NumpyNetwork):
        def observe(self, batch):
            seen.append(len(batch))
            return super().observe(batch)

    Monitor(Watched(), FEW).profile_part(frames(2 * 100), "0/1", batch_size=24)
    assert seen == [24] * 8 + [8]
    seen.clear()
    Monitor(Watched(), FEW).profile_part(frames(2 * 100), "1/2", batch_size=24)
    assert seen == [24] * 5 + [8]


def test_the_monitor_stays_as_it_is(monitor):
    before, calibration = monitor.learned, monitor.calibration
    monitor.profile_part(frames(128), "0/2")
    assert monitor.learned is before
    assert monitor.calibration is calibration


def test_a_file_holds_all_of_it_and_is_its_owners(tmp_path):
    part = learned(frames(64 * 8), "1/3")
    part.save(tmp_path / "part.outrider")
    assert stat.S_IMODE((tmp_path / "part.outrider").stat().st_mode) == 0o600
    again = Part.load(tmp_path / "part.outrider")
    assert bytes(again) == (tmp_path / "part.outrider").read_bytes() == bytes(part)
    assert bytes(Part.of(bytes(part))) == bytes(part)


def test_a_part_is_no_profile_and_a_profile_no_part(tmp_path, monitor):
    learned(frames(128), "0/2", FEW).save(tmp_path / "part.outrider")
    with pytest.raises(ProfileError, match="expected a profile, got part 0 of 2 of one; `outrider merge`"):
        read_profile(tmp_path / "part.outrider")
    monitor.save(tmp_path / "whole.outrider")
    with pytest.raises(ProfileError, match="expected a part of a profile, got a profile"):
        Part.load(tmp_path / "whole.outrider")


def test_a_checkpoint_goes_on_within_a_logical_shard(tmp_path):
    data, path = frames(600), tmp_path / "part.partial"

    def stopping(seen):
        if seen == 32:
            raise KeyboardInterrupt

    settings = {"batch_size": 16}
    whole = bytes(learned(data, "0/2", **settings))
    with pytest.raises(KeyboardInterrupt):
        learned(data, "0/2", progress=stopping, checkpoint=path, **settings)
    left = Part.load(path)
    assert (len(left.seen), left.opened.frames) == (0, 32)
    counts = []
    again = learned(data, "0/2", progress=counts.append, checkpoint=path, **settings)
    assert counts[0] == 48
    assert bytes(again) == whole


def test_a_checkpoint_is_kept_where_the_data_break(tmp_path):
    class Broken:
        def __len__(self):
            return 256

        def batches(self, rows, size):
            if rows.start:
                raise OSError("gone")
            yield frames(len(rows))

    with pytest.raises(OSError, match="gone"):
        learned(Broken(), "0/1", FEW, checkpoint=tmp_path / "part.partial")
    assert Part.load(tmp_path / "part.partial").profile.trusted.frames == 64


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"shard": "1/2"}, "expected the shard it began with, 0/2, got 1/2"),
        ({"batch_size": 32}, "expected the size of batches it began with, 64, got 32"),
        ({"trusted_confidence": 0.5}, "expected the trusted confidence it began with, 0.9, got 0.5"),
        ({"criteria": {"hidden": [SingleRange()]}}, "expected the criteria it began with"),
        ({"data": frames(130)}, "expected the number of frames it began with, 128, got 130"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, settings, named):
    path = tmp_path / "part.partial"
    given = {"data": frames(128), "shard": "0/2", "criteria": FEW}
    learned(**given).save(path)
    with pytest.raises(ProfileError, match=named):
        learned(**given | settings, checkpoint=path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    learned(frames(128), "0/2", FEW).save(tmp_path / "part.partial")
    with pytest.raises(MismatchError, match="SHA-256"):
        Monitor(NumpyNetwork(seed=3), FEW).profile_part(frames(128), "0/2", checkpoint=tmp_path / "part.partial")


def test_bad_calls():
    monitor = Monitor(NumpyNetwork(), EVERY)
    with pytest.raises(ValueError, match="from 0/2 to 1/2"):
        monitor.profile_part(frames(128), (2, 2))
    with pytest.raises(TypeError, match="expected a shard as 'K/N'"):
        monitor.profile_part(frames(128), 1)
    with pytest.raises(TypeError, match="expected data that can be read from any row on"):
        monitor.profile_part(iter([frames(128)]), "0/2")
    with pytest.raises(ProfileError, match="expected trusted frames, got none"):
        monitor.profile_part(frames(0), "0/2")
    with pytest.raises(ValueError, match="expected frames and batches of at least 1"):
        monitor.profile_part(frames(128), "0/2", batch_size=0)


def test_a_recurrent_network_is_refused():
    class Remembers(NumpyNetwork):
        memory = object()

    with pytest.raises(ProfileError, match="got a recurrent one"):
        Monitor(Remembers(), FEW).profile_part(frames(128), "0/2")


def test_a_network_that_does_not_know_its_shape_learns_it_of_the_first_frame():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    data = frames(256)
    found = [Monitor(module).profile_part(data, (k, 2), minimum_per_class=0) for k in range(2)]
    assert Monitor.merge(found, module).learned.trusted.frames == 256

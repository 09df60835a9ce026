"""A monitor that judges frames on the device, in a guard, against one of the host."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor import Monitor, NotReadyError, Status, Sum  # noqa: E402
from outrider.monitor.device.frames import DeviceFrameJudge, DeviceMonitor  # noqa: E402
from outrider.runtime import Guard  # noqa: E402

from .nets import asked, frames, learned, small  # noqa: E402


@pytest.fixture(scope="module")
def monitors():
    host = learned(small(), "bitmap", Sum())
    return host, DeviceMonitor.of(host.network, host.learned, host.logic, host.calibration)


def test_frames_are_judged_as_on_the_host(monitors):
    host, device = monitors
    judge, expected = device.bind(), host.bind()
    for frame in asked(n=12):
        (output, verdict), (own, other) = judge(frame), expected(frame)
        assert torch.equal(torch.as_tensor(output).nan_to_num(), torch.as_tensor(own).nan_to_num())
        assert torch.equal(judge.output_so_far().nan_to_num(), output.nan_to_num())
        assert verdict[:5] == other[:5] or np.isnan(other.threshold)
        assert (verdict.layers, verdict.reason) == (other.layers, other.reason)
        if verdict.status == Status.OK:
            assert np.isnan(verdict.deviation).all()
        else:
            np.testing.assert_array_equal(verdict.deviation, other.deviation if np.isfinite(other.score) else np.inf)


def test_a_guard_runs_on_it_and_hears_of_outputs_that_repeat(monitors):
    _, device = monitors
    guard = Guard(device, stuck=3).warm_up()
    assert isinstance(guard.judge, DeviceFrameJudge)
    assert all(guard(frame)[1].status < Status.FAULT for frame in frames(8, 3))
    broken = frames(1, 4)[0]
    broken[0, 0, 0] = np.nan
    assert guard(broken)[1].status == Status.FAULT
    judged = guard.judge._judged
    first = judged(torch.from_numpy(frames(1, 5)))
    guard.judge._judged = lambda *inputs, **named: first
    statuses = [guard(frame)[1].status == Status.STALE for frame in frames(6, 6)]
    assert statuses == [False, False, True, True, True, True]
    guard.judge._judged = judged
    assert guard(frames(1, 7)[0])[1].status < Status.FAULT


def test_it_comes_from_a_file_and_is_calibrated_first(monitors, tmp_path):
    host, _ = monitors
    host.save(tmp_path / "small.outrider")
    opened = DeviceMonitor.load(tmp_path / "small.outrider", host.network.module)
    np.testing.assert_array_equal(opened.scores(frames(4, 8)), host.scores(frames(4, 8)))
    bare = DeviceMonitor.of(host.network, host.learned, host.logic, None)
    with pytest.raises(NotReadyError, match="got one without a threshold"):
        bare.bind()
    assert type(Monitor.of(host.network, host.learned, host.logic, host.calibration).bind()).__name__ == "FrameJudge"

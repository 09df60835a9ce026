"""What breaks in the monitor, the network and profiles. See `injection`."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.coverage.kernels.ranges import range_outside
from outrider.monitor import MismatchError, Monitor, ProfileError, SignatureError, new_key, sign_file
from outrider.monitor.files.container import with_digest
from outrider.networks import OnnxNetwork
from outrider.runtime import Guard

from ..small_network import CLEAN, calibrated, model
from .injection import ALARM, FAULT, OK, Boom, Failures, Loose, boom, raising

FAILURES = Failures()


@FAILURES("an exception in a kernel")
def _(scene):
    scene.start()
    wrong = np.zeros((1, 96))
    bounds = wrong.astype(np.float32)
    broken = lambda *_: range_outside(wrong, np.zeros(1, np.int64), bounds, bounds, bounds[0])  # noqa: E731
    scene.patch.setattr(scene.guard.judge, "steps", [broken])
    scene.expect(FAULT, "TypeError: No matching definition")
    assert scene.guard.metrics.counters.faults == 1
    scene.heal()


@FAILURES("an exception in the logic")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.judge, "rate", boom)
    scene.expect(FAULT, "Boom: injected")
    scene.heal()


@FAILURES("NaN in a layer")
def _(scene):
    scene.start()
    scene.observing(lambda seen: [seen.activations[0].__setitem__((0, 17), np.nan), seen][1])
    verdict = scene.expect(ALARM, "NaN or Inf in the network, at r:unit")
    assert verdict.score == np.inf
    scene.flush()
    assert scene.events()[-1].neurons[0] == "r:unit[17]"
    scene.heal()


@FAILURES("Inf in the class scores")
def _(scene):
    scene.monitor = calibrated(OnnxNetwork(model(), taps="auto", neurons="unit"))
    scene.start()
    scene.observing(lambda seen: [seen.logits.__setitem__((0, 0), np.inf), seen][1])
    scene.expect(ALARM, "NaN or Inf in the network", output=[np.inf, scene.output[1]])
    scene.heal()


@FAILURES("an exception in the network, where it is observed")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.judge, "_observe", boom)
    scene.expect(FAULT, "Boom: injected")
    scene.heal()


@FAILURES("an exception in the network itself")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.judge, "_observe", boom)
    scene.patch.setattr(scene.network, "run", boom)
    scene.expect(FAULT, "Boom: injected", output=None)
    scene.heal()


@FAILURES("a network that returns neurons of another shape")
def _(scene):
    scene.monitor.save(scene.folder / "p.outrider")
    scene.start(monitor=Monitor.load(scene.folder / "p.outrider", Loose(scene.network)))
    scene.observing(lambda seen: seen._replace(activations=(seen.activations[0][:, :-1], *seen.activations[1:])))
    scene.expect(FAULT, "expected neurons float32 (1, 96), got float32 (1, 95)")
    scene.heal()


@FAILURES("a network that returns nothing")
def _(scene):
    scene.start()
    scene.observing(lambda seen: None)
    scene.expect(FAULT, "AttributeError")
    scene.heal()


@FAILURES("a network that was closed")
def _(scene):
    scene.start()
    scene.network.close()
    scene.expect(FAULT, "after close()", output=None)


@FAILURES("out of memory")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.judge, "rate", raising(MemoryError()))
    scene.expect(FAULT, "MemoryError")
    scene.heal()


@FAILURES("an exception with a message of 100 MB")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.judge, "rate", raising(Boom("x" * 10**8)))
    assert len(scene.expect(FAULT, "Boom: xxx").reason) < 1000
    scene.heal()


@FAILURES("an exception whose message raises")
def _(scene):
    class Mute(Exception):
        def __str__(self):
            raise Boom

    scene.start()
    scene.patch.setattr(scene.guard.judge, "rate", raising(Mute()))
    scene.expect(FAULT, "Mute, whose message cannot be read")
    scene.heal()


@FAILURES("Ctrl-C in the middle of a frame")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.judge, "rate", raising(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        scene.guard(CLEAN)
    scene.heal()


@FAILURES("a truncated profile on reload")
def _(scene):
    scene.start()
    path = scene.folder / "p.outrider"
    scene.monitor.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ProfileError, match="altered or cut short"):
        Guard.load(path, scene.network)
    scene.expect(OK)


@FAILURES("a profile with bytes turned over")
def _(scene):
    scene.start()
    path = scene.folder / "p.outrider"
    scene.monitor.save(path)
    data = bytearray(path.read_bytes())
    data[20:40] = bytes(255 - byte for byte in data[20:40])
    path.write_bytes(data)
    with pytest.raises(ProfileError):
        Guard.load(path, scene.network)
    scene.expect(OK)


def refused_on_disk(scene, change, match):
    """A profile changed on the disk: no guard begins with it, and the one that runs goes on."""
    scene.start()
    path = scene.folder / "p.outrider"
    scene.monitor.save(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ProfileError, match=match):
        Guard.load(path, scene.network)
    scene.expect(OK)


@FAILURES("one bit turned over in the threshold of a profile")
def _(scene):
    threshold = scene.monitor.calibration.thresholds.tobytes()
    higher = (scene.monitor.calibration.thresholds * 4).tobytes()
    refused_on_disk(scene, lambda data: data.replace(threshold, higher), "altered or cut short: its SHA-256 does not")


@FAILURES("a space in the header of a profile that became another")
def _(scene):
    refused_on_disk(scene, lambda data: data.replace(b'", ', b'",\t', 1), "altered or cut short")


@FAILURES("a threshold that its own scores do not give, under a digest that fits")
def _(scene):
    threshold = scene.monitor.calibration.thresholds.tobytes()
    higher = (scene.monitor.calibration.thresholds * 4).tobytes()
    refused_on_disk(
        scene,
        lambda data: with_digest(data.replace(threshold, higher)),
        "held-out frames above their thresholds|last",
    )


@FAILURES("a range that holds everything, under a digest that fits")
def _(scene):
    low = scene.monitor.learned.signatures[0].arrays["low"]
    endless = np.full_like(low, -np.inf).tobytes()
    words = r"column 0 \(r:unit single_range\): neuron 0: expected a range low <= high of finite numbers"
    refused_on_disk(scene, lambda data: with_digest(data.replace(low.tobytes(), endless)), words)


@FAILURES("a profile that its maker did not sign")
def _(scene):
    pytest.importorskip("cryptography")
    scene.start()
    path, public = scene.folder / "p.outrider", new_key(scene.folder / "maker.pem")
    scene.monitor.save(path)
    with pytest.raises(SignatureError, match="without a signature"):
        Guard.load(path, scene.network, key=public)
    sign_file(path, scene.folder / "maker.pem")
    with Guard.load(path, scene.network, key=public) as guard:
        assert guard(CLEAN)[1].status == OK
    scene.expect(OK)


@FAILURES("the profile of another network")
def _(scene):
    scene.start()
    scene.monitor.save(scene.folder / "p.outrider")
    other = Loose(scene.network)
    other.fingerprint = "0" * 64
    with pytest.raises(MismatchError, match="SHA-256"):
        Guard.load(scene.folder / "p.outrider", other)
    scene.expect(OK)


@pytest.mark.parametrize("name", FAILURES)
def test_failure(scene, name):
    FAILURES[name](scene)
    scene.finish()

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from benchmarks.places import car  # noqa: E402


def made(n, height=24, width=32, seed=0):
    rng = np.random.default_rng(seed)
    return car.CarDrive(rng.integers(0, 256, (n, height, width, 3), np.uint8), np.linspace(-1, 1, n, dtype=np.float32))


def test_a_tub_is_read_in_the_order_of_its_frames(tmp_path):
    drive = made(4)
    path = tmp_path / "tub.tar.gz"
    lines = []
    with tarfile.open(path, "w:gz") as files:

        def add(name, content):
            entry = tarfile.TarInfo(f"tub/{name}")
            entry.size = len(content)
            files.addfile(entry, io.BytesIO(content))

        for i in (2, 0, 3, 1):
            stored = io.BytesIO()
            Image.fromarray(drive.pictures[i]).save(stored, "png")
            add(f"images/{i}.png", stored.getvalue())
            lines.append({"_index": i, "cam/image_array": f"{i}.png", "user/angle": float(drive.angles[i])})
        add("catalog_0.catalog", "\n".join(map(json.dumps, lines)).encode())
        add("._catalog_0.catalog", b"what a Mac adds")
    found = car.read_drive(path)
    for part, expected in zip(found, drive, strict=True):
        np.testing.assert_array_equal(part, expected)
    seen = car.as_input(found.pictures)
    assert (seen.shape, seen.dtype) == ((4, 3, 12, 16), np.float32)
    assert seen[3, 1, 5, 7] == pytest.approx(drive.pictures[3, 10:12, 14:16, 1].mean() / 255)


def test_a_drive_as_a_ring_begins_elsewhere_and_loses_nothing():
    drive = made(10)
    turned = drive.turned(4)
    np.testing.assert_array_equal(turned.angles, drive.angles[[4, 5, 6, 7, 8, 9, 0, 1, 2, 3]])
    np.testing.assert_array_equal(turned.part(5, 7).pictures, drive.pictures[[9, 0]])


def test_the_network_learns_to_steer_and_its_model_says_the_same_of_any_number_of_frames():
    """A white column at the side to which the car steers."""
    rng = np.random.default_rng(1)
    angles = rng.choice([-0.8, 0.8], 96).astype(np.float32)
    pictures = rng.integers(0, 60, (96, 48, 64, 3), np.uint8)
    pictures[angles > 0, :, 44:56] = 250
    pictures[angles < 0, :, 8:20] = 250
    net = car.trained(car.CarDrive(pictures, angles), epochs=8)
    seen = car.as_input(pictures)
    with torch.no_grad():
        expected = net(torch.from_numpy(seen)).numpy()
    assert np.corrcoef(expected[:, 0], angles)[0, 1] > 0.9
    session = ort.InferenceSession(car.exported(net, 24, 32))
    for part in (slice(0, 1), slice(0, 96)):
        np.testing.assert_allclose(session.run(None, {"picture": seen[part]})[0], expected[part], atol=1e-5)

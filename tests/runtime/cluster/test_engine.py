"""A profile of a Ray dataset has the bits of shards without Ray, also when a worker is taken away."""

from __future__ import annotations

import builtins
import io
import logging
import os
import tarfile

import numpy as np
import pytest

from outrider.monitor import Monitor, ProfileError
from outrider.networks import OnnxNetwork, Preprocessing, load_dataset
from outrider.runtime import cluster
from outrider.runtime.cluster.worker import Worker

ROWS = 500
PICTURES = Preprocessing(size=(8, 8), order="L")


@pytest.fixture(scope="module")
def ray():
    """Ray on this machine, with two workers and a core to read; nothing is left of it afterwards."""
    found = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    psutil = pytest.importorskip("psutil")
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # it warns where this is not said
    found.init(
        num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=150 * 2**20,
        logging_level=logging.ERROR,
    )  # fmt: skip
    found.data.DataContext.get_current().enable_progress_bars = False
    yield found
    children = psutil.Process().children(recursive=True)
    found.shutdown()
    _, alive = psutil.wait_procs(children, timeout=20)
    for one in alive:
        one.kill()


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", "train")[:ROWS]


def without_ray(digits, model, path):
    frames = np.stack([PICTURES(picture) for picture in digits.images])
    parts = [
        Monitor(OnnxNetwork(model, preprocessing=PICTURES)).profile_part((frames, digits.labels), (k, 3))
        for k in range(3)
    ]
    monitor = Monitor.merge(parts, OnnxNetwork(model, preprocessing=PICTURES))
    monitor.learned.trusted.pictures = None  # arrays tell nothing of pictures
    monitor.save(path)
    return path.read_bytes()


def saved(monitor, path):
    assert monitor.learned.trusted.pictures.channels == {1}
    monitor.learned.trusted.pictures = None
    monitor.save(path)
    return path.read_bytes()


def kill_a_worker():
    """Take away one of the workers, as a cloud does."""
    import psutil

    for one in psutil.Process().children(recursive=True):
        if any("MapWorker" in word for word in one.cmdline()):
            one.kill()
            return True
    return False


@pytest.mark.filterwarnings("ignore")
def test_the_bits_are_the_same_also_when_a_worker_is_taken_away(ray, digits, model, tmp_path):
    rows = [{"image": digits.images[i, 0], "label": int(digits.labels[i])} for i in range(ROWS)]
    dataset = ray.data.from_items(rows, override_num_blocks=6)
    seen, killed = [], []

    def progress(done):
        seen.append(done)
        if not killed:
            killed.append(kill_a_worker())

    monitor = cluster.profile(
        dataset, str(model), column="image", label="label", workers=2, options={"preprocessing": PICTURES},
        progress=progress,
    )  # fmt: skip
    assert killed == [True]
    assert seen == [64, 128, 192, 256, 320, 384, 448, 500]
    assert saved(monitor, tmp_path / "ray.outrider") == without_ray(digits, model, tmp_path / "plain.outrider")


@pytest.mark.filterwarnings("ignore")
def test_files_of_pictures_through_rays_readers(ray, digits, model, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    files = []
    for picture in digits.images[:130, 0]:
        buffer = io.BytesIO()
        pillow.fromarray(picture).save(buffer, "PNG")
        files.append(buffer.getvalue())
    (tmp_path / "folder").mkdir()
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for i, data in enumerate(files):
            (tmp_path / "folder" / f"{i:04}.png").write_bytes(data)
            entry = tarfile.TarInfo(f"{i:04}.png")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    parquet.write_table(arrow.table({"image": files}), tmp_path / "set.parquet")
    blank = Monitor(OnnxNetwork(model, preprocessing=PICTURES)).profile_part(np.zeros((130, 1, 8, 8), "f4"), (0, 2**31))
    worker = Worker(lambda: OnnxNetwork(model, preprocessing=PICTURES), bytes(blank), "one", None)
    found = []
    for name in ("folder", "set.tar", "set.parquet"):
        dataset, column = cluster.read(str(tmp_path / name))
        values = [row[column] for row in dataset.take_all()]
        assert values == files
        found.append(worker({"one": np.array(values, object)})["state"][0])
    assert found[0] == found[1] == found[2]


@pytest.mark.filterwarnings("ignore")
def test_what_is_refused(ray, digits, model):
    dataset = ray.data.from_items([{"image": picture[0]} for picture in digits.images[:100]])
    settings = {"column": "image", "options": {"preprocessing": PICTURES}}
    with pytest.raises(ValueError, match="expected workers that leave a core to those that read, got 3 of 1 cores"):
        cluster.profile(dataset, str(model), workers=3, frames=100, **settings)
    with pytest.raises(ProfileError, match="expected trusted frames, got none"):
        cluster.profile(dataset, str(model), frames=0, **settings)
    with pytest.raises(TypeError, match="got a network, which cannot be sent to other machines"):
        cluster.profile(dataset, OnnxNetwork(model), frames=100, **settings)


def test_without_ray_it_says_how_to_install_it(monkeypatch, model):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name.split(".")[0] == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"profiling on a cluster needs Ray Data: pip install .*\[ray\]"):
        cluster.profile(None, str(model), column="image")
    with pytest.raises(ImportError, match="needs Ray Data"):
        cluster.read("folder")


def test_a_cluster_that_cannot_be_reached_is_told(monkeypatch, model):
    pytest.importorskip("ray.data")
    from outrider.runtime.cluster import engine

    class Away:
        @staticmethod
        def is_initialized():
            return False

        @staticmethod
        def init(**settings):
            raise ConnectionError("Could not find any running Ray instance at 10.0.0.1:6379\nmore")

    with pytest.raises(ConnectionError, match=r"expected a Ray cluster .*, got ConnectionError: Could"):
        engine._connect(Away)

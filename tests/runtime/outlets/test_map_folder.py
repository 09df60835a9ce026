"""A PNG file for each frame."""

from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import HarmonicP, Status, Verdict
from outrider.monitor.places import LargestArea, Places
from outrider.networks import Preprocessing
from outrider.runtime.outlets.map_folder import MapFolder

pillow = pytest.importorskip("PIL.Image")


def monitor(logic):
    return SimpleNamespace(logic=logic, network=SimpleNamespace(preprocessing=Preprocessing(scale=1 / 255)))


def verdict(places):
    return Verdict(Status.ALARM, 2.0, 1.0, 0.25, -1, np.zeros(1, np.float32), places=places)


def test_every_frame_with_a_picture_and_a_map_is_written(tmp_path):
    maps = MapFolder(tmp_path / "maps", monitor(LargestArea()))
    values = np.zeros((4, 6), np.float32)
    values[1:3, 2:5] = 8
    places = Places(values, 1.0, (40, 60))
    sample = np.full((3, 40, 60), 100 / 255, np.float32)
    maps.add("road/left 1.png", verdict(places), sample)
    maps.add("b", verdict(None), sample)
    maps.add("c", verdict(places), None)
    (written,) = (tmp_path / "maps").iterdir()
    assert written.name == "000001-road_left_1.png-alarm.png"
    pixels = np.asarray(pillow.open(written)).astype(int)
    assert pixels.shape == (40, 60, 3)
    assert pixels[35, 5].tolist() == [100, 100, 100]
    assert pixels[10, 20].tolist() == [0, 255, 255]
    assert str(maps) == f"1 map in {tmp_path / 'maps'}; 2 frames without a picture or a map"


def test_what_cannot_be_written_is_refused_before_a_frame_is_judged(tmp_path):
    with pytest.raises(ValueError, match="expected a profile of places for --maps"):
        MapFolder(tmp_path / "maps", monitor(HarmonicP()))
    with pytest.raises(FileNotFoundError):
        MapFolder(tmp_path / "none" / "maps", monitor(LargestArea()))
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        MapFolder(tmp_path / "file", monitor(LargestArea()))

"""Maps through a whole monitor, on networks whose features the frame itself decides."""

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, ProfileError, Status
from outrider.monitor.judging.grid import finest
from outrider.monitor.places import LargestArea, WorstPlace
from outrider.networks import Network, Observation, Tap, Taps

SIDE = 8


class Halves(Network):
    """Features (2, 8, 8), their means over 2 x 2 and, with classes, scores: class 1 where the first is above 0."""

    engine, fingerprint, dtype = "test", "0" * 64, "float32"
    classes, scores_output = None, None

    def __init__(self, classes=None):
        self.map_classes = classes
        self.input_shape = (2, SIDE, SIDE)
        self.taps = Taps(
            [
                Tap("coarse", "pool", (2, SIDE // 2, SIDE // 2), "NCHW", "float32", "pixel"),
                Tap("fine", "relu", (2, SIDE, SIDE), "NCHW", "float32", "pixel"),
            ]
        )

    def observe(self, batch):
        n = len(batch)
        coarse = batch.reshape(n, 2, SIDE // 2, 2, SIDE // 2, 2).mean((3, 5))
        activations = tuple(np.ascontiguousarray(np.moveaxis(a, 1, -1).reshape(-1, 2)) for a in (coarse, batch))
        scores = None
        if self.map_classes:
            scores = np.zeros((n, self.map_classes, SIDE, SIDE), np.float32)
            scores[:, 1] = batch[:, 0]
            scores[:, 2] = batch[:, 0] - 4  # class 2 where the first feature is very high: never above class 1
            scores[:, 2][batch[:, 0] > 5] = 100
        return Observation(batch.sum((1, 2, 3)), None, activations, scores)

    def run(self, batch):
        return self.observe(batch).output


def frames(n, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 2, SIDE, SIDE)).astype(np.float32)


def monitor(classes=None, logic=None):
    found = Monitor(Halves(classes), SingleRange(), logic=logic)
    found.profile([frames(40)], minimum_per_class=3 if classes is None else 0)
    found.calibrate([frames(60, 1)], 0.1)
    return found


def test_a_monitor_of_places_says_where():
    watch = monitor()
    assert watch.logic == LargestArea()
    strange = frames(3, 2)
    strange[1, :, 2:6, 4:8] = 3
    output, verdicts = watch.check(strange)
    np.testing.assert_array_equal(output, strange.sum((1, 2, 3)))
    assert verdicts.maps.shape == (3, SIDE, SIDE)
    assert verdicts.alarm.tolist() == [False, True, False]
    verdict = verdicts[1]
    assert verdict.map.argmax() in np.ravel_multi_index(np.mgrid[2:6, 4:8].reshape(2, -1), (SIDE, SIDE))
    left, top, right, bottom = verdict.regions[0].box
    assert left <= 5 < right
    assert top <= 3 < bottom
    assert "the largest region is" in verdict.reason
    assert verdict.regions[0].class_index == -1
    assert verdict.regions[0].places == int(verdict.score)
    assert verdict.places.above(verdict.threshold) == verdict.regions[:1]
    assert verdict.places.logic.score_of(verdict.regions[0], verdict.map.max()) == pytest.approx(verdict.score)


def test_a_frame_alone_has_the_map_that_it_has_in_a_batch():
    watch = monitor(classes=3)
    strange = frames(3, 3)
    strange[2, :, :3, :3] = 2
    verdicts = watch.check(strange)[1]
    for i, frame in enumerate(strange):
        _, verdict = watch(frame)
        np.testing.assert_array_equal(verdict.map, verdicts.maps[i])
        assert verdict.score == verdicts.score[i]
        assert verdict.regions == verdicts[i].regions
        np.testing.assert_array_equal(verdict.places.classes, frame[0] > 0)
    kept = verdicts[0].map
    watch.check(strange[::-1].copy())
    np.testing.assert_array_equal(kept, verdicts.maps[0])


def test_a_place_of_a_class_without_trusted_places_is_surprising_and_no_more():
    watch = monitor(classes=3, logic=WorstPlace(smooth=1))
    seen = frames(1, 4)
    seen[0, 0, 5, 2] = 6  # class 2, which no trusted place has
    verdict = watch.check(seen)[1][0]
    assert np.isfinite(verdict.score)
    assert np.isfinite(verdict.deviation).all()
    assert verdict.map.argmax() == 5 * SIDE + 2
    assert verdict.status == Status.ALARM
    of_fine = watch.deviation_maps(seen)["fine:pixel single_range"]
    assert np.isinf(of_fine[0, 5, 2])
    assert np.isinf(of_fine).sum() == 1
    area = monitor(classes=3, logic=LargestArea(smooth=1, level=0.999))
    assert np.isfinite(area.check(seen)[1].score[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_alarm_the_whole_frame(bad):
    watch = monitor(classes=3)
    seen = frames(2, 5)
    clean = watch.check(seen[1:])[1].score[0]
    seen[0, 1, 3, 3] = bad
    verdicts = watch.check(seen)[1]
    assert verdicts.score[0] == np.inf
    assert verdicts.status[0] == Status.FAULT
    assert verdicts.score[1] == clean
    assert watch.check(seen[1:])[1].score[0] == clean  # nothing stays of the batch before


def test_a_file_keeps_it(tmp_path):
    watch, seen = monitor(classes=3), frames(4, 6)
    watch.save(tmp_path / "a.outrider")
    loaded = Monitor.load(tmp_path / "a.outrider", Halves(3))
    assert loaded.logic == watch.logic
    np.testing.assert_array_equal(loaded.check(seen)[1].maps, watch.check(seen)[1].maps)
    assert loaded.check(seen)[1][0].places.level == watch.check(seen)[1][0].places.level


def test_a_logic_of_places_wants_places():
    class Flat(Halves):
        def __init__(self):
            super().__init__()
            self.taps = Taps([Tap("fine", "relu", (2, SIDE, SIDE), "NCHW", "float32", "channel")])

    with pytest.raises((ValueError, ProfileError), match="neurons 'pixel'"):
        Monitor(Flat(), SingleRange(), logic=LargestArea())


def test_the_grid_is_that_of_most_places():
    sizes = [(2, 3), (6, 4), (4, 6), (9, 12)]
    taps = [Tap(str(i), "relu", (2, *size), "NCHW", "float32", "pixel") for i, size in enumerate(sizes)]
    assert finest(taps[:3]) == ((6, 4), (6, 4))
    windows = Tap("w", "relu", (2, 9, 12), "NCHW", "float32", "pixel2")
    assert finest([taps[0], windows]) == ((5, 6), ((9, 2), (12, 2)))


def test_a_witness_without_a_number_alarms_too():
    class Beside(Halves):
        def __init__(self):
            super().__init__()
            self.taps = Taps([*self.taps, Tap("means", "relu", (2, SIDE, SIDE), "NCHW", "float32", "channel")])

        def observe(self, batch):
            seen = super().observe(batch)
            return seen._replace(activations=(*seen.activations, np.ascontiguousarray(self.means(batch))))

        def means(self, batch):
            return batch.mean((2, 3))

    network = Beside()
    watch = Monitor(network, SingleRange(), logic=WorstPlace())
    watch.profile([frames(40)])
    watch.calibrate([frames(60, 1)], 0.1)
    seen = frames(2, 7)
    clean = watch.check(seen)[1].score
    network.means = lambda batch: np.where(np.arange(len(batch))[:, None] > 0, np.float32(np.nan), batch.mean((2, 3)))
    verdicts = watch.check(seen)[1]
    assert verdicts.score.tolist() == [clean[0], np.inf]
    assert "NaN or Inf in the network, at means:channel" in verdicts[1].reason

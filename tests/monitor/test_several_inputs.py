"""A monitor of a network with two inputs: all forms of a batch, all that is broken in one of them; and a recurrent one.

The same numbers in one input are the reference: `Stacked` takes picture and vector as one row.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import CalibrationError, MismatchError, Monitor, ProfileError, Status, describe_profile, transfer
from outrider.monitor.files import read_profile, write_profile
from outrider.networks import Input, Recurrent

from ..networks.several import HIDDEN, SHAPE, Cell, Fused, fused_frames

CRITERIA = {"hidden": SingleRange()}


class Stacked(Fused):
    """The same network on rows of 30 numbers of the picture and 4 of the vector."""

    input_shape = (34,)

    @property
    def inputs(self):
        return (Input("rows", (34,)),)

    def observe(self, rows):
        return super().observe((rows[:, :30].reshape(-1, *SHAPE), rows[:, 30:]))


def stacked(frames):
    return np.concatenate([frames[0].reshape(len(frames[0]), -1), frames[1]], axis=1)


def taught(network, form):
    monitor = Monitor(network, CRITERIA)
    monitor.profile([form(fused_frames(500)), form(fused_frames(100, 1))])
    monitor.calibrate([form(fused_frames(600, 2))], 0.05)
    return monitor


@pytest.fixture(scope="module")
def monitor():
    return taught(Fused(), tuple)


def test_it_says_what_the_same_numbers_in_one_input_say(monitor):
    reference = taught(Stacked(), stacked)
    frames = fused_frames(80, 3)
    frames[1][::7] *= 20
    output, verdicts = monitor.check(frames)
    expected, of_rows = reference.check(stacked(frames))
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(verdicts.score, of_rows.score)
    np.testing.assert_array_equal(monitor.learned.trusted.probe, reference.learned.trusted.probe)
    assert verdicts.alarm[::7].mean() > 0.5 > verdicts.alarm[1::7].mean()


def test_every_form_of_a_batch_and_of_a_frame_is_the_same(monitor):
    camera, speed = fused_frames(3, 4)
    whole = monitor.check((camera, speed))[1]
    named = {"speed": speed, "camera": camera}
    np.testing.assert_array_equal(monitor.check(named)[1].score, whole.score)
    np.testing.assert_array_equal(monitor.deviations([camera, speed]), whole.deviation)
    for row in range(3):
        for frame in ((camera[row], speed[row]), {"speed": speed[row], "camera": camera[row]}):
            output, verdict = monitor(frame)
            assert output.shape == (3,)
            assert verdict.score == whole.score[row]


def test_tensors_are_taken_as_arrays(monitor):
    torch = pytest.importorskip("torch")
    camera, speed = fused_frames(3, 4)
    expected = monitor.check((camera, speed))[1].score
    np.testing.assert_array_equal(monitor.check((torch.from_numpy(camera), speed))[1].score, expected)
    assert monitor((torch.from_numpy(camera[0]), torch.from_numpy(speed[0])))[1].score == expected[0]


@pytest.mark.parametrize("at", [0, 1])
def test_nan_in_any_input_is_a_fault_and_is_not_learned(monitor, at):
    frames = fused_frames(4, 5)
    frames[at][2].flat[-1] = np.nan
    verdicts = monitor.check(frames)[1]
    assert [verdict.status == Status.FAULT for verdict in verdicts] == [False, False, True, False]
    assert monitor(tuple(part[2] for part in frames))[1].status == Status.FAULT
    fresh = Monitor(Fused(), CRITERIA)
    with pytest.warns(match="1 of 4 frames hold or cause NaN or Inf"):
        fresh.profile([frames], minimum_per_class=0)
    assert fresh.learned.trusted.accepted == 3


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            (np.zeros(SHAPE), np.zeros((2, HIDDEN))),
            r"input speed: expected one frame of shape \(4,\), got shape \(2, 4\)",
        ),
        ((np.zeros(SHAPE), 3), "input speed: expected one frame of shape .*, got int"),
        ((np.zeros(SHAPE),), "expected 2 arrays, for the inputs camera, speed, got 1"),
        ({"camera": np.zeros(SHAPE)}, "expected the inputs camera, speed, got camera"),
    ],
)
def test_what_is_no_frame_is_refused_by_its_input(monitor, frame, message):
    with pytest.raises(ValueError, match=message):
        monitor(frame)


def test_a_batch_of_unlike_inputs_is_refused(monitor):
    camera, speed = fused_frames(3)
    with pytest.raises(ValueError, match="expected as many frames of every input, got 3 of camera, 2 of speed"):
        monitor.check((camera, speed[:2]))


def test_the_file_names_the_inputs_and_another_network_is_refused(monitor, tmp_path):
    path = tmp_path / "m.outrider"
    monitor.save(path)
    facts = describe_profile(path)["network"]
    assert facts["inputs"] == [
        {"name": "camera", "shape": [1, 5, 6], "dtype": "float32"},
        {"name": "speed", "shape": [4], "dtype": "float32"},
    ]
    assert "inputs camera 1 x 5 x 6 and speed 4" in str(monitor.learned)
    loaded = Monitor.load(path, Fused())
    frames = fused_frames(9, 6)
    np.testing.assert_array_equal(loaded.check(frames)[1].score, monitor.check(frames)[1].score)
    facts = loaded.learned.facts
    assert facts.options()["input_shape"] == {"camera": SHAPE, "speed": (HIDDEN,)}
    assert "dtype" not in replace(facts, engine="torch").options()
    mixed = replace(facts, engine="torch", inputs=(Input("camera", SHAPE), Input("speed", (HIDDEN,), "int64")))
    assert mixed.options()["dtype"] == {"speed": "int64"}

    class Renamed(Fused):
        names = "camera", "pace"

    with pytest.raises(MismatchError, match=r"inputs: expected camera float32 .*speed.*, got camera .* pace float32"):
        Monitor.load(path, Renamed())


def test_a_network_of_one_input_has_no_such_facts(tmp_path):
    taught(Stacked(), stacked).save(tmp_path / "one.outrider")
    text = (tmp_path / "one.outrider").read_bytes()
    head = json.loads(json.loads(text[8 : 8 + int.from_bytes(text[:8], "little")])["__metadata__"]["outrider"])
    assert set(head["network"]) == {"engine", "fingerprint", "classes", "input_shape", "taps", "preprocessing"}


def test_a_checkpoint_holds_the_inputs_of_a_frame_together(tmp_path):
    whole, path = Monitor(Fused(), CRITERIA), tmp_path / "c"
    batches = [fused_frames(200, seed) for seed in range(3)]
    whole.profile(batches)
    half = Monitor(Fused(), CRITERIA)

    def stop(done):
        if done == 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half.profile(batches, progress=stop, checkpoint=path)
    held = read_profile(path)[0].spool.frames
    every = {part[0].tobytes() + part[1].tobytes() for batch in batches for part in zip(*batch, strict=True)}
    assert len(held[0]) == 256
    assert all(a.tobytes() + b.tobytes() in every for a, b in zip(*held, strict=True))
    profile = Monitor(Fused(), CRITERIA).profile(batches, checkpoint=path)
    np.testing.assert_array_equal(profile.trusted.probe, whole.learned.trusted.probe)


def test_a_monitor_moves_only_to_a_network_of_the_same_inputs(monitor):
    taps = {tap.id: tap.id for tap in Fused().taps}
    assert transfer(monitor, Fused(), taps).calibration is monitor.calibration

    class Wider(Fused):
        @property
        def inputs(self):
            return Input("camera", SHAPE), Input("speed", (7,))

    with pytest.raises(MismatchError, match=r"shapes of the inputs: expected .*\(4,\)\], got .*\(7,\)\]"):
        transfer(monitor, Wider(), taps)


# Recurrent networks.


@pytest.fixture
def drives():
    """Three drives of pictures, 200 frames each."""
    return [fused_frames(200, seed)[0] for seed in range(3)]


def recurrent():
    return Recurrent(Cell(), {"h_in": "h_out"})


def states_of(drive):
    """The state that each frame finds, by hand."""
    states = [np.zeros((1, HIDDEN), np.float32)]
    for picture in drive:
        states.append(Cell().run((picture[None], states[-1]))[1])
    return np.concatenate(states[:-1])


def test_drives_are_learned_in_order_and_begin_anew_where_the_generator_says(drives):
    network = recurrent()
    monitor = Monitor(network, CRITERIA)

    def batches():
        for drive in drives:
            network.reset()
            yield from (drive[start : start + 60] for start in range(0, 200, 60))

    network.memory = {"h_in": np.full((1, HIDDEN), 9, np.float32)}
    monitor.profile(batches())
    assert monitor.learned.trusted.probe is None
    bare = Monitor(Cell(), CRITERIA)
    bare.profile([(drive, states_of(drive)) for drive in drives])
    assert monitor.learned.trusted.frames == 600
    for mine, expected in zip(monitor.learned.signatures, bare.learned.signatures, strict=True):
        np.testing.assert_array_equal(mine.counts, expected.counts)
        for name, array in expected.arrays.items():
            np.testing.assert_allclose(mine.arrays[name], array, rtol=1e-6)  # sums of a matrix product


def test_calibration_begins_anew_and_frames_go_on(drives, tmp_path):
    network = recurrent()
    monitor = Monitor(network, CRITERIA)
    monitor.profile(drives[:2])
    thresholds = [monitor.calibrate(drives[2:], 0.05).thresholds for _ in range(2)]
    np.testing.assert_array_equal(*thresholds)
    network.reset()
    whole = monitor.check(drives[2][:20])[1].score
    network.reset()
    scores = [monitor(frame)[1].score for frame in drives[2][:20]]
    np.testing.assert_array_equal(scores, whole)
    monitor.save(tmp_path / "r.outrider")
    facts = read_profile(tmp_path / "r.outrider")[0].facts
    assert facts.states == {"h_in": "h_out"}
    assert [one.name for one in facts.frame] == ["camera"]
    options = facts.options()
    assert options["states"] == {"h_in": "h_out"}
    assert options["input_shape"] == {"camera": SHAPE, "h_in": (HIDDEN,)}
    with pytest.raises(MismatchError, match="states: expected h_in from h_out, got none"):
        Monitor.load(tmp_path / "r.outrider", Cell())


def test_a_resumed_profile_has_seen_the_frames_before(drives, tmp_path):
    def stop(done):
        if done == 400:
            raise KeyboardInterrupt

    path = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        Monitor(recurrent(), CRITERIA).profile(drives, progress=stop, checkpoint=path)
    resumed, whole = Monitor(recurrent(), CRITERIA), Monitor(recurrent(), CRITERIA)
    resumed.profile(drives, checkpoint=path)
    whole.profile(drives)
    for name, monitor in (("a", resumed), ("b", whole)):
        write_profile(tmp_path / name, monitor.learned, monitor.logic)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_profile_of_unnamed_states_is_damaged(drives, tmp_path):
    monitor = Monitor(recurrent(), CRITERIA)
    monitor.profile(drives)
    facts = monitor.learned.facts.to_dict()
    facts["states"] = {"h_in": None}
    with pytest.raises(ValueError, match="expected the outputs of states by index or name"):
        type(monitor.learned.facts).from_dict(facts)
    with pytest.raises(ProfileError, match="expected trusted batches, got none"):
        monitor.profile([])


@pytest.mark.parametrize("form", ["pair", "mapping", "recurrent"])
def test_frames_that_were_profiled_are_known_by_all_their_inputs(form):
    camera, speed = fused_frames(300)
    if form == "recurrent":
        network, profiled, others = Recurrent(Cell(), {"h_in": "h_out"}), camera, fused_frames(300, 1)[0]
    else:
        network, profiled, others = Fused(), (camera, speed), (camera, fused_frames(300, 1)[1])
    monitor = Monitor(network, CRITERIA)
    monitor.profile([profiled], minimum_per_class=0)
    again = {"speed": speed, "camera": camera} if form == "mapping" else profiled
    with pytest.raises(CalibrationError, match="got 300 of 300 that it was learned from"):
        monitor.calibrate([again], 0.2)
    assert monitor.calibrate([others], 0.2).n == 300  # one input of the frame is another one

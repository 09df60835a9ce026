"""What is said of a frame before the network sees it, against numpy."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from outrider.monitor import Status
from outrider.networks import Input
from outrider.runtime.loop.frame_check import FrameCheck, as_array, frame_check_of, noise_for
from outrider.runtime.loop.kernels import frame_facts

DTYPES = ["float16", "float32", "float64", "uint8", "int8", "uint16", "int32", "int64"]
frames = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=5, max_side=6))
)


def picture(dtype="float32", seed=0):
    return (np.random.default_rng(seed).random((3, 8, 6)) * 100).astype(dtype)


def is_of_one_colour(frame):
    words = np.ascontiguousarray(frame).view(f"u{frame.dtype.itemsize}")
    whole = (words == words.flat[0]).all()
    if frame.ndim < 3 or frame.size <= 4:
        return whole
    of_colours = [axis for axis in range(frame.ndim) if frame.shape[axis] <= 4 and (frame.ndim > 3 or axis != 1)]
    planes = [np.moveaxis(words, axis, 0).reshape(frame.shape[axis], -1) for axis in of_colours]
    return whole or any((plane == plane[:, :1]).all() for plane in planes)


@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 8, 9, 7), 0), ((8, 9, 7, 3), 3), ((6, 3, 9, 7), 1), ((6, 5, 3, 9, 7), 2)]
)
def test_volumes_and_views_of_one_colour_are_told_wherever_the_colours_are(shape, axis):
    colours = np.arange(1, 4, dtype=np.float32).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    frame = np.ascontiguousarray(np.broadcast_to(colours, shape))
    check = FrameCheck(shape, "float32")
    assert "of one colour throughout" in check.judge(frame)[1]
    for place in (-1, frame.size // 2):
        other = frame.copy()
        other.flat[place] += 1
        assert check.judge(other) == (Status.OK, "", True)


@given(frames)
@settings(deadline=None)  # the first frame of a form compiles
def test_non_finite_and_constant_frames_are_those_that_numpy_finds(frame):
    status, reason, runs = FrameCheck(frame.shape, str(frame.dtype)).judge(frame)
    assert runs
    if not np.isfinite(frame).all():
        assert (status, reason) == (Status.FAULT, "the frame holds NaN or Inf")
    elif is_of_one_colour(frame):
        assert status == Status.FAULT
        assert "of one colour throughout" in reason
    else:
        assert (status, reason) == (Status.OK, "")


def digest(frame, width):
    last = np.zeros(2, np.uint64)
    frame_facts(frame.dtype, 1)(frame, np.zeros(1, f"u{width}"), last)
    return int(last[0])


@given(arrays.arrays("uint8", 24), st.integers(0, 23), st.integers(1, 255))
@settings(deadline=None)
def test_frames_that_differ_in_one_value_have_other_digests(frame, place, change):
    other = frame.copy()
    other[place] ^= change
    assert digest(frame, 1) != digest(other, 1)
    wide, wider = frame.view("u4"), other.view("u4")
    assert digest(wide, 4) != digest(wider, 4)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_lights_that_move_apart_are_no_frozen_picture(dtype):
    check = FrameCheck((48, 64), dtype, frozen=2)
    for step in range(30):
        frame = np.zeros((48, 64), dtype)
        frame[20:24, 30 - step : 32 - step] = frame[20:24, 32 + step : 34 + step] = 200
        assert check.judge(frame)[0] == Status.OK


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 8, 6), (8, 6, 3), (1, 8, 6), (1, 8, 3), (8, 6), (48,)])
def test_a_blank_screen_is_found_behind_its_normalisation(shape, dtype):
    mean = np.array([0.485, 0.456, 0.406], dtype)
    frame = np.full(shape, 0.1, dtype)
    if 3 in shape:
        frame -= mean[:, None, None] if shape[0] == 3 else mean
    check = FrameCheck(shape, dtype)
    assert check.judge(frame)[0] == Status.FAULT
    frame.reshape(-1)[-1] += 1
    assert check.judge(frame)[0] == Status.OK


def test_a_frame_and_its_complement_are_two():
    frame = np.random.default_rng(0).integers(-9, 9, (8, 6))
    check = FrameCheck(frame.shape, "int64", frozen=2)
    assert [check.judge(values)[0] for values in (frame, ~frame)] == [Status.OK] * 2


def test_two_values_that_change_places_have_another_digest():
    frame = np.arange(24, dtype=np.uint32)
    other = frame.copy()
    other[[3, 20]] = other[[20, 3]]
    assert digest(frame, 4) != digest(other, 4)


def test_a_frozen_picture_is_stale_until_it_moves():
    check = FrameCheck((3, 8, 6), "float32", frozen=3)
    still = picture()
    assert [check.judge(still.copy())[0] for _ in range(2)] == [Status.OK] * 2
    assert check.judge(still) == (Status.STALE, "the picture is frozen: the same bytes 3 frames in a row", True)
    assert check.judge(still)[1].endswith("4 frames in a row")
    assert check.judge(picture(seed=1))[0] == Status.OK
    assert check.judge(still)[0] == Status.OK
    check.reset()
    assert check.judge(still)[0] == Status.OK


def test_frames_of_any_memory_order_are_judged():
    check = FrameCheck((6, 8, 3), "float32")
    frame = picture().transpose(2, 1, 0)
    assert check.judge(frame)[0] == Status.OK
    frame[1, 1, 1] = np.inf
    assert check.judge(frame)[0] == Status.FAULT


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ([[1.0]], "expected a numpy array or a torch tensor, got list"),
        (picture("float64"), "expected a frame of dtype float32, got float64"),
        (picture()[:, :, :5], r"expected a frame of shape (3, None, 6), got (3, 8, 5)"),
        (picture()[0], r"expected a frame of shape (3, None, 6), got (8, 6)"),
        (picture()[:, :0], r"expected a frame of shape (3, None, 6), got (3, 0, 6)"),
        (picture(), ""),
        (picture()[:, :4], ""),
    ],
)
def test_frames_the_network_cannot_take_are_refused(frame, reason):
    expected = (Status.FAULT, reason, False) if reason else (Status.OK, "", True)
    assert FrameCheck((3, None, 6), "float32").judge(frame) == expected


def test_a_frozen_count_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="expected frozen as None or a number of frames from 2, got 1"):
        FrameCheck((3, 8, 6), "float32", frozen=1)


def test_a_tensor_is_judged_where_it_lies():
    torch = pytest.importorskip("torch")
    frame = torch.from_numpy(picture()).requires_grad_()
    assert np.shares_memory(as_array(frame), frame.detach().numpy())
    check = FrameCheck((3, 8, 6), "float32", frozen=3)
    assert [check.judge(one)[0] for one in (frame, picture(), frame)] == [Status.OK, Status.OK, Status.STALE]
    assert check.judge(frame.detach() * torch.inf) == (Status.FAULT, "the frame holds NaN or Inf", True)
    assert check.judge(frame.double())[1] == "expected a frame of dtype float32, got float64"
    assert check.judge(frame.bfloat16())[1] == "expected a numpy array or a torch tensor, got Tensor"


@pytest.mark.parametrize("other", [None, [1.0], "frame"])
def test_what_is_no_tensor_stays_as_it_is(other):
    assert as_array(other) is other


def test_a_number_of_an_array_of_many_is_one_frame_of_them():
    speeds = np.arange(3, dtype=np.float32)
    check = frame_check_of((INPUTS[0], Input("speed", ())), None)
    frame = check.taken((picture(), speeds[1]))
    assert type(frame[1]) is np.ndarray
    assert check.judge(frame) == (Status.OK, "", True)
    assert check.judge((picture(), np.float64(1)))[1] == "input speed: expected a frame of dtype float32, got float64"


def test_a_tensor_elsewhere_is_copied():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no other device")
    assert FrameCheck((3, 8, 6), "float32").judge(torch.from_numpy(picture()).cuda())[0] == Status.OK


# Several inputs.

INPUTS = Input("camera", (3, 8, 6)), Input("speed", (4,), "float64"), Input("gate", (1, 4)), Input("on", (2,), "bool")


def whole(seed=0, **changed):
    speed, gate, on = np.zeros(4), np.ones((1, 4), np.float32), np.array([True, False])
    return {"camera": picture(seed=seed), "speed": speed, "gate": gate, "on": on} | changed


@pytest.mark.parametrize("form", [dict, lambda frame: tuple(frame.values()), lambda frame: list(frame.values())])
def test_every_input_is_checked_and_vectors_may_stand_still(form):
    check = frame_check_of(INPUTS, frozen=3)
    for seed in range(5):
        assert check.judge(check.taken(form(whole(seed)))) == (Status.OK, "", True)
    assert [check.judge(form(whole(9)))[0] for _ in range(3)] == [Status.OK, Status.OK, Status.STALE]
    assert check.judge(form(whole(9)))[1] == "input camera: the picture is frozen: the same bytes 4 frames in a row"
    check.reset()
    assert check.judge(form(whole(9)))[0] == Status.OK


@pytest.mark.parametrize(
    ("changed", "reason", "runs"),
    [
        ({"speed": np.array([0, np.inf, 0, 0])}, "input speed: the frame holds NaN or Inf", True),
        (
            {"camera": np.ones((3, 8, 6), np.float32)},
            "input camera: the frame is of one colour throughout, .* 1.0",
            True,
        ),
        ({"speed": np.zeros(4, np.float32)}, "input speed: expected a frame of dtype float64, got float32", False),
        ({"gate": np.ones((2, 4), np.float32)}, r"input gate: expected a frame of shape \(1, 4\), got \(2, 4\)", False),
        (
            {"speed": np.full(4, np.nan), "camera": np.full((3, 8, 6), np.nan, np.float32)},
            "input camera: the frame holds NaN or Inf; input speed: the frame holds NaN or Inf",
            True,
        ),
        ({"speed": np.full(4, np.nan), "on": 3}, "input on: expected a numpy array or a torch tensor, got int", False),
        ({"pace": 1}, "expected the inputs camera, speed, gate, on, got camera, speed, gate, on, pace", False),
    ],
)
def test_the_reason_names_the_input(changed, reason, runs):
    check = frame_check_of(INPUTS, None)
    status, found, taken = check.judge(check.taken(whole(**changed)))
    assert (status, taken) == (Status.FAULT, runs)
    assert re.fullmatch(reason, found)


def test_a_fault_of_one_input_hides_no_frozen_other():
    check = frame_check_of(INPUTS, frozen=2)
    assert check.judge(whole(speed=np.full(4, np.nan)))[0] == Status.FAULT
    assert check.judge(whole())[0] == Status.STALE
    broken = check.judge(whole(speed=np.full(4, np.nan)))  # the camera is frozen, and the guard must know of the NaN
    assert broken == (Status.FAULT, "input speed: the frame holds NaN or Inf", True)


class Odd(dict):
    def __iter__(self):
        raise KeyError("odd")


@pytest.mark.parametrize("inputs", [INPUTS, INPUTS[:1]])
def test_no_mapping_of_the_callers_own_breaks_out(inputs):
    frame = Odd(whole())
    assert frame_check_of(inputs, None).taken(frame) is frame


def test_frozen_needs_a_picture_where_there_are_several_inputs():
    with pytest.raises(
        ValueError, match="expected frozen for a network that takes a picture or a map, got one of vectors"
    ):
        frame_check_of(INPUTS[1:], frozen=2)
    assert isinstance(frame_check_of(INPUTS[:1], frozen=2), FrameCheck)


def test_a_mask_may_be_of_one_value_and_stand_still():
    check = frame_check_of((INPUTS[0], Input("mask", (8, 6), "bool")), frozen=2)
    for seed in range(3):
        assert check.judge((picture(seed=seed), np.zeros((8, 6), bool))) == (Status.OK, "", True)


def test_tensors_and_one_named_input_become_arrays():
    torch = pytest.importorskip("torch")
    frame = frame_check_of(INPUTS, None).taken(whole(camera=torch.ones(3, 8, 6)))
    assert [type(part) for part in frame] == [np.ndarray] * 4
    check = frame_check_of(INPUTS[:1], None)
    camera = picture()
    assert check.taken({"camera": camera}) is camera
    assert check.judge(check.taken({"lidar": camera}))[1] == "expected a numpy array or a torch tensor, got dict"


def test_noise_fits_every_input():
    frame = noise_for((*INPUTS, Input("open", (None, 2), "uint8"), Input("one", ())))
    assert [(part.shape, str(part.dtype)) for part in frame] == [
        ((3, 8, 6), "float32"), ((4,), "float64"), ((1, 4), "float32"), ((2,), "bool"), ((1, 2), "uint8"),
        ((), "float32"),
    ]  # fmt: skip
    indices = noise_for([Input("words", (3,), "int64")])
    assert indices.dtype == np.int64
    assert not indices.any()
    np.testing.assert_array_equal(noise_for(INPUTS[:1]), np.random.default_rng(0).random((3, 8, 6), np.float32))

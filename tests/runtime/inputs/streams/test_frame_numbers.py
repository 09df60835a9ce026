"""The numbers of H.264's slices, written bit by bit as the standard says, and videos that lost pictures."""

from __future__ import annotations

import pytest

from outrider.runtime.inputs.streams.frame_numbers import FrameNumbers

from .videos import drive, write_video


def unsigned(value):
    """Exp-Golomb, clause 9.1."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def unit(header, *bits):
    """A NAL unit, with the byte that keeps start codes out of it."""
    text = "".join(bits) + "1"
    data = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    made = bytearray()
    for byte in data:
        if made[-2:] == b"\0\0" and byte < 4:
            made.append(3)
        made.append(byte)
    return bytes([header]) + bytes(made)


def sequence(*, may_skip="0", profile=66, high="", order="1" + "011"):
    """A set with frame_num of 5 bits."""
    return unit(0x67, f"{profile:08b}", "0" * 16, unsigned(0), high, unsigned(1), order, unsigned(1), may_skip, "0" * 9)


PICTURE = unit(0x68, unsigned(0), unsigned(0), "0" * 8)
LISTS = "1" + "1" + unsigned(11) + "1" * 15 + "0" * 6 + "1" + unsigned(16)
"""Scaling lists: the first says 14 sixteen times, six are left out, the last ends at once."""


def piece(number, *, key=False, reference=True, first=0, apart=""):
    header = (0x60 if reference else 0) | (5 if key else 1)
    return unit(header, unsigned(first), unsigned(7), unsigned(0), apart, f"{number:05b}", "0" * 40)


def annex_b(*units):
    return b"".join(b"\0\0\0\1" + one for one in units)


def gaps(numbers, *pieces):
    return [numbers.gap(annex_b(one)) for one in pieces]


def test_a_step_of_more_than_one_is_a_gap():
    numbers = FrameNumbers(annex_b(sequence(), PICTURE))
    assert gaps(numbers, *map(piece, (4, 5, 6, 8, 9))) == [False, False, False, True, False]
    assert gaps(numbers, *map(piece, (30, 31, 0, 1, 2))) == [True, False, False, False, False]
    assert gaps(numbers, piece(3), piece(3), piece(3)) == [False] * 3  # the second field of a picture
    assert gaps(numbers, piece(0, key=True), piece(1)) == [False] * 2
    assert gaps(numbers, piece(30), piece(0)) == [True, False]  # an encoder may count anew


def test_what_nothing_is_predicted_from_does_not_count():
    numbers = FrameNumbers(annex_b(sequence(), PICTURE))
    loose = piece(5, reference=False)
    assert gaps(numbers, piece(4), loose, loose, piece(5), piece(6, reference=False), piece(7)) == [False] * 5 + [True]
    assert numbers.gap(annex_b(piece(8), piece(30, first=9))) is False
    assert gaps(FrameNumbers(annex_b(sequence(may_skip="1"), PICTURE)), piece(4), piece(9)) == [False] * 2


@pytest.mark.parametrize(
    ("profile", "high", "order", "apart"),
    [
        (
            100,
            unsigned(1) + unsigned(0) * 2 + "0" + "0",
            unsigned(1) + "0" + unsigned(4) * 2 + unsigned(2) + "1" * 2,
            "",
        ),
        (100, unsigned(1) + unsigned(0) * 2 + "0" + LISTS, unsigned(2), ""),
        (244, unsigned(3) + "1" + unsigned(0) * 2 + "0" + "0", unsigned(2), "10"),
    ],
)
def test_sets_of_every_form_are_read(profile, high, order, apart):
    parameters = sequence(profile=profile, high=high, order=order)
    numbers = FrameNumbers(annex_b(parameters, PICTURE))
    assert gaps(numbers, *(piece(number, apart=apart) for number in (7, 8, 10))) == [False, False, True]


def test_units_may_have_lengths_and_sets_may_come_in_the_stream():
    parameters = sequence()
    in_mp4 = b"\1\x42\0\x1e\xfd\xe1" + len(parameters).to_bytes(2, "big") + parameters
    numbers = FrameNumbers(in_mp4 + b"\1" + len(PICTURE).to_bytes(2, "big") + PICTURE)
    packets = [len(one).to_bytes(2, "big") + one for one in map(piece, (4, 5, 7))]
    assert [numbers.gap(packet) for packet in packets] == [False, False, True]
    numbers = FrameNumbers(b"")
    assert gaps(numbers, piece(4), piece(9)) == [False] * 2  # nothing is known yet
    assert [numbers.gap(annex_b(sequence(), PICTURE, piece(4, key=True))), *gaps(numbers, piece(6))] == [False, True]


def test_broken_units_are_no_numbers():
    numbers = FrameNumbers(annex_b(sequence(), PICTURE))
    with pytest.raises(ValueError, match="the end of the unit"):
        numbers.gap(annex_b(b"\x61\x08"))
    with pytest.raises((ValueError, IndexError)):
        FrameNumbers(b"\1\x42\0\x1e\xfd\xe1\0\x09\x67")


@pytest.mark.parametrize("kind", ["mp4", "ts"])
def test_pictures_after_lost_ones_are_no_pictures_to_believe(opened, tmp_path, kind):
    av = pytest.importorskip("av")
    whole = write_video(tmp_path / f"a.{kind}", drive(30), "libx264", gop=20, tune="zerolatency")
    assert not any(frame.problem for frame in opened(whole))
    with av.open(str(whole)) as source, av.open(str(tmp_path / f"b.{kind}"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and number not in (7, 8):
                packet.stream = stream
                target.mux(packet)
    problems = [frame.problem for frame in opened(tmp_path / f"b.{kind}")]
    assert [bool(problem) for problem in problems] == [False] * 7 + [True] * 11 + [False] * 10
    assert "got one after damage (a stream that lacks pictures)" in problems[7]

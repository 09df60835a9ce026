"""MCAP files, whole, cut off and damaged."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs.streams import image_message

from .recordings import RGB, STAMP, WIDTH, compressed, drive, image, pictures_of, write_mcap

SINGLE_CHUNKS = {"chunk_size": 1}


@pytest.mark.parametrize("options", [SINGLE_CHUNKS, {}, {"use_chunking": False}, {"use_summary_offsets": False}])
def test_an_mcap_file(opened, ros, tmp_path, options):
    pixels, messages = drive(ros)
    stream = opened(write_mcap(ros, tmp_path / "a.mcap", messages, **options))
    frames = list(stream)
    assert not stream.live
    assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
    assert [frame.time for frame in frames] == pytest.approx([STAMP + row / 10 for row in range(5)], abs=1e-6)
    assert [frame.name for frame in frames] == [f"/camera[{row}]" for row in range(5)]
    assert len(list(stream)) == 5
    stream.close()


def test_messages_come_by_log_time(opened, ros, tmp_path):
    pixels, messages = drive(ros)
    path = write_mcap(ros, tmp_path / "a.mcap", messages[::-1], **SINGLE_CHUNKS)
    assert np.array_equal(pictures_of(opened(path)), pixels)


def test_a_folder_of_mcap_files_is_one_stream(opened, ros, tmp_path):
    pixels, messages = drive(ros, 12)
    for row in range(12):
        write_mcap(ros, tmp_path / f"part_{row}.mcap", messages[2 * row : 2 * row + 2])
    assert np.array_equal(pictures_of(opened(tmp_path)), pixels)


def test_a_channel_in_another_encoding_is_no_topic_of_pictures(opened, tmp_path):
    mcap = pytest.importorskip("mcap.writer")
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = mcap.Writer(file)
        writer.start()
        schema = writer.register_schema(image_message.IMAGE, "jsonschema", b"{}")
        writer.add_message(writer.register_channel("/camera", "json", schema), 0, b"{}", 0)
        writer.finish()
    with pytest.raises(ValueError, match=r"got /camera \(sensor_msgs/msg/Image in json\)"):
        opened(path)


@pytest.mark.parametrize("options", [SINGLE_CHUNKS, {"use_chunking": False}])
@pytest.mark.parametrize("share", [0.35, 0.6, 0.8])
def test_what_a_crash_left_of_an_mcap_file_is_read_and_told(opened, ros, tmp_path, options, share):
    pixels, messages = drive(ros, 20)
    data = write_mcap(ros, tmp_path / "whole.mcap", messages, **options).read_bytes()
    last = data.rindex(messages[-1][2].data.encode())  # what comes behind is the index
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(data[: int(share * last)])
    with pytest.warns(OutriderWarning, match="cut.mcap: the recording is not whole") as caught:
        read = pictures_of(opened(cut))
    assert abs(len(read) - share * 20) < 2
    assert np.array_equal(read, pixels[: len(read)])
    assert f"{len(read)} pictures of /camera could be read" in str(caught[0].message)


def test_every_cut_of_a_small_mcap_file_gives_a_beginning_or_a_clear_error(opened, ros, tmp_path):
    pixels, messages = drive(ros, 3)
    data = write_mcap(ros, tmp_path / "whole.mcap", messages, **SINGLE_CHUNKS).read_bytes()
    cut, counts = tmp_path / "cut.mcap", []
    for end in range(0, len(data), 7):
        cut.write_bytes(data[:end])
        try:
            stream = opened(cut)
        except ValueError as error:
            assert "expected an MCAP file" in str(error) or "expected a topic" in str(error)  # noqa: PT017
            continue
        with pytest.warns(OutriderWarning, match="not whole"):
            read = pictures_of(stream)
        stream.close()
        assert np.array_equal(read, pixels[: len(read)])
        counts.append(len(read))
    assert counts == sorted(counts)
    assert set(counts) == {1, 2, 3}


@pytest.mark.parametrize("options", [SINGLE_CHUNKS, SINGLE_CHUNKS | {"index_types": 0}])
def test_a_damaged_chunk_ends_the_stream_and_is_told(opened, ros, tmp_path, options):
    mcap = pytest.importorskip("mcap.writer")
    if "index_types" in options:
        options = options | {"index_types": mcap.IndexType.NONE}
    pixels, messages = drive(ros, 6)
    path = write_mcap(ros, tmp_path / "a.mcap", messages, compression=mcap.CompressionType.NONE, **options)
    data = bytearray(path.read_bytes())
    data[data.index(pixels[3].tobytes()) + 20] ^= 1
    path.write_bytes(data)
    with pytest.warns(OutriderWarning, match=r"not whole \(crc validation failed.*; 3 pictures"):
        read = pictures_of(opened(path))
    assert np.array_equal(read, pixels[:3])


def test_a_message_that_is_broken_is_a_frame_with_a_problem(opened, ros, tmp_path):
    broken = image(ros, RGB, step=3 * WIDTH - 1)
    torn = compressed(ros, RGB)
    torn.data = torn.data[:40]
    path = write_mcap(ros, tmp_path / "a.mcap", [("/c", 1.0, image(ros, RGB)), ("/c", 2.0, broken)])
    good, bad = opened(path)
    assert (good.problem, bad.picture) == ("", None)
    assert (
        bad.problem == "/c[1]: expected an image message, got encoding rgb8: 180 bytes in rows of 29 for 10 x 6 pixels"
    )
    (frame,) = opened(write_mcap(ros, tmp_path / "b.mcap", [("/c", 1.0, torn)]))
    assert frame.picture is None
    assert "expected an image message" in frame.problem


def test_bytes_that_are_no_message(opened, tmp_path, ros):
    mcap = pytest.importorskip("mcap.writer")
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = mcap.Writer(file)
        writer.start()
        schema = writer.register_schema(image_message.IMAGE, "ros2msg", b"")
        channel = writer.register_channel("/camera", "cdr", schema)
        for row, data in enumerate([b"", b"\0\1\0\0", b"\xff" * 90, b"\0\1\0\0" + b"\xff" * 60]):
            writer.add_message(channel, row, data, row)
        writer.finish()
    frames = list(opened(path))
    assert [frame.picture for frame in frames] == [None] * 4
    assert all("expected an image message" in frame.problem for frame in frames)

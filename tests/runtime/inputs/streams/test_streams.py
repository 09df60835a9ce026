"""Streams: what comes out of folders, videos, cameras, MCAP files and bags, whole and broken."""

from __future__ import annotations

import io
import sqlite3
import struct
import sys
import threading
import time
import types
import zlib
from contextlib import ExitStack, closing

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs import streams
from outrider.runtime.inputs.streams import camera, image_message, open_stream, paced

STAMP = 1_700_000_000  # seconds since 1970
HEIGHT, WIDTH = 6, 10


def colours(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, HEIGHT, WIDTH, 3), np.uint8)


def pictures_of(stream):
    return [frame.picture.transpose(1, 2, 0) for frame in stream]


@pytest.fixture
def opened():
    """`open_stream`, closed at the end of the test."""
    with ExitStack() as stack:

        def use(path, **options):
            stream = open_stream(str(path), **options)
            stack.callback(stream.close)
            return stream

        yield use


# Messages, written by rosbags.


@pytest.fixture(scope="module")
def ros():
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    return types.SimpleNamespace(store=store, typesys=typesys, **{k.split("/")[-1]: v for k, v in store.types.items()})


def image(ros, pixels, encoding="rgb8", *, stamp=0.0, padding=0, big=False, **changes):
    """A message of an array (height, width[, channels]), rows padded with bytes that are no pixels."""
    pixels = np.asarray(pixels)
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    fields = {
        "height": pixels.shape[0], "width": pixels.shape[1], "encoding": encoding, "is_bigendian": int(big),
        "step": rows.shape[1], "data": rows.reshape(-1),
    } | changes  # fmt: skip
    return ros.Image(header(ros, stamp), **fields)


def header(ros, stamp):
    seconds = int(stamp)
    return ros.Header(stamp=ros.Time(sec=seconds, nanosec=round((stamp - seconds) * 1e9)), frame_id="camera")


def compressed(ros, pixels, kind="PNG"):
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pillow.fromarray(pixels).save(file, kind)
    return ros.CompressedImage(header(ros, 0.0), kind.lower(), np.frombuffer(file.getvalue(), np.uint8))


def write_mcap(ros, path, messages, **options):
    """messages: (topic, seconds, message). Options as for mcap's Writer."""
    mcap = pytest.importorskip("mcap.writer")
    with path.open("wb") as file:
        writer = mcap.Writer(file, **options)
        writer.start("ros2", "test")
        channels = {}
        for topic, seconds, message in messages:
            kind = message.__msgtype__
            if topic not in channels:
                schema = writer.register_schema(kind, "ros2msg", b"")
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            nanoseconds = round(seconds * 1e9)
            data = bytes(ros.store.serialize_cdr(message, kind))
            writer.add_message(channels[topic], nanoseconds, data, nanoseconds)
        writer.finish()
    return path


def write_bag(ros, path, messages, storage="SQLITE3", *, compress=False):
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    bag = rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin[storage])
    if compress:
        bag.set_compression(rosbag2.CompressionMode.MESSAGE, rosbag2.CompressionFormat.ZSTD)
    with bag as writer:
        connections = {}
        for topic, seconds, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=ros.store)
            writer.write(connections[topic], round(seconds * 1e9), ros.store.serialize_cdr(message, kind))
    return path


def write_bag1(ros, path, messages):
    rosbag1 = pytest.importorskip("rosbags.rosbag1")
    store = ros.typesys.get_typestore(ros.typesys.Stores.ROS1_NOETIC)
    kinds = {kind.split("/")[-1]: value for kind, value in store.types.items()}
    with rosbag1.Writer(path) as writer:
        connection = writer.add_connection("/camera", image_message.IMAGE, typestore=store)
        for seconds, pixels in messages:
            stamp = store.types["builtin_interfaces/msg/Time"](sec=int(seconds), nanosec=0)
            message = kinds["Image"](
                kinds["Header"](seq=0, stamp=stamp, frame_id=""), HEIGHT, WIDTH, "rgb8", 0, 3 * WIDTH,
                pixels.reshape(-1),
            )  # fmt: skip
            data = store.serialize_ros1(message, image_message.IMAGE)
            writer.write(connection, round(seconds * 1e9), data)
    return path


# Encodings.

RGB = colours(1)[0]
LIGHT = RGB[:, :, 0]
ALPHA = np.full((HEIGHT, WIDTH, 1), 99, np.uint8)


@pytest.mark.parametrize(
    ("encoding", "pixels", "expected"),
    [
        ("rgb8", RGB, RGB),
        ("bgr8", RGB[:, :, ::-1], RGB),
        ("rgba8", np.concatenate([RGB, ALPHA], axis=2), RGB),
        ("bgra8", np.concatenate([RGB[:, :, ::-1], ALPHA], axis=2), RGB),
        ("8UC3", RGB[:, :, ::-1], RGB),
        ("mono8", LIGHT, LIGHT[:, :, None]),
        ("8UC1", LIGHT, LIGHT[:, :, None]),
        ("mono16", LIGHT.astype("<u2") * 257, LIGHT[:, :, None]),
        ("rgb16", RGB.astype("<u2") * 257 + 128, RGB),
        ("bgr16", (RGB[:, :, ::-1] * 257.0 - 128).clip(0).astype("<u2"), RGB),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_every_encoding_gives_the_pixels_that_went_in(ros, encoding, pixels, expected, padding):
    padding *= pixels.dtype.itemsize
    picture = image_message.to_picture(image(ros, pixels, encoding, padding=padding))
    assert (picture.dtype, picture.shape) == (np.uint8, (expected.shape[2], HEIGHT, WIDTH))
    assert np.array_equal(picture.transpose(1, 2, 0), expected)


def test_numbers_of_16_bits_in_either_order_of_their_bytes(ros):
    values = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    little = image_message.to_picture(image(ros, values.astype("<u2"), "mono16", padding=3))
    big = image_message.to_picture(image(ros, values.astype(">u2"), "mono16", padding=3, big=True))
    assert np.array_equal(little, big)
    assert np.abs(little[0] - values * (255 / 65535)).max() <= 0.5


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv_agrees_with_ffmpeg(ros, encoding):
    av = pytest.importorskip("av")
    packed = np.random.default_rng(2).integers(16, 236, (HEIGHT, WIDTH, 2), np.uint8)
    message = image(ros, packed[..., ::-1] if encoding in ("yuv422", "uyvy") else packed, encoding, padding=4)
    reference = av.VideoFrame.from_ndarray(packed, "yuyv422").to_ndarray(format="rgb24").astype(int)
    difference = np.abs(image_message.to_picture(message).transpose(1, 2, 0) - reference)
    assert difference.max() <= 3  # FFmpeg rounds down
    assert difference.mean() < 1.5


def test_the_last_row_may_lack_its_padding(ros):
    message = image(ros, RGB, padding=5)
    message.data = message.data[:-5]
    assert np.array_equal(image_message.to_picture(message).transpose(1, 2, 0), RGB)


@pytest.mark.parametrize(
    "changes",
    [{"height": HEIGHT + 1}, {"width": WIDTH + 1}, {"step": 3 * WIDTH - 1}, {"data": np.zeros(0, np.uint8)},
     {"height": 0, "data": np.zeros(0, np.uint8)}, {"width": 0, "step": 0}, {"height": 2**32 - 1, "width": 2**31}],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(ros, changes):
    with pytest.raises(ValueError, match="bytes in rows of"):
        image_message.to_picture(image(ros, RGB, **changes))


def test_an_unknown_encoding_is_named_with_those_that_are_known(opened, ros, tmp_path):
    path = write_mcap(ros, tmp_path / "a.mcap", [("/camera", 1.0, image(ros, LIGHT, "bayer_rggb8"))])
    with pytest.raises(image_message.EncodingError, match=r"encoded as mono8, .*, got 'bayer_rggb8'"):
        list(opened(path))


@pytest.mark.parametrize(("kind", "error"), [("PNG", 0), ("JPEG", 60)])
def test_compressed_images(ros, kind, error):
    smooth = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8)[:, None], (HEIGHT, 1, 3))
    picture = image_message.to_picture(compressed(ros, smooth, kind))
    assert np.abs(picture.transpose(1, 2, 0).astype(int) - smooth).max() <= error
    assert np.array_equal(image_message.to_picture(compressed(ros, LIGHT))[0], LIGHT)


# MCAP and bags.


def drive(ros, n=5, **options):
    """n pictures of /camera, a tenth of a second apart, with other messages between them."""
    pixels = colours(n)
    messages = []
    for row, picture in enumerate(pixels):
        seconds = STAMP + row / 10
        messages.append(("/camera", seconds, image(ros, picture, stamp=seconds - 0.02, **options)))
        messages.append(("/odometry", seconds + 0.03, ros.String(data="elsewhere")))
    return pixels, messages


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


@pytest.mark.parametrize(
    "stamps", [(0, 0, 0, 0), (0, 0.03, 0.06, 0.09), (10, 10.03, 0, 10.09), (10, 10.03, 9e8, 10.09)]
)
def test_a_bag_has_one_clock_whatever_the_stamps(opened, ros, tmp_path, stamps):
    messages = [("/c", STAMP + row / 10, image(ros, RGB, stamp=stamp)) for row, stamp in enumerate(stamps)]
    for path in (write_mcap(ros, tmp_path / "a.mcap", messages), write_bag(ros, tmp_path / "bag", messages)):
        times = [frame.time for frame in opened(path)]
        assert times == pytest.approx([STAMP + row / 10 for row in range(4)], abs=1e-6)


def test_a_folder_of_mcap_files_is_one_stream(opened, ros, tmp_path):
    pixels, messages = drive(ros, 12)
    for row in range(12):
        write_mcap(ros, tmp_path / f"part_{row}.mcap", messages[2 * row : 2 * row + 2])
    assert np.array_equal(pictures_of(opened(tmp_path)), pixels)


@pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
def test_a_ros_2_bag(opened, ros, tmp_path, storage):
    pixels, messages = drive(ros, padding=3)
    bag = write_bag(ros, tmp_path / "bag", messages, storage)
    places = [bag, *bag.glob("*.db3"), *bag.glob("*.mcap")]
    assert len(places) == 2
    for place in places:
        stream = opened(place)
        frames = list(stream)
        assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
        assert [frame.time for frame in frames] == pytest.approx([STAMP + row / 10 for row in range(5)], abs=1e-6)
        stream.close()
        stream.close()


def test_a_ros_1_bag(opened, ros, tmp_path):
    pixels = colours(3)
    path = write_bag1(ros, tmp_path / "a.bag", [(STAMP + row, picture) for row, picture in enumerate(pixels)])
    frames = list(opened(path))
    assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
    assert [frame.time for frame in frames] == [STAMP, STAMP + 1, STAMP + 2]


def two_cameras(ros, path):
    return write_mcap(ros, path, [("/left", 1.0, image(ros, RGB)), ("/right", 1.0, compressed(ros, RGB[::-1]))])


def test_topics_are_chosen_by_name(opened, ros, tmp_path):
    path = str(two_cameras(ros, tmp_path / "a.mcap"))
    assert np.array_equal(pictures_of(opened(path, topic="/left")), [RGB])
    assert np.array_equal(pictures_of(opened(path, topic="/right")), [RGB[::-1]])
    with pytest.raises(ValueError, match=r"expected one topic of pictures, got /left, /right; --topic says which"):
        opened(path)
    with pytest.raises(ValueError, match=r"in topic /up, got none of that name; there are /left, /right"):
        opened(path, topic="/up")


def test_a_topic_without_pictures(opened, ros, tmp_path):
    _, messages = drive(ros)
    with pytest.raises(ValueError, match=r"got one of std_msgs/msg/String; there are /camera"):
        opened(write_bag(ros, tmp_path / "bag", messages), topic="/odometry")
    path = write_mcap(ros, tmp_path / "a.mcap", messages[1::2])
    with pytest.raises(ValueError, match=r"got /odometry \(std_msgs/msg/String\)"):
        opened(path)
    with pytest.raises(ValueError, match=r"expected a topic of sensor_msgs/Image or CompressedImage, got none"):
        opened(write_mcap(ros, tmp_path / "b.mcap", []))


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
    assert bad.problem == "/c[1]: expected an image message, got 180 bytes in rows of 29 for 10 x 6 pixels of rgb8"
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


@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "a.bag", "a.mp4"])
@pytest.mark.parametrize("content", [b"", b"no such thing" * 100])
def test_files_of_other_content(opened, tmp_path, name, content):
    pytest.importorskip("av")
    pytest.importorskip("rosbags")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: expected an? (MCAP file|ROS bag|video), got "):
        opened(tmp_path / name)


def test_a_bag_with_a_broken_message_ends_there_and_is_told(opened, ros, tmp_path):
    pixels, messages = drive(ros, 10)
    bag = write_bag(ros, tmp_path / "bag", messages, compress=True)
    (database,) = bag.glob("*.db3")
    with closing(sqlite3.connect(database)) as content, content:
        content.execute("UPDATE messages SET data = x'0011' WHERE timestamp = ?", (round((STAMP + 0.6) * 1e9),))
        assert content.execute("SELECT changes()").fetchone() == (1,)
    with pytest.warns(OutriderWarning, match=r"bag: the recording is not whole \(.*\); 6 pictures of /camera"):
        read = pictures_of(opened(bag))
    assert np.array_equal(read, pixels[:6])


def test_what_is_no_bag(opened, ros, tmp_path):
    bag = write_bag(ros, tmp_path / "bag", drive(ros)[1])
    (database,) = bag.glob("*.db3")
    database.write_bytes(database.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="expected a ROS bag, got Cannot open database"):
        opened(bag)
    (bag / "metadata.yaml").write_text("no: bag")
    with pytest.raises(ValueError, match="expected a ROS bag, got A metadata key is missing"):
        opened(bag)


# Folders.


@pytest.fixture
def photos(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    folder = tmp_path / "photos"
    (folder / "later").mkdir(parents=True)
    for name, value in (("frame_10.png", 10), ("frame_2.png", 2), ("frame_1.png", 1), ("later/frame_0.png", 11)):
        pillow.new("RGB", (WIDTH, HEIGHT), (value, 0, 0)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_pictures_of_a_folder_come_by_the_numbers_in_their_names(opened, photos):
    frames = list(opened(photos, rate=4.0))
    assert [frame.picture[0, 0, 0] for frame in frames] == [1, 2, 10, 11]
    assert [frame.time for frame in frames] == [0, 0.25, 0.5, 0.75]
    assert frames[0].name == str(photos / "frame_1.png")


def test_a_picture_that_cannot_be_read_is_a_frame_with_a_problem(opened, photos):
    (photos / "frame_2.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    stream = opened(photos)
    (photos / "frame_10.png").unlink()
    frames = list(stream)
    assert [frame.picture is None for frame in frames] == [False, True, True, False]
    assert "frame_2.png: expected a picture, got" in frames[1].problem
    assert "frame_10.png" in frames[2].problem


def png(width, height):
    """A picture of that many pixels, by its header alone."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_picture_with_a_wild_header_is_a_frame_with_a_problem(opened, photos):
    (photos / "frame_2.png").write_bytes(png(30_000, 30_000))
    (photos / "frame_10.png").write_bytes(png(2**31 - 1, 2**31 - 1))
    frames = list(opened(photos))
    assert [frame.picture is None for frame in frames] == [False, True, True, False]
    assert "frame_2.png: expected a picture, got Image size (900000000 pixels)" in frames[1].problem


@pytest.mark.parametrize("error", [KeyError(3), MemoryError(), struct.error("unpack"), RuntimeError("decoder")])
def test_whatever_a_decoder_raises_is_a_problem_of_its_picture(opened, photos, monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr("PIL.Image.Image.convert", broken)
    assert [frame.picture for frame in opened(photos)] == [None] * 4
    assert next(iter(opened(photos))).problem.endswith(f": expected a picture, got {str(error) or 'MemoryError'}")


def test_an_empty_folder(opened, tmp_path):
    with pytest.raises(ValueError, match=r"expected pictures \(.*\), a ROS 2 bag or .mcap files, got none"):
        opened(tmp_path)


def test_no_such_source(opened, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.mp4: expected a folder, a video, an .mcap file"):
        opened(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("source", ["photos", "photos/frame_1.png", "0"])
def test_only_bags_have_topics(opened, photos, source, monkeypatch):
    monkeypatch.chdir(photos.parent)
    with pytest.raises(ValueError, match=f"--topic: expected an .mcap file or a ROS bag, got {source}, which has no"):
        opened(source, topic="/camera")


# Packages that are not there.


@pytest.mark.parametrize(
    ("package", "source"),
    [("av", "a.mp4"), ("av", "0"), ("PIL", "photos"), ("mcap.reader", "a.mcap"), ("rosbags.typesys", "a.mcap"),
     ("rosbags.rosbag2", "a.db3"), ("rosbags.rosbag1", "a.bag")],
)  # fmt: skip
def test_a_missing_package_is_named_with_its_install_command(photos, monkeypatch, package, source):
    monkeypatch.chdir(photos.parent)
    if "." in source:
        (photos.parent / source).touch()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"^[A-Za-z ]+ need more packages: pip install 'outrider\[watch\]'$"):
        open_stream(source)


# Videos.


def write_video(path, pixels, codec="ffv1", rate=25, pixel_format="bgr0", **options):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = pixels[0].shape[:2]
        stream.pix_fmt = pixel_format
        for picture in pixels:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24" if picture.ndim == 3 else "gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_video_without_loss_gives_its_pixels_and_times(opened, tmp_path):
    pixels = colours(7)
    stream = opened(write_video(tmp_path / "a.mkv", pixels))
    frames = list(stream)
    assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
    assert [frame.time for frame in frames] == pytest.approx([row / 25 for row in range(7)], abs=1e-3)
    assert frames[6].name == f"{tmp_path / 'a.mkv'}[6]"
    stream.close()


def test_a_grey_video_has_one_channel(opened, tmp_path):
    pixels = colours(3)[..., 0]
    frames = list(opened(write_video(tmp_path / "a.mkv", pixels, pixel_format="gray")))
    assert np.array_equal([frame.picture for frame in frames], pixels[:, None])


def gradients(n):
    """Pictures that a lossy codec keeps nearly as they are, each of another brightness."""
    return np.stack([np.full((48, 64, 3), 20 * row + 20, np.uint8) for row in range(n)])


def test_a_video_of_a_telephone_is_turned_upright(opened, tmp_path):
    pixels = gradients(3)
    pixels[:, :, :16] = 255  # white at the left
    path = write_video(tmp_path / "a.mp4", pixels, "mpeg4", pixel_format="yuv420p")
    data = path.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # 90 degrees clockwise
    track = data.index(b"tkhd")
    path.write_bytes(data[:track] + data[track:].replace(identity, quarter, 1))
    frames = list(opened(path))
    assert [frame.picture.shape for frame in frames] == [(3, 64, 48)] * 3
    assert all(frame.picture[:, :12].mean() > 240 for frame in frames)
    assert all(frame.picture[:, 20:].mean() < 120 for frame in frames)


def test_a_video_cut_off_gives_its_beginning(opened, tmp_path):
    pixels = np.repeat(colours(30), 4, axis=1)
    path = write_video(tmp_path / "a.mkv", pixels)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read = [frame.picture.transpose(1, 2, 0) for frame in opened(path) if frame.picture is not None]
    assert 5 < len(read) < 25
    assert np.array_equal(read, pixels[: len(read)])


def test_broken_packets_are_frames_with_a_problem(opened, tmp_path):
    pixels = gradients(10)
    path = write_video(tmp_path / "a.avi", pixels, "mjpeg", pixel_format="yuvj420p")
    data = path.read_bytes()
    starts = [place for place in range(len(data)) if data.startswith(b"\xff\xd8\xff", place)]
    assert len(starts) == 10
    broken = data[: starts[4]] + bytes(starts[5] - starts[4] - 8) + data[starts[5] - 8 :]
    path.write_bytes(broken)
    frames = list(opened(path))
    bad = [row for row, frame in enumerate(frames) if frame.picture is None]
    assert bad == [4]
    assert "expected a frame of a video" in frames[4].problem
    levels = [round(frame.picture.mean() / 20) - 1 for frame in frames if frame.picture is not None]
    assert levels == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [frame.time for frame in frames] == pytest.approx([row / 25 for row in range(10)], abs=1e-3)


def test_sound_is_no_video(opened, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"a.wav: expected a video, got a file without pictures"):
        opened(path)


# Cameras: FFmpeg's own test picture in the place of a device.


@pytest.fixture
def device(monkeypatch):
    pytest.importorskip("av")

    def use(file, kind="lavfi"):
        monkeypatch.setattr(camera, "_device", lambda _av, _index: (file, kind))

    monkeypatch.setattr(camera, "_RETRY_SECONDS", 0.01)
    return use


def test_a_camera_gives_its_newest_picture(opened, device):
    device(f"testsrc=size={WIDTH}x{HEIGHT}:rate=200,realtime")
    stream = opened("0")
    assert stream.live
    frames = []
    for frame in stream:
        if frame is not None:
            frames.append(frame)
            time.sleep(0.05)
        if len(frames) == 5:
            break
    stream.close()
    assert all(frame.picture.shape == (3, HEIGHT, WIDTH) for frame in frames)
    assert np.diff([frame.time for frame in frames]).min() > 0.02
    assert np.diff([frame.captured for frame in frames]) == pytest.approx(np.diff([frame.time for frame in frames]))
    assert frames[0].captured <= time.monotonic()


def test_a_camera_that_is_not_there(opened, device):
    device("/dev/nowhere", "v4l2")
    with pytest.raises(
        ValueError, match=r"camera 3 \(/dev/nowhere\): expected pictures, got no such file or directory"
    ):
        opened("3")


def test_a_camera_that_goes_away_is_told_and_not_waited_for(opened, device):
    device(f"testsrc=size={WIDTH}x{HEIGHT}:rate=50:duration=0.2,realtime")
    stream = opened("0", patience=0.5)
    device("/dev/nowhere", "v4l2")
    stream._file, stream._format = "/dev/nowhere", "v4l2"
    with pytest.warns(OutriderWarning, match=r"camera 0 gave no picture for 0.5 s: no such file or directory"):
        items = list(stream)
    assert items[-1] is None
    assert [item for item in items if item is not None]


def test_a_camera_that_comes_back_is_taken_up_again(opened, device):
    device(f"testsrc=size={WIDTH}x{HEIGHT}:rate=50:duration=0.1,realtime")  # each opening gives five pictures
    stream = opened("0", patience=20.0)
    frames = []
    for frame in stream:
        frames += [frame] * (frame is not None)
        if len(frames) == 12:
            break
    stream.close()
    assert np.all(np.diff([frame.time for frame in frames]) > 0)


class Stalled:
    """A device whose second picture never comes."""

    def __init__(self, picture):
        self.picture, self.released = picture, threading.Event()

    def decode(self, video):
        yield self.picture
        self.released.wait(20)

    def close(self):
        pass


def test_a_camera_that_hangs_is_told_and_not_waited_for(opened, device, monkeypatch):
    av = pytest.importorskip("av")
    stalled = Stalled(av.VideoFrame.from_ndarray(RGB, "rgb24"))
    device("/dev/video0", "v4l2")
    monkeypatch.setattr(av, "open", lambda *_, **__: stalled)
    stream = opened("0", patience=0.3)
    with pytest.warns(OutriderWarning, match=r"camera 0 gave no picture for 0.3 s$"):
        first, *rest = list(stream)
    assert np.array_equal(first.picture.transpose(1, 2, 0), RGB)
    assert set(rest) == {None}
    stalled.released.set()
    stream.close()


# The pace.


class Clock:
    """Time that passes only where it is waited for."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(streams.pace, "time", types.SimpleNamespace(monotonic=lambda: self.now))

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def frames_at(*times):
    return [None if seconds is None else streams.Frame(seconds, None, "") for seconds in times]


def test_realtime_keeps_the_distances_of_the_times(clock):
    arrivals = []
    for frame in paced(frames_at(5.0, 5.5, None, 5.6, 9.0), clock.wait, realtime=True):
        if frame is not None:
            arrivals.append(clock.now - 100)
            clock.now += 0.3  # the network
    assert arrivals == pytest.approx([0, 0.5, 0.8, 4.0])


def test_realtime_cuts_long_gaps_and_waits_for_no_clock_that_goes_back(clock):
    frames = frames_at(5.0, 5.1, 1.7e9, 5.2, 5.3, 0.0, 5.4, 100.0, 100.5)
    arrivals = [clock.now for frame in paced(frames, clock.wait, realtime=True) if frame is not None]
    assert np.diff(arrivals) == pytest.approx([0.1, 10, 0, 0.1, 0, 5.4, 10, 0.5], abs=1e-6)


def test_a_gap_of_a_recording_is_one_without_frames(clock):
    found = list(paced(frames_at(0.0, 0.04, 0.59), clock.wait, realtime=True))
    assert [None if frame is None else frame.time for frame in found] == [0.0, 0.04, *[None] * 5, 0.59]


def test_a_rate_is_kept_and_lost_time_is_not_made_up_for(clock):
    arrivals = []
    for frame in paced(frames_at(*range(6)), clock.wait, rate=10):
        arrivals.append(clock.now - 100)
        clock.now += 1.0 if frame.time == 2 else 0.01
    assert arrivals == pytest.approx([0, 0.1, 0.2, 1.2, 1.3, 1.4])


def test_without_a_pace_nothing_waits(clock):
    assert list(paced(frames_at(1, None, 3), clock.wait)) == frames_at(1, None, 3)
    assert clock.now == 100

"""Every kind of picture file becomes the numbers that it stores, or is refused."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.networks import decode_picture, read_picture
from outrider.networks.pictures import reading

image_module = pytest.importorskip("PIL.Image")
DRAW = np.random.default_rng(3)


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name, content):
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(values, colour, more=b"", filter_up=False):
    """A PNG of 16 bits, written by hand: (height, width, channels) uint16."""
    height, width = values.shape[:2]
    rows = np.ascontiguousarray(values, ">u2").view(np.uint8).reshape(height, -1)
    if filter_up:
        rows = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))
    kind = np.full((height, 1), 2 if filter_up else 0, np.uint8)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    data = zlib.compress(np.hstack([kind, rows]).tobytes())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(values, order="<", extra=(), photometric=None, bits=None, sample_format=1):
    """An uncompressed TIFF, written by hand: (height, width, channels)."""
    height, width, channels = values.shape
    data = np.ascontiguousarray(values, values.dtype.newbyteorder(order)).tobytes()
    bits = 8 * values.dtype.itemsize if bits is None else bits
    photometric = (1 if channels < 3 else 2) if photometric is None else photometric
    tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels), (259, 3, [1]), (262, 3, [photometric])]
    tags += [(273, 4, [8]), (277, 3, [channels]), (278, 4, [height]), (279, 4, [len(data)])]
    tags += [(338, 3, list(extra))] if extra else []
    tags += [(339, 3, [sample_format] * channels)]
    place = 8 + len(data)
    later = place + 2 + 12 * len(tags) + 4
    directory, behind = struct.pack(f"{order}H", len(tags)), b""
    for tag, kind, numbers in tags:
        content = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(content) > 4:
            field, behind = struct.pack(f"{order}I", later + len(behind)), behind + content
        else:
            field = content.ljust(4, b"\0")
        directory += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + field
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, place)
    return head + data + directory + bytes(4) + behind


def channels_first(values):
    return values.transpose(2, 0, 1)


@given(
    st.sampled_from([(0, 1), (2, 3), (4, 2), (6, 4)]),
    st.integers(1, 5),
    st.integers(1, 5),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_png_of_16_bits_keeps_every_bit(kind, height, width, filtered, seed):
    colour, channels = kind
    values = np.random.default_rng(seed).integers(0, 65536, (height, width, channels), np.uint16)
    if channels in (2, 4):
        values[..., -1] = 65535
    found = decode_picture(png(values, colour, filter_up=filtered), "frame")
    assert (found.dtype, found.flags.c_contiguous) == (np.uint16, True)
    np.testing.assert_array_equal(found, channels_first(values[..., : 1 if channels < 3 else 3]))


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (9, 16)])
def test_interlaced_png_of_16_bits_keeps_every_bit(colour, channels, shape):
    values = DRAW.integers(0, 65536, (*shape, channels)).astype(np.uint16)
    if channels != 3:
        values[..., -1] = 65535
    rows = b""
    for top, left, down, right in (  # the seven passes of Adam7
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)
    ):  # fmt: skip
        for row in values[top::down, left::right]:
            rows += b"\0" + row.astype(">u2").tobytes() if row.size else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *shape[::-1], 16, colour, 0, 0, 1))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(
        decode_picture(data, "frame"), channels_first(values[..., : 1 if channels == 2 else 3])
    )


def test_large_png_of_16_bits_are_read_without_being_unpacked(monkeypatch):
    values = DRAW.integers(0, 65536, (5, 4, 3)).astype(np.uint16)
    monkeypatch.setattr(reading, "_UNPACKED_PIXELS", 19)
    np.testing.assert_array_equal(decode_picture(png(values, 2, filter_up=True), "frame"), channels_first(values))


@given(
    st.sampled_from([("u1", 1, ()), ("u1", 3, ()), ("u2", 1, ()), ("u2", 3, ()), ("u2", 4, (2,))]),
    st.sampled_from("<>"),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_tiff_keeps_every_bit_in_both_byte_orders(kind, order, seed):
    dtype, channels, extra = kind
    values = np.random.default_rng(seed).integers(0, 1 << 8 * int(dtype[1]), (4, 3, channels)).astype(dtype)
    if extra == (2,):
        values[..., -1] = 65535
    found = decode_picture(tiff(values, order, extra), "frame")
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, channels_first(values[..., : 1 if channels == 1 else 3]))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "raw"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_compressed_tiff_keeps_every_bit(dtype, compression):
    values = DRAW.integers(0, 65536, (9, 11)).astype(dtype)
    if dtype is not np.uint16:
        values[0, 0] = -7
    data = saved(image_module.fromarray(values), "TIFF", compression=compression)
    found = decode_picture(data, "frame")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values[None])


def test_what_opencv_writes_with_16_bits_is_read(tmp_path):
    cv2 = pytest.importorskip("cv2")
    values = DRAW.integers(0, 65536, (9, 11, 3)).astype(np.uint16)
    for suffix in ("png", "tiff", "ppm"):
        path = tmp_path / f"frame.{suffix}"
        cv2.imwrite(str(path), values[..., ::-1])
        np.testing.assert_array_equal(read_picture(path), channels_first(values))


@pytest.mark.parametrize("depth", [8, 16])
def test_pixels_that_end_early_are_refused_whatever_the_checksums_say(depth):
    header = struct.pack(">IIBBBBB", 5, 6, depth, 2, 0, 0, 0)
    packed = zlib.compress(DRAW.bytes(6 * (1 + 5 * 3 * depth // 8)).replace(b"\5", b"\0"))
    for end in (0, 9, len(packed) // 2):
        pixels = chunk(b"IDAT", packed[:end])
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
        with pytest.raises(ValueError, match=r"^frame: expected a picture, got "):
            decode_picture(data, "frame")


def test_more_or_fewer_pixels_of_16_bits_are_refused():
    header = struct.pack(">IIBBBBB", 5, 6, 16, 2, 0, 0, 0)
    for count in (0, 31 * 5, 31 * 6 + 1, 31 * 1000):
        pixels = chunk(b"IDAT", zlib.compress(bytes(count)))
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
        with pytest.raises(ValueError, match="a PNG file with more or fewer pixels than it says"):
            decode_picture(data, "frame")


def test_floats_that_are_no_numbers_stay():
    values = np.array([[[np.nan], [np.inf]], [[-1.5], [3e9]]], np.float32)
    for order in "<>":
        found = decode_picture(tiff(values, order, sample_format=3), "frame")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, channels_first(values))


def test_signed_numbers_of_16_bits_become_int32():
    values = np.array([[[-5], [32767]]], np.int16)
    for order in "<>":
        found = decode_picture(tiff(values, order, sample_format=2), "frame")
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, channels_first(values))


def test_one_bit_is_black_and_white_and_palettes_are_colours():
    bits = DRAW.random((5, 9)) < 0.5
    found = decode_picture(saved(image_module.fromarray(bits)), "frame")
    np.testing.assert_array_equal(found, np.where(bits, 255, 0)[None])
    palette = image_module.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "L").convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 50, 7, 7, 7])
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        found = decode_picture(saved(palette, kind), "frame")
        assert found.dtype == np.uint8
        assert found.tolist() == [[[10, 200], [7, 200]], [[20, 100], [7, 100]], [[30, 50], [7, 50]]]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_that_hides_nothing_is_left_out(mode, kind):
    values = DRAW.integers(0, 256, (5, 4, 3), np.uint8)
    image = image_module.fromarray(values).convert(mode)
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decode_picture(saved(image, kind, **options), "frame")
    wanted = np.asarray(image.convert("L"))[None] if mode in ("L", "LA") else channels_first(values)
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, found.shape))
    assert len(found) == len(wanted) or kind == "WEBP"  # WebP has no luminance
    if mode in ("LA", "RGBA"):
        image.putpixel((1, 1), (9,) * (len(mode) - 1) + (254,))
        with pytest.raises(ValueError, match="frame: expected a picture, got one with transparent pixels; lay it over"):
            decode_picture(saved(image, kind, **options), "frame")


def test_a_transparent_colour_is_refused_where_a_pixel_has_it():
    values = np.array([[[1, 2, 3], [300, 2, 1]]], np.uint16)
    key = chunk(b"tRNS", struct.pack(">3H", 300, 2, 1))
    with pytest.raises(ValueError, match="transparent"):
        decode_picture(png(values, 2, key), "frame")
    np.testing.assert_array_equal(
        decode_picture(png(values, 2, chunk(b"tRNS", struct.pack(">3H", 301, 2, 1))), "frame"), channels_first(values)
    )
    for colour, mode in ((7, "L"), ((7, 7, 7), "RGB"), (0, "P")):
        image = image_module.new("L" if mode == "P" else mode, (3, 2), colour).convert(mode)
        with pytest.raises(ValueError, match="transparent"):
            decode_picture(saved(image, transparency=colour), "frame")
    with pytest.raises(ValueError, match="transparent"):
        decode_picture(png(values[..., :1], 0, chunk(b"tRNS", struct.pack(">H", 300))), "frame")


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colours_become_rgb_as_pillow_makes_them(mode):
    plain = image_module.new("RGB", (4, 3), (200, 60, 90))
    if mode == "LAB":
        cms = pytest.importorskip("PIL.ImageCms")
        image = cms.profileToProfile(plain, cms.createProfile("sRGB"), cms.createProfile("LAB"), outputMode="LAB")
    else:
        image = plain.convert(mode)
    found = decode_picture(saved(image, "TIFF"), "frame")
    assert found.shape == (3, 3, 4)
    np.testing.assert_allclose(found[:, 0, 0], (200, 60, 90), atol=2)


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "deep"])
def test_pictures_stand_upright(orientation, kind):
    ops = pytest.importorskip("PIL.ImageOps")
    values = np.kron(DRAW.integers(0, 2, (2, 3)), np.ones((8, 8))).astype(np.uint8) * 200
    image = image_module.fromarray(values)
    exif = image_module.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    turned = np.asarray(ops.exif_transpose(image))
    if kind == "deep":
        wide = np.repeat(values[..., None].astype(np.uint16) * 257, 3, 2)
        data = png(wide, 2, chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
        turned = turned.astype(int) * 257
    else:
        data = saved(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    found = decode_picture(data, "frame")
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found[0], turned, atol=60 if kind == "JPEG" else 0)


def test_several_frames_are_refused():
    frames = [image_module.new("RGB", (4, 4), (shade, 0, 0)) for shade in (10, 250)]
    for kind in ("GIF", "PNG", "TIFF", "WEBP"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        with pytest.raises(ValueError, match=f"frame: expected a picture, got a {kind} file of several frames"):
            decode_picture(data, "frame")
    pair = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])  # a camera's JPEG with a preview
    np.testing.assert_allclose(decode_picture(pair, "frame")[:, 0, 0], (10, 0, 0), atol=2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "BMP", "GIF", "PPM"])
def test_no_part_of_a_file_is_a_picture(kind, monkeypatch):
    from PIL import ImageFile

    data = saved(image_module.fromarray(DRAW.integers(0, 256, (9, 8, 3), np.uint8)), kind)
    for allowed in (False, True):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", allowed)
        for end in (*range(0, len(data) - 8, max(1, len(data) // 23)), len(data) * 3 // 4):
            with pytest.raises(ValueError, match=r"^frame: expected a picture, got "):
                decode_picture(data[:end], "frame")
        assert ImageFile.LOAD_TRUNCATED_IMAGES is allowed


def test_no_changed_byte_of_a_png_is_accepted():
    data = saved(image_module.fromarray(DRAW.integers(0, 256, (6, 5, 3), np.uint8)))
    for at in range(len(data)):
        with pytest.raises(ValueError, match=r"^frame: expected a picture, got "):
            decode_picture(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :], "frame")


def test_bombs_are_refused_however_pillow_is_set(monkeypatch):
    monkeypatch.setattr(image_module, "MAX_IMAGE_PIXELS", None)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    with pytest.raises(ValueError, match="frame: expected a picture, got 60,000 x 60,000 pixels, more than"):
        decode_picture(data, "frame")


def test_what_would_lose_bits_is_refused():
    deep = DRAW.integers(0, 65536, (2, 2, 4)).astype(np.uint16)
    with pytest.raises(ValueError, match="16 bits in CMYK; save it as 16-bit RGB"):
        decode_picture(tiff(deep, photometric=5), "frame")
    with pytest.raises(ValueError, match="more than 8 bits in which 0 is white"):
        decode_picture(tiff(deep[..., :1], photometric=0), "frame")
    with pytest.raises(ValueError, match="unsigned numbers beyond"):
        decode_picture(tiff(np.full((2, 2, 1), 1 << 31, np.uint32)), "frame")
    with pytest.raises(ValueError, match="signed numbers of 8 bits; save it with 16"):
        decode_picture(tiff(np.array([[[-1], [5]]], np.int8), sample_format=2), "frame")
    for values, extra in ((deep, (0,)), (deep.astype(np.uint8), (0,)), (deep[..., :2].astype(np.uint8), (0,))):
        with pytest.raises(ValueError, match="neither colour nor alpha; save it without"):
            decode_picture(tiff(values, extra=extra), "frame")
    with pytest.raises(ValueError, match="TIFF file of a kind that Pillow does not read, such as float32 with three"):
        decode_picture(tiff(deep[..., :3].astype(np.float32), sample_format=3), "frame")
    with pytest.raises(ValueError, match="decimal numbers; save it in binary"):
        decode_picture(b"P3 1 1 1000 1 2 3 ", "frame")
    with pytest.raises(ValueError, match="numbers up to 1000 with 1001"):
        decode_picture(b"P6 1 1 1000 " + np.array([0, 1, 1001], ">u2").tobytes(), "frame")


@pytest.mark.parametrize("most", [1, 100, 255, 256, 1000, 65535])
@pytest.mark.parametrize(("kind", "channels"), [(b"P5", 1), (b"P6", 3)])
def test_netpbm_numbers_count_from_black_to_white(kind, channels, most):
    values = DRAW.integers(0, most + 1, (2, 3, channels))
    values.flat[:2] = 0, most
    stored = values.astype(">u2" if most > 255 else "u1").tobytes()
    found = decode_picture(b"%s 3 2 %d " % (kind, most) + stored, "frame")
    assert found.dtype == (np.uint16 if most > 255 else np.uint8)
    white = np.iinfo(found.dtype).max
    np.testing.assert_array_equal(found, np.rint(channels_first(values) * (white / most)))
    if most not in (255, 65535):
        with pytest.raises(ValueError, match=f"numbers up to {most} with {most + 1}"):
            decode_picture(
                b"%s 1 1 %d " % (kind, most) + np.full(channels, most + 1, found.dtype.newbyteorder(">")).tobytes(),
                "frame",
            )


@pytest.mark.parametrize(("mode", "suffix"), [("L", "pgm"), ("1", "pbm"), ("RGB", "pnm"), ("P", "gif")])
def test_netpbm_and_gif_are_taken_for_pictures_by_their_names(mode, suffix, tmp_path):
    image_module.fromarray(DRAW.integers(0, 256, (9, 8, 3), np.uint8)).convert(mode).save(tmp_path / f"a.{suffix}")
    assert f".{suffix}" in reading.IMAGE_SUFFIXES
    assert read_picture(tmp_path / f"a.{suffix}").shape[1:] == (9, 8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "PPM"])
def test_a_picture_saved_without_loss_is_itself(kind):
    values = DRAW.integers(0, 256, (9, 8, 3), np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    for mode in ("RGB", "L") if kind != "WEBP" else ("RGB",):
        image = image_module.fromarray(values).convert(mode)
        found = decode_picture(saved(image, kind, **options), "frame")
        np.testing.assert_array_equal(found, channels_first(np.atleast_3d(np.asarray(image))))
        assert found.flags.c_contiguous
        assert found.flags.writeable


def test_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match=r"folder\.png: expected a picture, got Is a directory"):
        read_picture(tmp_path / "folder.png")
    (tmp_path / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(ValueError, match=r"page\.png: expected a picture, got 23 bytes that are no BMP, GIF, JPEG"):
        read_picture(tmp_path / "page.png")
    with pytest.raises(ValueError, match="got an empty file"):
        decode_picture(b"", "frame")


def test_many_threads_read_at_once():
    values = DRAW.integers(0, 256, (40, 30, 3), np.uint8)
    data = saved(image_module.fromarray(values))
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda index: decode_picture(data, str(index)), range(32)):
            np.testing.assert_array_equal(found, channels_first(values))


def test_a_height_that_the_data_do_not_fill_is_refused():
    """Found by benchmarks.reliability.fuzz: a few hundred bytes were read as millions of black rows."""
    from PIL import Image

    picture = Image.fromarray(np.arange(144, dtype=np.uint8).reshape(12, 12))
    tiff, png = io.BytesIO(), io.BytesIO()
    picture.save(tiff, "TIFF")
    picture.save(png, "PNG")
    data = bytearray(tiff.getvalue())
    entry = data.index(b"\x01\x01\x04\x00\x01\x00\x00\x00")  # ImageLength, one LONG
    data[entry + 8 : entry + 12] = (4_194_316).to_bytes(4, "little")
    with pytest.raises(ValueError, match="a TIFF file with 144 pixels, fewer than its 12 x 4,194,316"):
        decode_picture(bytes(data), "p.tif")
    data = bytearray(png.getvalue())
    data[20:24] = (4_194_316).to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ValueError, match="a PNG file with fewer pixels than it says"):
        decode_picture(bytes(data), "p.png")

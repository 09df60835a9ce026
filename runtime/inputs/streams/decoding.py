"""What FFmpeg decodes, as pictures; and whether what it decoded can be believed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .frame import Frame
from .frame_numbers import FrameNumbers
from .kernels import planes_of

_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
_PREDICTED = (2, 3)  # AV_PICTURE_TYPE_P and _B
_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_MPEG and _JPEG
_FORMS = {8: ("gray", "rgb24"), 16: ("gray16le", "rgb48le"), 32: ("grayf32le", "gbrpf32le")}
_OF_THREAD = threading.local()


def strict(stream: Any) -> Any:
    """The same stream of PyAV, whose decoder refuses what it finds damaged instead of painting over it.

    It has one thread: with threads for the slices of a picture, FFmpeg's H.264 decoder looks for no damage, and with
    threads for pictures it tells of damage late.
    """
    stream.thread_type = "NONE"
    stream.codec_context.options = _STRICT
    return stream


def decoded_frames(av: Any, container: Any, stream: Any) -> Iterator[tuple[Any, str]]:
    """(frame, its problem) or (None, problem), in order; a packet that cannot be decoded is the latter.

    stream: of the container, made `strict`. Raises what the container raises where it gives no more packets.
    """
    soundness, waiting, lacking = Soundness(), 0, _lacking(stream)
    for packet in container.demux(stream):
        soundness.packet(packet, lacking=lacking(packet))
        waiting += packet.size > 0
        try:
            for decoded in packet.decode():
                waiting -= 1
                yield decoded, soundness.problem(decoded)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            problem = soundness.failed(error.strerror or str(error))
            for _ in range(1 if packet.size else max(waiting, 1)):  # at the end, the decoder gives up all that it holds
                waiting -= 1
                yield None, problem


def _lacking(stream: Any) -> Callable[[Any], bool]:
    """Says of each packet whether the stream lacks pictures before it, as far as its codec tells."""
    if stream.codec_context.name != "h264":
        return lambda _packet: False
    try:
        numbers = FrameNumbers(bytes(stream.codec_context.extradata or b""))
    except (ValueError, IndexError):  # the decoder says what is wrong with it
        return lambda _packet: False

    def lacks(packet: Any) -> bool:
        try:
            return numbers.gap(bytes(packet))
        except (ValueError, IndexError):
            return False

    return lacks


def frame_of(decoded: Any, time: float, name: str, problem: str, captured: float | None = None) -> Frame:
    """What `decoded_frames` gave as a frame of a stream: with a problem where it is no picture to believe."""
    picture = None
    if decoded is not None and not problem:
        try:
            picture = to_picture(decoded)
        except Exception as error:  # noqa: BLE001 (what conversions raise for formats that they do not know)
            problem = str(error) or type(error).__name__
    return Frame(time, picture, name, captured, f"{name}: {problem}" if problem else "")


class Soundness:
    """Whether the pictures of one stream can be believed, frame after frame, from what the decoder says.

    A picture that the decoder calls damaged, and each one after it up to the next key frame, is not: they are predicted
    from one another. The key frame must come from behind the damage; with threads, a decoder tells of it late. What a
    decoder does not notice, nobody knows: most codecs carry no checksum.
    """

    def __init__(self) -> None:
        self._damage = ""
        self._from, self._fed, self._sound = -math.inf, -math.inf, -math.inf
        self._refreshing = False

    def packet(self, packet: Any, *, lacking: bool = False) -> None:
        """Take note of a packet before it is decoded. lacking: whether pictures are missing before it."""
        self._fed = max(self._fed, _time(packet))
        if lacking:
            self._note("a stream that lacks pictures", _time(packet))
        if packet.is_corrupt:
            self._note("the stream says that a packet is damaged", _time(packet))

    def failed(self, reason: str) -> str:
        """Take note of a packet that could not be decoded, one of those so far. Returns the problem of its frame."""
        self._note(reason, self._fed)
        return f"expected a frame of a video, got {reason}"

    def problem(self, decoded: Any) -> str:
        """Why a frame cannot be believed; empty where nothing speaks against it."""
        when = _time(decoded)
        if decoded.is_corrupt:
            self._note("damage that the decoder painted over", when)
            return f"expected a whole frame of a video, got {self._damage}"
        if self._damage and decoded.key_frame and (when > self._from or math.isinf(when)):
            # A stream may refresh its pictures piece by piece: such a "key frame" is predicted, the next one is whole.
            if int(decoded.pict_type) not in _PREDICTED or self._refreshing:
                self._damage, self._refreshing, self._sound = "", False, when
            else:
                self._refreshing = True
        if self._damage or when < self._sound:  # or one that comes late, from before the key frame
            return f"expected a whole frame of a video, got one after damage{f' ({self._damage})' * bool(self._damage)}"
        return ""

    def _note(self, damage: str, when: float) -> None:
        self._damage, self._refreshing = damage, False
        self._from = max(self._from, when)


def _time(of: Any) -> float:
    """Of a packet or a frame, by the clock of its stream; minus infinity where it has none."""
    return -math.inf if of.pts is None else float(of.pts)


def to_picture(decoded: Any) -> np.ndarray:
    """A frame of PyAV as a picture: (1 or 3, height, width), luminance where its format has nothing else, upright.

    Up to 8 bits give uint8, 9 to 16 bits uint16 and more float32. Whatever the number of bits, white is 255 or 65535
    and black 0, also of a stream of limited range; float numbers are as stored. Raises ValueError for transparency.
    """
    kind = decoded.format
    bits = _bits(kind)
    colours = [part for part in kind.components if not part.is_alpha]
    grey = len(colours) == 1 and not kind.has_palette
    if len(colours) < len(kind.components):
        _refuse_transparency(decoded, bits)
    pixels = _converted(decoded, _FORMS[8 if bits <= 8 else 16 if bits <= 16 else 32][not grey])
    if grey and bits <= 16:
        pixels = _full_range(pixels, bits) if decoded.color_range == _LIMITED else pixels
    elif 8 < bits <= 16:
        limited = not kind.is_rgb and decoded.color_range != _FULL
        pixels = _to_white(pixels, 8 if limited else bits)
    try:
        pixels = upright(pixels, decoded.side_data)
    except ValueError:  # one kind of side data that PyAV does not know, such as EXIF, and it gives none
        pixels = np.rot90(pixels, round(decoded.rotation / 90))
    return np.ascontiguousarray(pixels[None]) if pixels.ndim == 2 else planes_of(pixels)


def _converted(decoded: Any, form: str) -> np.ndarray:
    """The pixels in another format of FFmpeg, by one converter for each thread: to set one up takes milliseconds."""
    if not hasattr(_OF_THREAD, "convert"):
        from av.video.reformatter import VideoReformatter

        _OF_THREAD.convert = VideoReformatter().reformat
    try:
        pixels: np.ndarray = _OF_THREAD.convert(decoded, format=form, threads=1).to_ndarray()
    except TypeError:  # PyAV before it had this argument
        pixels = _OF_THREAD.convert(decoded, format=form).to_ndarray()
    return pixels


def _bits(kind: Any) -> int:
    """Of the finest component. A Bayer pattern counts by its own pixels."""
    return int(kind.bits_per_pixel) if kind.is_bayer else max(part.bits for part in kind.components)


def _refuse_transparency(decoded: Any, bits: int) -> None:
    alpha = _converted(decoded, "rgba64le" if bits > 8 else "rgba")[..., 3]
    if alpha.min() < np.iinfo(alpha.dtype).max - (255 if bits > 8 else 0):
        raise ValueError(
            f"expected frames without transparency, got some in {decoded.format.name}; lay them over a background, as"
            " the network was trained"
        )


def _to_white(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Stretch uint16, in place, so that white is 65535. FFmpeg fills the lowest bits with zeros: white is 1s in `bits`.

    The upper bits are repeated in the lower ones, which is times 65535 / white to within one step.
    """
    white = 65535 >> (16 - bits) << (16 - bits)
    if white < 65535:
        np.minimum(pixels, white, out=pixels)
        pixels += pixels >> bits
    return pixels


def _full_range(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Luminance of limited range, 16 to 235 where 255 is the most, stretched to the full one."""
    most = np.iinfo(pixels.dtype).max
    black, white = (level * 2 ** (bits - 8) * most / (2**bits - 1) for level in (16, 235))
    steps = np.arange(most + 1, dtype=np.float64)
    table: np.ndarray = np.rint(np.clip((steps - black) * (most / (white - black)), 0, most)).astype(pixels.dtype)
    return table[pixels]


def upright(pixels: np.ndarray, side_data: Iterable[Any]) -> np.ndarray:
    """Pixels (height, width[, 3]) turned and mirrored as the side data of their frame say.

    Their matrix carries x, y to a x + c y, b x + d y.
    """
    for data in side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = (int(number) for number in np.frombuffer(bytes(data), np.int32)[:5])
            if abs(a) + abs(d) >= abs(b) + abs(c):
                down, across = d, a
            else:
                pixels, down, across = pixels.swapaxes(0, 1), b, c
            return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
    return pixels

"""Pictures that a stream of H.264 lacks, by the numbers that its slices bear.

FFmpeg's decoder paints such a picture itself and says nothing; all that is predicted from it is wrong then. Rec. ITU-T
H.264, 7.3.2.1.1 (sequence parameter sets), 7.3.3 (slice headers) and 7.4.3 (frame_num).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_SLICE, _KEY_SLICE, _SEQUENCE, _PICTURE = 1, 5, 7, 8
_HIGH = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)  # profiles with a format of colours
_HEADER_BYTES = 64  # of a slice: more than the numbers at its beginning take
_SET_BYTES = 4096  # of a parameter set: more than any takes


class FrameNumbers:
    """Follows frame_num, which counts the pictures that others are predicted from.

    extradata: the stream's own, in the form of MP4 (avcC) or of Annex B. An encoder may count anew from 0 in the midst
    of a stream, which only the end of a slice header tells: a step to 0 or 1 passes.
    """

    def __init__(self, extradata: bytes) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._of_picture: dict[int, int] = {}
        self._last: int | None = None
        self._length = 0  # bytes of a unit's length; 0 where start codes stand between units
        if extradata[:1] == b"\x01":
            self._length = (extradata[4] & 3) + 1
            extradata = _unpacked(extradata)
        for unit in _between_start_codes(extradata):
            self._take(unit)

    def gap(self, packet: bytes) -> bool:
        """Whether pictures are missing before this packet. Raises IndexError or ValueError for one that is broken."""
        units = _by_length(packet, self._length) if self._length else _between_start_codes(packet)
        return sum(map(self._take, units)) > 0

    def _take(self, unit: bytes) -> bool:
        kind = unit[0] & 31 if unit else 0
        if kind == _SEQUENCE:
            number, sequence = _sequence(_Bits(unit[1:_SET_BYTES]))
            self._sequences[number] = sequence
        elif kind == _PICTURE:
            bits = _Bits(unit[1:_HEADER_BYTES])
            self._of_picture[bits.unsigned()] = bits.unsigned()
        elif kind in (_SLICE, _KEY_SLICE):
            return self._slice(_Bits(unit[1:_HEADER_BYTES]), key=kind == _KEY_SLICE, reference=unit[0] & 0x60 != 0)
        return False

    def _slice(self, bits: _Bits, *, key: bool, reference: bool) -> bool:
        if bits.unsigned():  # not the first slice of its picture
            return False
        bits.unsigned()  # its type
        sequence = self._sequences.get(self._of_picture.get(bits.unsigned(), -1))
        if sequence is None:
            return False
        bits.fixed(2 * sequence.colours_apart)
        number, last = bits.fixed(sequence.bits), self._last
        if key or reference:
            self._last = number
        steps = (number - (last or 0)) % (1 << sequence.bits)
        return not (key or last is None or sequence.may_skip or steps in (0, 1) or number in (0, 1))


class _Sequence(NamedTuple):
    bits: int
    may_skip: bool
    colours_apart: bool


class _Bits:
    """Numbers out of the bits of a unit. Raises ValueError behind its end."""

    def __init__(self, data: bytes) -> None:
        data = data.replace(b"\0\0\3", b"\0\0")
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def fixed(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("the end of the unit")
        return self._value >> self._left & ((1 << count) - 1)

    def unsigned(self) -> int:
        zeros = 0
        while not self.fixed(1):
            zeros += 1
        return (1 << zeros) - 1 + self.fixed(zeros)

    def signed(self) -> int:
        value = self.unsigned()
        return (value + 1) // 2 if value % 2 else -value // 2


def _sequence(bits: _Bits) -> tuple[int, _Sequence]:
    profile = bits.fixed(8)
    bits.fixed(16)
    number, apart = bits.unsigned(), False
    if profile in _HIGH:
        colours = bits.unsigned()
        apart = colours == 3 and bool(bits.fixed(1))
        bits.unsigned(), bits.unsigned(), bits.fixed(1)
        if bits.fixed(1):
            for place in range(12 if colours == 3 else 8):
                if bits.fixed(1):
                    _skip_scaling(bits, 16 if place < 6 else 64)
    count = bits.unsigned() + 4
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.fixed(1), bits.signed(), bits.signed()
        for _ in range(bits.unsigned()):
            bits.signed()
    bits.unsigned()
    return number, _Sequence(count, bool(bits.fixed(1)), apart)


def _skip_scaling(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _between_start_codes(data: bytes) -> Iterator[bytes]:
    yield from data.split(b"\0\0\1")[1:]


def _by_length(data: bytes, size: int) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + size + int.from_bytes(data[at : at + size], "big")
        yield data[at + size : end]
        at = end


def _unpacked(extradata: bytes) -> bytes:
    """The parameter sets of an avcC, with start codes."""
    sets, at = [], 5
    for mask in (31, 255):
        count, at = extradata[at] & mask, at + 1
        for _ in range(count):
            end = at + 2 + int.from_bytes(extradata[at : at + 2], "big")
            sets.append(b"\0\0\1" + extradata[at + 2 : end])
            at = end
    return b"".join(sets)

"""Changes of files, the same for the same random numbers: of bytes, of the facts in a header, of checksums."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Sequence
from copy import deepcopy
from random import Random
from typing import Any

ODD_BYTES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF, 0x20, 0x22, 0x2C, 0x5B, 0x5C, 0x7B)
ODD_NUMBERS = [
    struct.pack(form, value)
    for form, values in {
        "<f": (float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-45, -0.0, 1e30),
        "<d": (float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, -1.0),
        "<i": (-1, 0, 2**31 - 1, -(2**31)),
        "<q": (-1, 0, 2**63 - 1, -(2**63), 2**40),
    }.items()
    for value in values
]
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 10**6, 2**31, 2**63, -(2**63), 10**30, 0.0, -0.0, 0.5, -1.5, 1e308, 1e-320, "",
    "x", "0", "../x", "\x00", "a" * 3000, [], [[]], [1], [0, -1], [10**12], {}, {"name": "sum"}, {"a": {}},
)  # fmt: skip
_ENTRY = re.compile(rb'"digest":"([0-9a-f]{64})"')


def bytes_changed(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """One to four changes of bits, bytes, numbers and spans; `others` lend some of theirs. Never the same bytes."""
    changed = bytearray(data)
    while bytes(changed) == data:
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            _change(changed, random, others)
    return bytes(changed)


def _change(data: bytearray, random: Random, others: Sequence[bytes]) -> None:
    at, kind = random.randrange(len(data) + 1), random.randrange(10)
    if kind <= 3 and at < len(data):
        data[at] ^= 1 << random.randrange(8)
    elif kind == 4 and at < len(data):
        data[at] = random.choice(ODD_BYTES)
    elif kind == 5:
        number = random.choice(ODD_NUMBERS)
        data[at : at + len(number)] = number
    elif kind == 6:
        del data[at : at + random.choice((1, 2, 8, 64, 1000))]
    elif kind == 7:
        data[at:at] = random.randbytes(random.choice((1, 2, 8, 64)))
    elif kind == 8:
        other = random.choice(others)
        start = random.randrange(len(other))
        span = other[start : start + random.choice((8, 64, 512))]
        data[at : at + len(span)] = span
    else:
        start, size = random.randrange(len(data) + 1), random.choice((4, 8, 64))
        data[at:at] = data[start : start + size]


def profile_changed(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Facts, header or numbers of a profile changed, with a digest that fits: what a wrong program might write."""
    start = 8 + int.from_bytes(data[:8], "little")
    body, kind = data[start:], random.randrange(4)
    if kind == 0:
        body = bytes_changed(body, random, [other[-len(body) :] for other in others])[: len(body)].ljust(len(body))
        return with_digest(data[:start] + body)
    header = json.loads(data[8:start])
    facts = json.loads(header["__metadata__"]["outrider"])
    if kind == 1:
        name = random.choice([name for name in header if name != "__metadata__"])
        _leaf_changed(header[name], random)
    else:
        for _ in range(random.choice((1, 1, 2))):
            _leaf_changed(facts, random)
        header["__metadata__"]["outrider"] = json.dumps(facts)
    text = json.dumps(header, separators=(",", ":")).encode()
    return with_digest(len(text).to_bytes(8, "little") + text + body)


def _leaf_changed(tree: Any, random: Random) -> None:
    """One value somewhere in JSON replaced, or taken out."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
        if not keys:
            return
        key = random.choice(keys)
        below = tree[key]
        if not isinstance(below, (dict, list)) or not below or random.random() < 0.1:
            break
        tree = below
    if isinstance(tree, dict) and random.random() < 0.1:
        del tree[key]
    elif isinstance(below, (int, float)) and not isinstance(below, bool) and random.random() < 0.4:
        tree[key] = random.choice((below + 1, below - 1, -below, below * 4, below / 2, below * (1 + 1e-9)))
    else:
        tree[key] = deepcopy(random.choice(ODD_VALUES))


def with_digest(data: bytes) -> bytes:
    """The bytes with the digest that docs/reference/file-format.md specifies, where the header has a place for it."""
    found = _ENTRY.search(data, 8, 8 + int.from_bytes(data[:8], "little"))
    if found is None:
        return data
    start, end = found.span(1)
    digest = hashlib.sha256(data[:start] + b"0" * 64 + data[end:]).hexdigest()
    return data[:start] + digest.encode() + data[end:]


def png_mended(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold, so that a change reaches the decoder."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        chunk = data[at + 4 : end]
        parts += [data[at : at + 4], chunk, zlib.crc32(chunk).to_bytes(4, "big")]
        at = end + 4
    return b"".join((*parts, data[at:]))

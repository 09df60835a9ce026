"""The types of the command line's arguments, for argparse."""

from __future__ import annotations

import argparse
import math
from pathlib import Path


def words(text: str) -> tuple[str, ...]:
    """``unit,channel`` -> ("unit", "channel")."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def named_data(text: str) -> tuple[str, str]:
    """``night=DIR`` -> (the name of a set, its data); ``DIR`` alone is named by its last part without the suffix."""
    name, separator, data = text.partition("=")
    if not separator:
        name, data = Path(text.partition(":")[0]).stem, text
    if not (name and data):
        raise argparse.ArgumentTypeError(f"expected NAME=DATA, such as night=night_frames, got {text!r}")
    return name, data


def severities(text: str) -> tuple[int, ...]:
    """``1,3,5`` -> whole numbers."""
    return tuple(map(positive, words(text)))


def bounds(text: str) -> tuple[float, float]:
    """``-1,1`` -> the lowest and the highest value."""
    found = numbers(text)
    if len(found) != 2:
        raise argparse.ArgumentTypeError(f"expected LOW,HIGH, such as -1,1, got {text!r}")
    return found[0], found[1]


def numbers(text: str) -> tuple[float, ...]:
    """``0.485,0.456,0.406`` -> three floats."""
    try:
        return tuple(float(word) for word in words(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers joined by commas, got {text!r}") from None


def rows(text: str) -> slice:
    """``1000:2000``, ``1000:`` or ``:2000`` -> a slice."""
    try:
        start, stop = (int(bound) if bound else None for bound in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected START:STOP, got {text!r}") from None
    return slice(start, stop)


def output_file(text: str) -> Path:
    """A file to write, whose folder is there: found out before the work and not after it."""
    path = Path(text)
    if not path.name or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: expected the name of a file to write, got a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: expected a folder to write to, got no such folder")
    return path


def positive(text: str) -> int:
    """An integer of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    """An integer of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def above_zero(text: str) -> float:
    """A number above 0."""
    return _number(text, math.ulp(0), "above 0")


def from_zero(text: str) -> float:
    """A number of at least 0."""
    return _number(text, 0, "from 0")


def _number(text: str, least: float, words: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number {words}, got {text!r}")
    return value


def shape(text: str) -> tuple[int, ...]:
    """``3,224,224`` -> the shape of one sample."""
    return tuple(map(positive, words(text)))


def shape_of_input(text: str) -> tuple[str, tuple[int, ...]]:
    """``3,224,224`` -> ("", the shape of one sample); ``camera=3,64,64`` -> that of one of several inputs."""
    name, separator, sizes = text.rpartition("=")
    found = shape(sizes)
    if (separator and not name) or (not found and not name):
        raise argparse.ArgumentTypeError(f"expected sizes joined by commas or INPUT=SIZES, got {text!r}")
    return name, found


def state(text: str) -> tuple[str, str | int]:
    """``h_in=h_out`` -> an input and the output that it comes from; an output may be named by its index."""
    name, separator, output = text.partition("=")
    if not (separator and name and output):
        raise argparse.ArgumentTypeError(f"expected INPUT=OUTPUT, such as h_in=h_out, got {text!r}")
    return name, output_name(output)


def output_name(text: str) -> int | str:
    """An output by its index or its name."""
    return int(text) if text.isdecimal() else text


def layout(text: str) -> tuple[str, str]:
    """``NAME=NCL`` -> the name, glob or kind of tensors, and where their channels lie."""
    name, _, layout = text.rpartition("=")
    if not (name and layout):
        raise argparse.ArgumentTypeError(f"expected NAME=LAYOUT, such as conv1=NCL, got {text!r}")
    return name, layout


def address(text: str) -> tuple[str, int]:
    """``9464`` or ``0.0.0.0:9464`` -> where to listen; by default, for this machine alone."""
    host, _, port = text.rpartition(":")
    if not (port.isdecimal() and int(port) <= 65535):
        raise argparse.ArgumentTypeError(f"expected [ADDRESS:]PORT, such as 9464 or 0.0.0.0:9464, got {text!r}")
    return host or "127.0.0.1", int(port)


def k_of_n(text: str) -> tuple[int, int]:
    """``3/5`` -> (3, 5)."""
    k, _, n = text.partition("/")
    if not (k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise argparse.ArgumentTypeError(f"expected K/N with 1 <= K <= N, such as 3/5, got {text!r}")
    return int(k), int(n)


def overlap(text: str) -> tuple[float, str]:
    """``0.3`` or ``union:0.3`` -> (0.3, "smaller" or "union")."""
    of, _, share = text.rpartition(":")
    try:
        value = float(share)
    except ValueError:
        value = math.nan
    if of not in ("", "smaller", "union") or not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0, up to 1, such as 0.3 or union:0.3, got {text!r}")
    return value, of or "smaller"


def classes(text: str) -> int | str | None:
    """``auto``, ``pixel``, ``none`` or a number from 2, as the networks take it."""
    if text in ("auto", "pixel"):
        return text
    if text != "none" and (not text.isdecimal() or int(text) < 2):
        raise argparse.ArgumentTypeError(f"expected auto, pixel, none or a number from 2, got {text!r}")
    return None if text == "none" else int(text)


def criterion(text: str) -> tuple[str | None, str]:
    """``SELECTOR=CRITERION`` or ``CRITERION`` -> (selector or None, criterion as text)."""
    selector, separator, rest = text.partition("=")
    if not separator or "(" in selector:
        return None, text
    return selector or None, rest


def shard(text: str) -> str:
    """``3/64``: worker 3 of 64, which are counted from 0."""
    worker, _, of = text.partition("/")
    if not (worker.isdecimal() and of.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected K/N, such as 0/64 to 63/64, got {text!r}")
    if not int(worker) < int(of):
        last = max(int(of), 1)
        raise argparse.ArgumentTypeError(f"expected 0/{last} to {last - 1}/{last}, counted from 0, got {text!r}")
    return text

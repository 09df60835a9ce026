"""What the commands take that read and write files of networks and profiles: export, inspect, compare."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import argument_types as types
from .shared import (
    NETWORK,
    add_batch_arguments,
    add_detections_argument,
    add_key_argument,
    add_layout_argument,
    add_picture_arguments,
    add_scores_arguments,
    add_shape_argument,
    add_state_argument,
    add_weights_argument,
)


def export(parser: argparse.ArgumentParser) -> None:
    """Write a model with the monitor of a calibrated profile inside its graph."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="the .onnx file that was profiled, or the decoder's")
    parser.add_argument(
        "profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` or `head calibrate` wrote"
    )
    parser.add_argument(
        "-o", "--output", type=types.output_file, required=True, metavar="FILE", help="the guarded .onnx file to write"
    )
    parser.add_argument(
        "--decoder",
        type=Path,
        metavar="FOLDER",
        help="for a guard of attention heads: the model in PyTorch, to compare the heads by value",
    )
    add_detections_argument(parser, "; needed here where it is a file.py:function")
    add_key_argument(parser, "PROFILE")
    parser.add_argument("--json", action="store_true", help="the facts in its metadata as JSON")


def inspect(parser: argparse.ArgumentParser) -> None:
    """Say what a profile or a heads file holds, or the monitor inside a guarded model, or list a network's taps."""
    parser.add_argument("what", metavar="WHAT", help=f"what `outrider profile` or `export` wrote, or {NETWORK}")
    network = parser.add_argument_group("of a network")
    network.add_argument("--taps", type=types.words, help="only what these would choose, as for `outrider profile`")
    add_shape_argument(network, "where the model leaves it open")
    add_layout_argument(network)
    add_weights_argument(network)
    parser.add_argument("--json", action="store_true", help="all of it as JSON")


def compile(parser: argparse.ArgumentParser) -> None:  # noqa: A001 (the command's name)
    """Compile all kernels into a folder, so that no later start does: for the builder of an image."""
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="what NUMBA_CACHE_DIR will name (default: where numba caches now)"
    )
    parser.add_argument(
        "--cpu",
        metavar="NAME",
        help="the processor to compile for, as LLVM calls it: `generic`, `x86-64-v3`; what NUMBA_CPU_NAME will name"
        " (default: this machine's own)",
    )
    parser.add_argument("--json", action="store_true", help="the facts as JSON")


def compare(parser: argparse.ArgumentParser) -> None:
    """Hold two networks against each other, tap by tap: exit status 0 when they agree, 1 when not."""
    parser.add_argument("a", metavar="NETWORK", help=NETWORK)
    parser.add_argument("b", metavar="OTHER", help="the same in another form, e.g. exported or quantised")
    add_weights_argument(parser)
    add_state_argument(parser)
    parser.add_argument("--tolerance", type=types.from_zero, default=1e-3, help="of a tensor's scale; default: 0.001")
    parser.add_argument("--taps", type=types.words, help="as for `outrider profile`")
    parser.add_argument("--neurons", type=types.words, default=("channel",), help="as for `outrider profile`")
    add_layout_argument(parser)
    add_scores_arguments(parser)

    how = parser.add_argument_group("what they are run on")
    how.add_argument("--frames", default="random", metavar="DATA", help="as for `outrider check`; default: random")
    how.add_argument("--count", type=types.positive, default=8, metavar="N", help="random frames; default: 8")
    add_shape_argument(how, "of a random frame, where no model says it")
    add_batch_arguments(how, 8, "DATA")
    add_picture_arguments(how)

    parser.add_argument("--profile", type=Path, metavar="FILE", help="a profile of NETWORK: its taps are compared")
    parser.add_argument(
        "-o", "--output", type=types.output_file, metavar="FILE", help="the profile for OTHER, where both agree"
    )
    parser.add_argument("--json", action="store_true", help="the comparison as JSON")


def sign(parser: argparse.ArgumentParser) -> None:
    """Sign profiles, heads files and models with the maker's private key, or make a key."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="what to sign; FILE.sig is written")
    parser.add_argument(
        "--key", type=Path, metavar="PRIVATE.pem", help="Ed25519; its passphrase is asked for or in OUTRIDER_PASSPHRASE"
    )
    parser.add_argument(
        "--new-key", type=Path, metavar="MAKER.pem", help="write a new private key here, and MAKER.pub.pem beside it"
    )
    parser.add_argument("--json", action="store_true", help="the names of what was written as JSON")


def verify(parser: argparse.ArgumentParser) -> None:
    """Check that files are what the owner of a key signed: exit status 0 when all are, 2 when any is not."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what `outrider sign` signed")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="MAKER.pub.pem", help="the public key, or several in one file"
    )
    parser.add_argument("--json", action="store_true", help="the files and keys as JSON")

"""Flags that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import argument_types as types

NETWORK = "model.onnx, zoo:NAME, torchvision:NAME, file.py:factory"
"""What names a network."""


def add_layout_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--tap-layout",
        dest="layouts",
        type=types.layout,
        action="append",
        metavar="NAME=LAYOUT",
        help="where the channels of tensors lie, e.g. conv1=NCL or '@relu=NLC'; may be given again",
    )


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """`--network` and `--weights`, as for `outrider profile`."""
    parser.add_argument("--network", help="as for `outrider profile`; default: the profile's .onnx file beside it")
    add_weights_argument(parser)
    add_detections_argument(parser, "; needed here where it is a file.py:function")


def add_detections_argument(parser: argparse._ActionsContainer, more: str = "") -> None:
    parser.add_argument(
        "--detections",
        metavar="DECODER",
        help="of an object detector, what makes boxes of its output: fastestdet, yolo, torchvision or rows, with"
        f" settings as 'yolo(score=0.4)', or file.py:function{more}",
    )


def add_weights_argument(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights of a PyTorch module, as .safetensors")


def add_state_argument(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--state",
        type=types.state,
        action="append",
        metavar="INPUT=OUTPUT",
        help="an input that is what an output was at the frame before, e.g. h_in=h_out; may be given again",
    )


def add_scores_arguments(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--scores-output",
        type=types.output_name,
        metavar="OUTPUT",
        help="index or name of the output with the class scores, where there are several outputs",
    )
    parser.add_argument(
        "--scores",
        choices=("logits", "probabilities"),
        default="auto",
        help="what the class scores are; default: read off the network",
    )


def add_shape_argument(parser: argparse._ActionsContainer, when: str) -> None:
    parser.add_argument(
        "--input-shape",
        type=types.shape_of_input,
        action="append",
        metavar="C,H,W",
        help=f"{when}; INPUT=C,H,W is that of one of several, and may be given again",
    )


def add_batch_arguments(parser: argparse._ActionsContainer, batch: int, whole: str) -> None:
    """Which part of the data is read, and how much of it at a time."""
    parser.add_argument("--rows", type=types.rows, default=slice(None), metavar="START:STOP", help=f"a part of {whole}")
    text = f"frames at a time; default: {batch}"
    parser.add_argument("--batch-size", type=types.positive, default=batch, metavar="N", help=text)


def add_on_error_argument(parser: argparse._ActionsContainer, *, alarm: bool = False) -> None:
    """What becomes of a frame that cannot be read. alarm: whether it can be judged all the same."""
    said = ("stop", "skip", "alarm") if alarm else ("stop", "skip")
    text = "what cannot be read ends the command, is left out and named" + (", or is FAULT" if alarm else "")
    parser.add_argument("--on-error", choices=said, default="stop", help=f"{text}; default: stop")


def add_picture_arguments(parser: argparse._ArgumentGroup) -> None:
    """How pictures become what a network takes: the fields of `Preprocessing`."""
    parser.add_argument(
        "--size",
        type=types.positive,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="what pictures are resized to; default: what the model takes, else as they are",
    )
    parser.add_argument(
        "--fit",
        choices=("stretch", "letterbox", "crop"),
        help="how a picture of another shape gets --size: letterbox scales it whole into the middle, crop cuts the"
        " middle out; default: stretch",
    )
    parser.add_argument(
        "--shorter",
        type=types.positive,
        metavar="PIXELS",
        help="with --fit crop, the shorter side before the cut; default: so that it just covers --size",
    )
    parser.add_argument("--fill", type=float, help="with --fit letterbox, what stands around it, 0 (default) to 255")
    parser.add_argument(
        "--interpolation",
        choices=("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"),
        help="Pillow's filter; default: bilinear",
    )
    parser.add_argument(
        "--white",
        type=float,
        metavar="NUMBER",
        help="the number that is white in pictures and becomes 255, e.g. 4095; default: the largest of 8 or 16 bits",
    )
    parser.add_argument("--scale", type=float, help="then times the pixel values, by default 1/255")
    parser.add_argument("--mean", type=types.numbers, metavar="M,M,M", help="subtracted after --scale")
    parser.add_argument("--std", type=types.numbers, metavar="S,S,S", help="divided by after --mean")
    parser.add_argument(
        "--layout",
        choices=("NCHW", "NHWC"),
        help="channels before or after height and width; default: as the model takes them",
    )
    parser.add_argument(
        "--order",
        choices=("RGB", "BGR", "L"),
        help="of the channels, L for gray; default: RGB, or L where there is one",
    )


def add_key_argument(parser: argparse._ActionsContainer, what: str) -> None:
    parser.add_argument(
        "--key",
        type=Path,
        metavar="MAKER.pub.pem",
        help=f"refuse {what} unless this key signed it; without it no signature is looked at",
    )

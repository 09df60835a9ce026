"""What the commands take that say how good a monitor is, and what it costs: evaluate, bench."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import argument_types as types
from .shared import (
    add_batch_arguments,
    add_detections_argument,
    add_key_argument,
    add_layout_argument,
    add_network_arguments,
    add_on_error_argument,
    add_scores_arguments,
    add_shape_argument,
)

ALL = ("all",)
"""What a flag says that names no corruption or fault."""


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Say how well a monitor tells unsafe frames from clean ones, and what becomes of the network's errors."""
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` wrote")
    parser.add_argument(
        "--clean",
        required=True,
        metavar="DATA",
        help="frames like the trusted ones, which neither profile nor threshold has seen; with class folders or labels"
        " the network's errors count too",
    )
    parser.add_argument(
        "--unsafe",
        type=types.named_data,
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=DATA",
        help="sets that should alarm, such as night=DIR attack=FILE.npz; may be given again",
    )
    parser.add_argument(
        "--labelled",
        type=types.words,
        default=(),
        metavar="NAME,NAME",
        help="the unsafe sets whose labels are of the network's classes; labels of others are left alone",
    )
    add_network_arguments(parser)
    add_key_argument(parser, "PROFILE")

    made = parser.add_argument_group("unsafe sets made of the clean one")
    made.add_argument(
        "--corruptions",
        type=types.words,
        nargs="?",
        const=ALL,
        default=(),
        metavar="NAME,NAME",
        help="weather, blur, noise, compression by imagecorruptions; without names the fifteen of ImageNet-C",
    )
    made.add_argument(
        "--severities",
        type=types.severities,
        default=(1, 2, 3, 4, 5),
        metavar="N,N",
        help="of corruptions, 1 to 5; default: all",
    )
    made.add_argument(
        "--faults",
        type=types.words,
        nargs="?",
        const=ALL,
        default=(),
        metavar="NAME,NAME",
        help="of the sensor: black, frozen, dead-rows and others; without names all",
    )
    made.add_argument(
        "--attacks",
        type=types.words,
        default=(),
        metavar="NAME,NAME",
        help="on a PyTorch network: fgsm, pgd, deepfool, cw, autoattack, foolbox:CLASS, torchattacks:CLASS; and"
        " adaptive, which alone knows the monitor",
    )
    made.add_argument(
        "--epsilon", default="8/255", metavar="E", help="the bound of attacks, from black to white; default: 8/255"
    )
    made.add_argument(
        "--attack-count", type=types.positive, default=500, metavar="N", help="frames attacked at most; default: 500"
    )
    made.add_argument(
        "--attack-bounds",
        type=types.bounds,
        metavar="LOW,HIGH",
        help="of samples that no preprocessing makes; default: 0,1",
    )

    how = parser.add_argument_group("how the data are read")
    add_batch_arguments(how, 64, "each")
    how.add_argument(
        "--classes-order",
        type=types.words,
        default=(),
        metavar="NAME,NAME",
        help="names of class folders in the order of the network's outputs; default: as the profile has them",
    )
    how.add_argument("--class-map", metavar="MAP", help="numbers of class folders, as for `outrider profile`")
    how.add_argument("--no-labels", action="store_true", help="ignore class folders and labels")
    how.add_argument("--by-drive", action="store_true", help="intervals count drives, as for `outrider calibrate`")
    add_on_error_argument(how, alarm=True)

    parser.add_argument(
        "--rate-fps", type=types.above_zero, default=30.0, metavar="FPS", help="for false alarms an hour; default: 30"
    )
    parser.add_argument(
        "--resamples",
        type=types.whole,
        default=1000,
        metavar="N",
        help="of the bootstrap; 0 for no such intervals; default: 1000",
    )
    parser.add_argument("-o", "--output", type=types.output_file, metavar="FILE", help="an HTML page with the curves")
    parser.add_argument(
        "--json",
        type=types.output_file,
        nargs="?",
        const=Path("-"),
        metavar="FILE",
        help="all figures and curves as JSON, to a file, or in place of the table",
    )


def bench(parser: argparse.ArgumentParser) -> None:
    """Say what a monitor costs on your model and this machine, beside the bare session, in about a minute."""
    parser.set_defaults(room="cost")
    parser.add_argument("network", metavar="NETWORK.onnx", help="an ONNX model; it is fed noise, so no data are needed")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="PROFILE",
        help="measure the monitor of this profile; default: bitmaps and the default monitor, taught on noise",
    )
    parser.add_argument(
        "--seconds",
        type=types.above_zero,
        default=60.0,
        metavar="S",
        help="for the timing, but 20 rounds at least; to prepare it takes some more; default: 60",
    )
    parser.add_argument(
        "--threads", type=types.positive, default=1, metavar="N", help="of every session; they do not spin; default: 1"
    )
    add_shape_argument(parser, "of a frame, where the model leaves it open")
    add_detections_argument(parser)

    how = parser.add_argument_group("how the model is watched, without --profile")
    how.add_argument("--classes", type=types.classes, default="auto", help="as for `outrider profile`; default: auto")
    add_scores_arguments(how)
    add_layout_argument(how)
    parser.add_argument("--json", action="store_true", help="all figures as JSON")

"""What the commands take that learn from data: profile, merge, calibrate."""

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
    add_network_arguments,
    add_on_error_argument,
    add_picture_arguments,
    add_scores_arguments,
    add_shape_argument,
    add_state_argument,
    add_weights_argument,
)


def profile(parser: argparse.ArgumentParser) -> None:
    """Learn what the trusted data of a network cover."""
    parser.add_argument("network", metavar="NETWORK", help=NETWORK)
    parser.add_argument(
        "data",
        metavar="DATA",
        help="folder, picture, .npy, .npz, IDX file or NAME:train; for several inputs a .npz with their names, or a"
        " folder with a folder for each",
    )
    parser.add_argument(
        "-o", "--output", type=types.output_file, required=True, metavar="FILE", help="the profile to write"
    )
    add_weights_argument(parser)
    add_state_argument(parser)

    add_shape_argument(parser, "of a state, where the model leaves it open")

    what = parser.add_argument_group("what is learned")
    what.add_argument(
        "--criterion",
        type=types.criterion,
        action="append",
        metavar="[TAPS=]CRITERION",
        help="e.g. 'single_range', or '@relu=multi_range(sections=32)' on those of --taps; may be given again",
    )
    what.add_argument(
        "--taps",
        type=types.words,
        help="auto, first, last, stages, widest, places, or tensors by name, glob or @kind; budget:1.05 chooses those"
        " of an ONNX model that take at most 1.05 of the bare inference here; default:"
        " auto,first:unit,last:channel-max; places for maps of class scores, detections and --neurons pixel",
    )
    what.add_argument(
        "--neurons",
        type=types.words,
        default=("channel",),
        help="unit, channel, channel-max, sampleK, gridK, pixel, pixelK; or several",
    )
    add_layout_argument(what)
    what.add_argument(
        "--classes",
        type=types.classes,
        default="auto",
        help="how many; auto: as the output has; none; pixel: class scores of every place, as segmentation has",
    )
    add_scores_arguments(what)
    add_detections_argument(what)
    what.add_argument(
        "--trusted-confidence",
        type=float,
        default=0.9,
        metavar="P",
        help="least softmax of a trusted frame; default: 0.9",
    )
    what.add_argument(
        "--minimum-per-class",
        type=types.positive,
        default=5,
        metavar="N",
        help="trusted frames below which a class is not covered and always alarms; default: 5",
    )

    how = parser.add_argument_group("how the data are read")
    add_batch_arguments(how, 64, "DATA")
    how.add_argument(
        "--classes-order",
        type=types.words,
        metavar="NAME,NAME",
        help="the names of class folders in the order of the network's outputs; default: folders sorted by name",
    )
    how.add_argument(
        "--class-map",
        metavar="MAP",
        help="numbers of class folders: stop=0,go=3, or a file with a mapping or such lines; two may share one",
    )
    add_on_error_argument(how)
    how.add_argument("--no-labels", action="store_true", help="ignore class folders and label files")
    add_picture_arguments(how)

    parser.add_argument(
        "--extend",
        type=Path,
        metavar="PROFILE",
        help="learn more into a copy of this profile, with its criteria; its threshold is dropped",
    )
    parser.add_argument("--resume", action="store_true", help="go on where Ctrl-C stopped")
    parser.add_argument(
        "--shard",
        type=types.shard,
        metavar="K/N",
        help="learn as worker K of N, counted from 0, and write a part; `outrider merge` joins the parts of all N",
    )
    add_cluster_arguments(parser)
    parser.add_argument("--json", action="store_true", help="the summary as JSON")


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """`--engine` and what goes with it."""
    cluster = parser.add_argument_group("on a cluster")
    cluster.add_argument(
        "--engine",
        choices=("here", "ray"),
        default="here",
        help="ray: on a Ray cluster; DATA are a folder of pictures, a .parquet or .tar (WebDataset), or their address",
    )
    cluster.add_argument("--workers", type=types.positive, metavar="N", help="default: one a core, but one to read")
    cluster.add_argument("--frames", type=types.positive, metavar="N", help="in DATA; default: Ray counts them")
    cluster.add_argument("--frame-column", metavar="NAME", help="of frames or pictures, in .parquet and .tar")
    cluster.add_argument("--label-column", metavar="NAME", help="of the numbers of classes; default: no labels")


def merge(parser: argparse.ArgumentParser) -> None:
    """Make one profile of the parts that many workers wrote, or of the profiles of several fleets."""
    parser.set_defaults(room="workers")
    parser.add_argument(
        "parts",
        nargs="+",
        type=Path,
        metavar="PART",
        help="what `profile --shard` wrote, or finished profiles",
    )
    parser.add_argument(
        "-o", "--output", type=types.output_file, required=True, metavar="FILE", help="the profile to write"
    )
    add_network_arguments(parser)
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="make a profile of the parts that are there; its history says what is missing",
    )
    parser.add_argument("--json", action="store_true", help="the summary as JSON")


def calibrate(parser: argparse.ArgumentParser) -> None:
    """Set the threshold of a profile on held-out data."""
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider profile` wrote")
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="held-out data, never those of the profile or of a test; none with --threshold and --from",
    )
    add_network_arguments(parser)
    add_key_argument(parser, "PROFILE")
    parser.add_argument("-o", "--output", type=types.output_file, metavar="FILE", help="default: PROFILE itself")
    parser.add_argument("--false-alarm-rate", type=float, metavar="RATE", help="per frame; default: 0.01")
    parser.add_argument("--fps", type=float, help="with --hours: one false alarm in so many hours at this frame rate")
    parser.add_argument("--hours", type=float, help="with --fps: hours in which one false alarm is allowed")
    parser.add_argument(
        "--per-class", action="store_true", help="a threshold per class with enough frames; the others share one"
    )
    parser.add_argument(
        "--by-drive",
        action="store_true",
        help="each drive counts as one: a folder of pictures, a .npz file of a folder, or as its array `drives` says",
    )
    parser.add_argument(
        "--groups",
        action="store_true",
        help="a rate that holds over each whole new drive, where --by-drive keeps it on average; drives as there",
    )
    parser.add_argument(
        "--group-confidence",
        type=float,
        metavar="P",
        help="with --groups: the chance that the rate holds over a new drive; default: 0.9",
    )
    parser.add_argument(
        "--keep-scales",
        action="store_true",
        help="for a new drive or place: the scales of before stay, and every frame sets the threshold",
    )
    parser.add_argument(
        "--box-rate",
        type=float,
        metavar="RATE",
        help="of the detections of a detector, each held to the threshold of its class; default: that per frame",
    )
    parser.add_argument("--warning-rate", type=float, metavar="RATE", help="a second, higher rate that gives WARN")
    parser.add_argument(
        "--accept-rate",
        type=float,
        metavar="RATE",
        help="take a rate seen up to this, though far from that asked for",
    )
    parser.add_argument(
        "--kinds",
        action="store_true",
        help="also learn to name the kind of an alarm, from DATA and changes made to them; for pictures",
    )
    parser.add_argument(
        "--threshold",
        type=types.numbers,
        metavar="X",
        help="set the threshold by hand, without data: one number, or one for each class joined by commas",
    )
    parser.add_argument(
        "--from",
        dest="logs",
        type=Path,
        action="append",
        metavar="LOG",
        help="set it anew on the frames that a guard kept in its event log (watch --keep-clean); may be given again",
    )
    parser.add_argument(
        "--shard",
        type=types.shard,
        metavar="K/N",
        help="see held-out data as worker K of N, counted from 0, and write what was seen to -o FILE",
    )
    parser.add_argument(
        "--scores",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="set it on what workers saw, with the files of --shard of all N; neither data nor network are needed",
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the history that `inspect` shows")
    add_batch_arguments(parser, 64, "DATA")
    add_on_error_argument(parser)
    parser.add_argument("--json", action="store_true", help="the calibration as JSON")

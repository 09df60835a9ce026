"""What each command takes. A command's name is that of its function here and of its file in `commands/`.

Nothing is imported that takes time: help and mistakes in the arguments are answered at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from . import argument_types as types
from .head_options import HEAD_COMMANDS

_NETWORK = "model.onnx, zoo:NAME, torchvision:NAME, file.py:factory"


def profile(parser: argparse.ArgumentParser) -> None:
    """Learn what the trusted data of a network cover."""
    parser.add_argument("network", metavar="NETWORK", help=_NETWORK)
    parser.add_argument(
        "data",
        metavar="DATA",
        help="folder, picture, .npy, .npz, IDX file or NAME:train; for several inputs a .npz with their names, or a"
        " folder with a folder for each",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the profile to write")
    _add_weights_argument(parser)
    _add_state_argument(parser)

    _add_shape_argument(parser, "of a state, where the model leaves it open")

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
        help="auto, first, stages, or tensors by name, glob or @kind; default: auto,first:unit",
    )
    what.add_argument(
        "--neurons", type=types.words, default=("channel",), help="unit, channel, channel-max, gridK, pixel; or several"
    )
    _add_layout_argument(what)
    what.add_argument(
        "--classes",
        type=types.classes,
        default="auto",
        help="how many; auto: as the output has; none; pixel: class scores of every place, as segmentation has",
    )
    _add_scores_arguments(what)
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
    _add_batch_arguments(how, 64, "DATA")
    how.add_argument("--no-labels", action="store_true", help="ignore class folders and label files")
    _add_picture_arguments(how)

    parser.add_argument("--resume", action="store_true", help="go on where Ctrl-C stopped")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")


def calibrate(parser: argparse.ArgumentParser) -> None:
    """Set the threshold of a profile on held-out data."""
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider profile` wrote")
    parser.add_argument("data", metavar="DATA", help="held-out data, never those of the profile or of a test")
    _add_network_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: PROFILE itself")
    parser.add_argument("--false-alarm-rate", type=float, metavar="RATE", help="per frame; default: 0.01")
    parser.add_argument("--fps", type=float, help="with --hours: one false alarm in so many hours at this frame rate")
    parser.add_argument("--hours", type=float, help="with --fps: hours in which one false alarm is allowed")
    parser.add_argument("--per-class", action="store_true", help="a threshold per class with enough frames")
    parser.add_argument("--warning-rate", type=float, metavar="RATE", help="a second, higher rate that gives WARN")
    _add_batch_arguments(parser, 64, "DATA")
    parser.add_argument("--json", action="store_true", help="the calibration as JSON")


def check(parser: argparse.ArgumentParser) -> None:
    """Hold data against a calibrated profile: exit status 0 when all are covered, 1 when any is not."""
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` wrote")
    parser.add_argument("data", nargs="+", metavar="DATA", help="folders, pictures, .npy, .npz, IDX files, NAME:test")
    _add_network_arguments(parser)
    _add_batch_arguments(parser, 64, "each")
    parser.add_argument("--json", action="store_true", help="one line of JSON per frame, as they are checked")


def watch(parser: argparse.ArgumentParser) -> None:
    """Watch a stream: a folder, a video, a camera or a bag. Exit status 1 after ALARM, FAULT or STALE, 0 without."""
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` wrote")
    parser.add_argument(
        "source", metavar="SOURCE", help="folder of pictures, video, camera's index, .mcap file, ROS 2 or ROS 1 bag"
    )
    _add_network_arguments(parser)
    parser.add_argument("--topic", help="of sensor_msgs/Image or CompressedImage, where a bag has several")
    parser.add_argument("--limit", type=types.positive, metavar="N", help="end after so many frames")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate",
        type=types.above_zero,
        metavar="FPS",
        help="frames a second at most; without it files go as fast as they can, and a folder's pictures count as 30",
    )
    pace.add_argument(
        "--realtime", action="store_true", help="a file at the pace at which it was recorded, gaps of at most 10 s"
    )

    guard = parser.add_argument_group("the guard, as in Python")
    guard.add_argument("--deadline", type=types.above_zero, metavar="S", help="seconds to a verdict, or STALE")
    guard.add_argument("--frozen", type=types.positive, metavar="N", help="the same picture N times is STALE")
    guard.add_argument(
        "--silence",
        type=types.above_zero,
        metavar="S",
        help="seconds without a frame, or STALE; 1 for a camera; of a file only with --realtime",
    )
    guard.add_argument("--alarm", type=types.k_of_n, default=(1, 1), metavar="K/N", help="K of N frames make an alarm")
    guard.add_argument("--clear", type=types.k_of_n, default=(1, 1), metavar="K/N", help="K of N clean ones end it")
    guard.add_argument("--latch", action="store_true", help="an alarm stays to the end")

    parser.add_argument("--ros2", metavar="NAME", help="publish status and verdicts to ROS 2 under this name")
    kept = parser.add_argument_group("what is kept")
    kept.add_argument("--log", type=Path, metavar="FILE", help="event log, for `outrider report`")
    kept.add_argument("--record", type=Path, metavar="FILE", help="recording for Rerun, .rrd")
    parser.add_argument("--json", action="store_true", help="one line of JSON per frame, as they are judged")


def export(parser: argparse.ArgumentParser) -> None:
    """Write a model with the monitor of a calibrated profile inside its graph."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="the .onnx file that was profiled, or the decoder's")
    parser.add_argument(
        "profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` or `head calibrate` wrote"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the guarded .onnx file to write"
    )
    parser.add_argument(
        "--decoder",
        type=Path,
        metavar="FOLDER",
        help="for a guard of attention heads: the model in PyTorch, to compare the heads by value",
    )
    parser.add_argument("--json", action="store_true", help="the facts in its metadata as JSON")


def _add_layout_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--tap-layout",
        dest="layouts",
        type=types.layout,
        action="append",
        metavar="NAME=LAYOUT",
        help="where the channels of tensors lie, e.g. conv1=NCL or '@relu=NLC'; may be given again",
    )


def inspect(parser: argparse.ArgumentParser) -> None:
    """Say what a profile or a heads file holds, or the monitor inside a guarded model, or list a network's taps."""
    parser.add_argument("what", metavar="WHAT", help=f"what `outrider profile` or `export` wrote, or {_NETWORK}")
    network = parser.add_argument_group("of a network")
    network.add_argument("--taps", type=types.words, help="only what these would choose, as for `outrider profile`")
    _add_shape_argument(network, "where the model leaves it open")
    _add_layout_argument(network)
    _add_weights_argument(network)
    parser.add_argument("--json", action="store_true", help="all of it as JSON")


def compare(parser: argparse.ArgumentParser) -> None:
    """Hold two networks against each other, tap by tap: exit status 0 when they agree, 1 when not."""
    parser.add_argument("a", metavar="NETWORK", help=_NETWORK)
    parser.add_argument("b", metavar="OTHER", help="the same in another form, e.g. exported or quantised")
    _add_weights_argument(parser)
    _add_state_argument(parser)
    parser.add_argument("--tolerance", type=types.from_zero, default=1e-3, help="of a tensor's scale; default: 0.001")
    parser.add_argument("--taps", type=types.words, help="as for `outrider profile`")
    parser.add_argument("--neurons", type=types.words, default=("channel",), help="as for `outrider profile`")
    _add_layout_argument(parser)
    _add_scores_arguments(parser)

    how = parser.add_argument_group("what they are run on")
    how.add_argument("--frames", default="random", metavar="DATA", help="as for `outrider check`; default: random")
    how.add_argument("--count", type=types.positive, default=8, metavar="N", help="random frames; default: 8")
    _add_shape_argument(how, "of a random frame, where no model says it")
    _add_batch_arguments(how, 8, "DATA")
    _add_picture_arguments(how)

    parser.add_argument("--profile", type=Path, metavar="FILE", help="a profile of NETWORK: its taps are compared")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the profile for OTHER, where both agree")
    parser.add_argument("--json", action="store_true", help="the comparison as JSON")


def report(parser: argparse.ArgumentParser) -> None:
    """Make the HTML page of a drive from its event log."""
    parser.add_argument("log", nargs="+", type=Path, metavar="LOG", help="event logs; older files of one come with it")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the page (default: report.html)")
    parser.add_argument("--json", action="store_true", help="print the numbers; the page only with -o")
    parser.add_argument("--salvage", action="store_true", help="leave out broken lines, and name them")


def head(parser: argparse.ArgumentParser) -> None:
    """Guard a language model by its attention heads: search, calibrate, recalibrate, check, chat."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION", help="what to do, see its --help")
    for add_arguments in HEAD_COMMANDS:
        summary = str(add_arguments.__doc__)
        command = commands.add_parser(add_arguments.__name__, help=summary, description=summary, allow_abbrev=False)
        add_arguments(command)


def demo(parser: argparse.ArgumentParser) -> None:
    """Watch the monitor at work: on photographs of traffic lights, or in a car whose camera fails."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("pictures", "drive"),
        default="pictures",
        help="pictures (the default): traffic lights, strangers, attacks; drive: a closed loop with a failing camera",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the page: demo.html or drive.html")
    parser.add_argument("--fast", action="store_true", help="less training, fewer images or drives")
    parser.add_argument(
        "--retrain", action="store_true", help="drive: teach the network anew, ten minutes; weights go beside the page"
    )


def _add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """`--network` and `--weights`, as for `outrider profile`."""
    parser.add_argument("--network", help="as for `outrider profile`; default: the profile's .onnx file beside it")
    _add_weights_argument(parser)


def _add_weights_argument(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights of a PyTorch module, as .safetensors")


def _add_state_argument(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--state",
        type=types.state,
        action="append",
        metavar="INPUT=OUTPUT",
        help="an input that is what an output was at the frame before, e.g. h_in=h_out; may be given again",
    )


def _add_scores_arguments(parser: argparse._ActionsContainer) -> None:
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


def _add_shape_argument(parser: argparse._ActionsContainer, when: str) -> None:
    parser.add_argument(
        "--input-shape",
        type=types.shape_of_input,
        action="append",
        metavar="C,H,W",
        help=f"{when}; INPUT=C,H,W is that of one of several, and may be given again",
    )


def _add_batch_arguments(parser: argparse._ActionsContainer, batch: int, whole: str) -> None:
    """Which part of the data is read, and how much of it at a time."""
    parser.add_argument("--rows", type=types.rows, default=slice(None), metavar="START:STOP", help=f"a part of {whole}")
    text = f"frames at a time; default: {batch}"
    parser.add_argument("--batch-size", type=types.positive, default=batch, metavar="N", help=text)


def _add_picture_arguments(parser: argparse._ArgumentGroup) -> None:
    """How pictures become what a network takes: the fields of `Preprocessing`."""
    parser.add_argument(
        "--size",
        type=types.positive,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="what pictures are resized to; default: what the model takes, else as they are",
    )
    parser.add_argument("--scale", type=float, help="times the pixel values, by default 1/255")
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


COMMANDS = (profile, calibrate, check, watch, export, inspect, compare, report, head, demo)


def leaves(parser: argparse.ArgumentParser, *words: str) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """The commands that stand at the end of a command's words, such as ``head search``, each with its parser."""
    branches = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    if not branches:
        yield words, parser
    for branch in branches:
        for name, command in branch.choices.items():
            yield from leaves(command, *words, name)

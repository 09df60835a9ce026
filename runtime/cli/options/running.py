"""What the commands take that judge data: check, watch, report, demo."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import argument_types as types
from .shared import add_batch_arguments, add_key_argument, add_network_arguments, add_on_error_argument


def check(parser: argparse.ArgumentParser) -> None:
    """Hold data against a calibrated profile: exit status 0 when all are covered, 1 when any is not."""
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` wrote")
    parser.add_argument("data", nargs="+", metavar="DATA", help="folders, pictures, .npy, .npz, IDX files, NAME:test")
    add_network_arguments(parser)
    add_key_argument(parser, "PROFILE")
    add_batch_arguments(parser, 64, "each")
    add_on_error_argument(parser, alarm=True)
    parser.add_argument("--json", action="store_true", help="one line of JSON per frame, as they are checked")
    parser.add_argument(
        "--maps",
        type=Path,
        metavar="FOLDER",
        help="write there what the network saw of each frame as PNG, with its map of places and regions drawn over it",
    )


def watch(parser: argparse.ArgumentParser) -> None:
    """Watch streams: folders, videos, bags, cameras, URLs. Exit status 1 after ALARM, FAULT or STALE, 0 without."""
    parser.add_argument(
        "profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` wrote; a cameras.yaml may name it"
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="folder of pictures, video, .mcap file, ROS 2 or ROS 1 bag, camera's index or device, URL (rtsp://, http://"
        " ...), ros2:/TOPIC, pipeline of GStreamer, or a .yaml file of several cameras",
    )
    parser.set_defaults(settings_in=cameras_file)
    add_network_arguments(parser)
    add_key_argument(parser, "PROFILE")
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
    guard.add_argument(
        "--same-region",
        type=types.overlap,
        nargs="?",
        const=(0.3, "smaller"),
        metavar="SHARE",
        help="of a monitor of places: K of N frames of --alarm show one region; its boxes overlap by this share of the"
        " smaller one (default: 0.3), or with union:SHARE of both",
    )
    guard.add_argument("--latch", action="store_true", help="an alarm stays to the end")

    parser.add_argument("--ros2", metavar="NAME", help="publish status and verdicts to ROS 2 under this name")
    parser.add_argument(
        "--metrics", type=types.address, metavar="[ADDRESS:]PORT", help="serve counters, score and margin to Prometheus"
    )
    kept = parser.add_argument_group("what is kept")
    kept.add_argument("--log", type=Path, metavar="FILE", help="event log, for `outrider report`")
    kept.add_argument(
        "--log-failure",
        choices=("fault", "warn"),
        default="fault",
        help="what a frame is whose event the log does not take: FAULT, or WARN and go on (default: fault)",
    )
    kept.add_argument(
        "--keep-clean",
        type=types.positive,
        metavar="N",
        help="one of N frames that were believed clean goes to --log, for `outrider calibrate --from`",
    )
    kept.add_argument("--record", type=Path, metavar="FILE", help="recording for Rerun, .rrd")
    parser.add_argument("--json", action="store_true", help="one line of JSON per frame, as they are judged")


def cameras_file(options: argparse.Namespace) -> Path | None:
    """The YAML file that names several cameras, where the arguments of `watch` have one. Raises ValueError for less."""
    named = str(options.profile) if options.source is None else options.source
    if Path(named).suffix.lower() in (".yaml", ".yml") and "://" not in named:
        return Path(named)
    if options.source is None:
        raise ValueError(f"expected SOURCE after {named}, or a .yaml file of cameras (see `outrider watch --help`)")
    return None


def report(parser: argparse.ArgumentParser) -> None:
    """Make the HTML page of a drive from its event log."""
    parser.add_argument("log", nargs="+", type=Path, metavar="LOG", help="event logs; older files of one come with it")
    parser.add_argument(
        "-o", "--output", type=types.output_file, metavar="FILE", help="the page (default: report.html)"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers; the page only with -o")
    parser.add_argument("--salvage", action="store_true", help="leave out broken lines, and name them")


def demo(parser: argparse.ArgumentParser) -> None:
    """Watch the monitor at work: on photographs of traffic lights, or in a car whose camera fails."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("pictures", "drive"),
        default="pictures",
        help="pictures (the default): traffic lights, strangers, attacks; drive: a closed loop with a failing camera",
    )
    parser.add_argument(
        "-o", "--output", type=types.output_file, metavar="FILE", help="the page: demo.html or drive.html"
    )
    parser.add_argument("--fast", action="store_true", help="less training, fewer images or drives")
    parser.add_argument(
        "--retrain", action="store_true", help="drive: teach the network anew, ten minutes; weights go beside the page"
    )

"""Write `benchmarks/RESULTS.md` from the raw figures in `benchmarks/results/`.

`--check FILE ...` writes nothing: it names the numbers that documents quote wrongly, between the marks
`<!-- results: NAME -->` and `<!-- end -->`. NAME is a file of `results/`, or several with spaces between.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from textwrap import fill

from . import sections
from .cost import onnx_tables, shards
from .cost import tables as cost
from .detection import adaptive_tables
from .detection import tables as detection
from .loop import tables as loop
from .quotes import misquoted
from .reliability import tables as reliability
from .results import load, names
from .sections import Section
from .studies.sections import STUDIES
from .tables import markdown

FILE = Path(__file__).parent / "RESULTS.md"
HEAD = """\
`python -m benchmarks.report` writes this file from the raw figures in `benchmarks/results/`: do not edit it. \
Each section names the command that measured its figures. Everything ran on processors alone.

In the tables of detection, AUROC is the chance that an image of the column gets a higher score than a test image, \
× 100. In brackets: the per cent of the column that was flagged. Every threshold was set for 5 % false alarms on \
held-out training images; `false alarms` is what it came to on the test images. `mean` is over the columns. Attacks \
(foolbox) start from test images that the network classifies correctly, and only those that change its prediction \
count. They aim at the network and do not know the monitor, but for those of the section on an attacker who does. \
`make evidence` measures all that is said of detection."""


RIVALS = (
    "Detectors of other libraries run by their own code on the same network; each has one threshold from the same"
    " held-out images. What was set, and how many images each judged, stands below; docs/explanation/rivals.md says"
    " why. The default configuration was chosen on held-out training images of all four networks."
)

ONNX = (
    "Whole monitored inference, compared with a session of the untouched model: medians of paired ratios, one"
    " thread. Every activation is tapped by channel, but in rows named `stages` and `sample7`. `equal` says that the"
    " model's own outputs stay the same bit for bit. `same verdict` compares the monitor inside the graph with the one"
    " outside. `bare again` is a second bare session: it shows how far equal things differ. `guarded file` is the size"
    " of the guarded model, × the model and its signatures together. A `!` marks what is beyond its bar: 1.05 in the"
    " graph (1.03 for ResNet-18 in float32), 1.06 outside (1.10 for int8), and 1.05 for the file."
)


def _detection(title: str, data: str, text: str = "") -> Section:
    command = f"python -m benchmarks.detection.detectors {data}"
    text = f"{RIVALS} {text}".rstrip()
    return Section(f"Detection on {title}", f"detection-{data}", command, text, detection.detectors)


SECTIONS = (
    _detection("Fashion-MNIST", "fashion-mnist"),
    _detection("CIFAR-10", "cifar10"),
    _detection(
        "MobileNetV2",
        "mobilenet",
        "The network has its ImageNet weights and a linear layer for CIFAR-10's photographs, which it resizes to"
        " 96 × 96. `grain`, `dark` and `blur` are test photographs with noise added, at 0.3 of their brightness, and"
        " averaged over 5 × 5 pixels.",
    ),
    _detection(
        "traffic signs",
        "gtsrb",
        "Ten of 43 classes were left out, and are a column. Whole tracks, the frames of one sign, are held out. A track"
        " counts as one, and classes with enough of them have thresholds of their own; rivals have one threshold, from"
        " the same tracks. The test frames have no track numbers, so that intervals over frames are too narrow.",
    ),
    Section(
        "Fewer taps: MobileNetV2",
        "stages-mobilenet",
        "python -m benchmarks.detection.stages mobilenet",
        '`taps="stages"` observes of each size of map the last of the widest activations. The rows compare'
        " it with the default taps, and with every activation (`auto`); all else is equal. `first:unit` adds the first"
        " activation unit by unit. `sample7` reads at most 7 × 7 places of each map, `sample4` at most 4 × 4.",
        detection.stages,
    ),
    Section(
        "An attacker who knows the monitor",
        "adaptive",
        "python -m benchmarks.detection.adaptive --keep",
        "Each attempt starts from a test image that the network classifies correctly, and may move every number by"
        " epsilon. It counts where the network errs and the monitor itself gives no alarm. `knows the network`: PGD, 40"
        " steps, as if there were no monitor. `knows both`: also every attack of `outrider.monitor.evaluation.adaptive`"
        " that follows gradients, one after the other on what is left. `no monitor` is the ceiling: how often these"
        " fool the network at all. `verdicts alone`: the square attack with 500 queries an image, which sees what"
        " `check` returns and nothing inside. The default's profile is of all training images. Single criteria, and"
        " both networks of the tables of networks, learn from 10,000 and are calibrated on 2,000. Networks that are"
        " harder to fool are seldom sure: there, both are profiled with a softmax of at least 0.5. For single"
        " criteria, what PGD does not fool counts as not evaded; likewise on the adversarially trained network for"
        " CIFAR-10, where only three ways to know both are tried.",
        adaptive_tables.adaptive,
    ),
    *sections.PLACES,
    Section(
        "The closed loop",
        "drive",
        "python -m benchmarks.loop.drive",
        "A small network steers gymnasium's CarRacing from the camera image. Each track is driven clean and with each"
        " fault, without a guard and with one that alarms after 3 of 5 frames and then stops the car. A fault"
        " `changes the driving` when the car comes a metre or more off the path of its clean drive. The adversary"
        " changes each pixel by up to 12/255; it knows the network and not the monitor. A simulator is kind: its"
        " pictures differ little from drive to drive, its brakes are unreal, and the faults are strong.",
        loop.drive,
    ),
    Section(
        "Time",
        "time",
        "python -m benchmarks.cost.speed",
        "Medians of alternated runs in one process, on one thread. `loops` is the compiled comparison of one frame with"
        " what was learned, the test for NaN included. `× numpy's sum` compares it with numpy's sum of the same"
        " array. `with checks` is the whole of `Criterion.deviation`. 3,904 neurons are the channels of ResNet-18;"
        " 1,000,000 are single units. `× bare` is the median of the paired ratios to a session of the untouched model.",
        cost.speed,
    ),
    Section("ONNX models", "onnx", "python -m benchmarks.cost.onnx", ONNX, onnx_tables.onnx),
    Section(
        "ONNX models, with AVX-512",
        "onnx-avx512",
        "python -m benchmarks.cost.onnx",
        f"{ONNX} This processor has AVX-512, with which ONNX Runtime computes faster and lays maps out in blocks of 16"
        " channels.",
        onnx_tables.onnx,
    ),
    Section(
        "PyTorch modules",
        "modules",
        "python -m benchmarks.cost.modules --keep",
        "`TorchNetwork.observe`, with every activation tapped by channel, beside the bare module: medians of alternated"
        " runs in one process, one thread; ratios are medians of paired ratios. `hooks by hand` stay on a module and"
        " make the same channel means. `functions`: every ReLU is a call of `functional.relu`, so a function mode"
        " watches the modules that call it. 1.03 × ResNet-18 and 15 µs more on LeNet than with modules were asked for"
        " where functions are tapped. `equal` says that the output is that of the bare module bit for bit.",
        cost.modules,
    ),
    Section(
        "The guard's own time",
        "guard",
        "python -m benchmarks.cost.guard --keep",
        "What `guard(frame)` takes beyond the network's session and the compiled loops, in µs. Everything is on. 25 in"
        " the median and 150 at p99.9 were asked for; p99.9 is the time that 999 of 1,000 frames stay under. In"
        " brackets: the tenth of the frames during which the machine was quietest.\n\n"
        "Each frame is guarded once and done twice without the guard, in random order. `added` is the guarded run less"
        " a bare run, frame by frame. `two bare` is one bare run less the other. No guard is in it, so it shows what"
        " the machine does to such a difference. `p99.9 − bare p99.9` subtracts the p99.9 of bare runs from that of"
        " guarded runs; `the same, two bare` does so with the two bare runs. `spread` is the p99.9 less the median.\n\n"
        "In a second pass, `own` is the time of the call less that of the session and the loops, each timed inside it."
        " The test loop is compiled, takes about 20 µs and touches no memory: the machine alone spreads it.",
        cost.guard,
    ),
    Section(
        "Reading",
        "reading",
        "python -m benchmarks.cost.reading --keep",
        "1,000 frames of each kind, made by a script, from files that the system holds in memory. Outrider's readers"
        " beside OpenCV's `imread` and `VideoCapture` with `cvtColor` to RGB: in one process, ten frames at a time, in"
        " turning order. The ratio is the median of the paired ratios; a `!` marks what is beyond 1.10. Outrider gives"
        " planes, checks the checksums of PNG files and asks the decoder about damage; OpenCV gives pixels side by"
        " side and does neither. `largest difference` compares the numbers.",
        cost.reading,
    ),
    Section(
        "Profiles from many workers",
        "shards",
        "python -m benchmarks.cost.shards --keep",
        "ResNet-18 with random weights, 1,000 classes and the default criteria; each worker is a process of its own on"
        " one thread. Frames are counted from a worker's first to its last. A plain process profiles all frames at"
        " once; a worker learns a shard of them and leaves a part.",
        shards.tables,
    ),
    Section(
        "Memory",
        "memory",
        "python -m benchmarks.cost.memory",
        "Each profile runs in a process of its own, over 5,000 and over 50,000 frames. `growth` is the second peak ÷"
        " the first. `signature` is what a criterion remembers. `pass × bare forward` compares the time of profiling"
        " with that of the bare forward passes on the same frames.",
        cost.memory,
    ),
    Section(
        "Modules as they are",
        "watched",
        "python -m benchmarks.reliability.modules --keep",
        "Each is opened with its default taps and random weights, and observed on two frames of noise. `unchanged`"
        " holds everything in the module, hooks included, to what was there before.",
        reliability.watched,
    ),
    Section(
        "Parity",
        "parity",
        "python -m benchmarks.reliability.parity",
        "One monitor runs in PyTorch, beside the ONNX model, and inside its graph. `score off by` is the largest"
        " difference of a score, relative to the score or to 1 where that is less. The graph is compared with the"
        " monitor beside it, which differs by rounding. PyTorch is compared with the graph: its kernels round"
        " otherwise, and a neuron that lies on a learned bound can fall on the other side of it. The last column is"
        " how near to the threshold the scores of differing verdicts lay.",
        reliability.parity,
    ),
    Section(
        "Damaged videos",
        "videos",
        "python -m benchmarks.reliability.videos --keep",
        "Each video is damaged once at a random place, and read as `outrider watch` reads it. A frame that the decoder"
        " calls damaged is FAULT, and so is each one after it up to the next key frame from behind the damage. A frame"
        " is wrong where its numbers differ from those of every frame of the undamaged video; it passes where nothing"
        " was noticed. Only what a codec can notice is a fault: H.264 and MPEG-4 stumble over most damage, H.265 and"
        " VP9 decode it to nonsense, unless the encoder adds hashes of the pictures.",
        reliability.videos,
    ),
    Section(
        "Endurance",
        "soak",
        "python -m benchmarks.reliability.soak --keep",
        "One guard with everything on sees an hour's frames as fast as they go: clean ones, strange ones, frames with"
        " NaN, black, cut short, missing and late ones. `growth` is the largest memory seen ÷ that after a tenth of"
        " the frames, less 1. `events counted` were counted beside the loop; the log must hold as many.",
        reliability.soak,
    ),
    Section(
        "Changed files",
        "fuzz",
        "python -m benchmarks.reliability.fuzz --keep",
        "Small files of every kind are changed at random, a million of profiles, and read. `refused` is an error that"
        " the reader promises. No changed profile may be accepted. With a digest computed anew a profile is what a"
        " wrong program or a person wrote. It may be accepted where it cannot be told from one that was learned, and"
        " `covers what its seed does not` says how often a frame that alarmed is then covered: against people only a"
        " signature helps. `wrong` counts crashes, hangs of 20 s, other errors, NaN as score and NaN that is covered.",
        reliability.fuzz,
    ),
    *sections.HEADS,
    *STUDIES,
)


def document() -> str:
    """The whole of RESULTS.md."""
    parts = ["# What the benchmarks measured", wrapped(HEAD)]
    kept = names()
    for section in SECTIONS:
        if section.name not in kept:  # its data are not everybody's
            continue
        found = load(section.name)
        measured = (
            f"Measured by `{section.command}` on {found.date}: {found.processor}, {found.cores} cores,"
            f" Python {found.python}. Raw figures: [{section.name}.json](results/{section.name}.json)."
        )
        parts += [f"## {section.title}", wrapped(measured), wrapped(section.text), figures(section.name)]
    return "\n\n".join(parts) + "\n"


def wrapped(text: str) -> str:
    """Paragraphs in lines of at most 120 characters."""
    return "\n\n".join(fill(part, 120, break_long_words=False, break_on_hyphens=False) for part in text.split("\n\n"))


def figures(name: str) -> str:
    """The tables and sentences of a result, which documents may quote. Raises KeyError where there is none."""
    section = {section.name: section for section in SECTIONS}[name]
    return markdown(section.parts(load(name).figures))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", nargs="+", type=Path, metavar="FILE", help="documents whose quotes are checked")
    options = parser.parse_args()
    if options.check:
        wrong = [f"{path}: {each}" for path in options.check for each in misquoted(path.read_text("utf-8"), figures)]
        print("\n".join(wrong) or "every quoted number is in the results")
        return int(bool(wrong))
    FILE.write_text(document(), encoding="utf-8")
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

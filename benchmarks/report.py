"""Write `benchmarks/RESULTS.md` from the raw figures in `benchmarks/results/`.

`--check FILE ...` writes nothing: it names the numbers that documents quote wrongly, between the marks
`<!-- results: NAME -->` and `<!-- end -->`. NAME is a file of `results/`, or several with spaces between.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from .cost import onnx_tables
from .cost import tables as cost
from .detection import adaptive_tables
from .detection import tables as detection
from .heads import tables as heads
from .heads.testbed.tables import testbed as heads_testbed
from .loop import tables as loop
from .places import detection_tables, segmenter_tables
from .quotes import misquoted
from .reliability import tables as reliability
from .results import load, names
from .tables import Part, markdown

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


@dataclass(frozen=True)
class Section:
    """The figures of one command: what they are, in words, and their tables."""

    title: str
    name: str
    command: str
    text: str
    parts: Callable[[Any], list[Part]]


RIVALS = (
    "Detectors of other libraries run by their own code on the same network; each has one threshold from the same"
    " held-out images. What was set, and how many images each judged, stands below; docs/explanation/rivals.md says"
    " why. The default configuration was chosen on held-out training images of all four networks."
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
        " activation unit by unit. These rows were measured with the default configuration of before.",
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
    Section(
        "A segmenter of driving frames",
        "segmenter",
        "python -m benchmarks.places.segmenter CAMVID --keep",
        "torchvision's MobileNetV2 with its ImageNet weights under an LR-ASPP head at stride 16 learns CamVid's 92"
        " training frames in 20 minutes of one core. The validation frames are of a drive that is also in training; 86"
        " of the test frames are of a drive that is not. Classes are the share of their pixels that is seen right.",
        segmenter_tables.accuracy,
    ),
    Section(
        "A detector: places, dirt and boxes",
        "places-detection",
        "python -m benchmarks.places.detection CAMVID DIRT MODEL --keep",
        "FastestDet, trained on COCO, is profiled on CamVid's 92 training frames without labels. A threshold of 5 % is"
        " set on the 101 validation frames, which are of a drive that is also in training, or on every other frame"
        " of the test's own drive with `keep_scales`. `default` is what `Monitor` takes. `chosen` was chosen on"
        " validation frames with pasted objects and dirt: the distance at the first activation of stride 16, and"
        " nearest neighbours at the last of stride 32. It sees much more dirt, since mud is smooth to deep maps, and"
        " more of a new street as well, until that has a threshold of its own.\n\n"
        "Animals are those of CamVid-OOD. Dirt is cut out of photographs (LaREx) and laid over every other frame at a"
        " place of chance: mud hangs from the upper edge as a streak and dust over the lower. `located`: a region's"
        " intersection over union with it is at least 0.3, in places, of which a quarter is covered. `highest place on"
        " it`: where the map is highest, there it is.\n\n"
        "A box is right where 30 % of its pixels have the label of its class, on an animal or on dirt where 30 or 50 %"
        " are such, and left out where most have no label. AUROC is the chance that such a box deviates more than a"
        " right one, as a share of the threshold of its class. Boxes of classes that training frames hardly show"
        " deviate by infinity; the last columns leave them out. Of the network's own mistakes the deviation says"
        " little, and its confidence much. Of animals and dirt the deviation says more. A cue is a region that"
        " no detection covers; an object without a box is a connected part of its label of at least 0.4 % of the"
        " picture of which boxes cover less than half.",
        detection_tables.detection,
    ),
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
    Section(
        "ONNX models",
        "onnx",
        "python -m benchmarks.cost.onnx",
        "Whole monitored inference, compared with a session of the untouched model: medians of paired ratios, one"
        " thread. Every activation is tapped by channel, but in rows named `stages`. `equal` says that the model's own"
        " outputs stay the same bit for bit. `same verdict` compares the monitor inside the graph with the one outside."
        " `bare again` is a second bare session: it shows how far equal things differ. `guarded file` is the size of"
        " the guarded model, × the model and its signatures together. A `!` marks what is beyond its bar: 1.05 in the"
        " graph (1.03 for ResNet-18 in float32), 1.06 outside (1.10 for int8), and 1.05 for the file.",
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
    Section(
        "Attention heads: unsafe prompts",
        "heads-detection",
        "python -m benchmarks.heads.detection --prompts FOLDER",
        "A language model of 135 million parameters reads unsafe and safe prompts. Every row learns from 50 of each"
        " kind; its threshold comes from 200 other safe prompts. Rivals take one pass, like the read-outs. On these two"
        " sets the words alone tell the kinds apart, so that a high figure says little of the heads; the contrasts"
        " below are the harder test. The rows of deflection are the published statistic and its cheaper variant: a head"
        " is masked, and the angle is that by which the final state turns. VLSafe's prompts are read without images.",
        heads.detection,
    ),
    Section(
        "Attention heads: contrasts",
        "heads-contrasts",
        "python -m benchmarks.heads.contrasts --prompts FOLDER",
        "XSTest sets safe prompts against unsafe ones that share a word: to kill a process or a person. Ten splits"
        " by that word; the figures are means over their test halves. `tuned` is the same model after a light safety"
        " tuning on a third of the words, none of which stands in `other words`. The set has too few safe prompts for a"
        " threshold from 200. The row of `full` ran on one split, among the heads that `last_query` liked best on the"
        " same labels, so that no permutation test of its choice would mean anything. A well-regularised probe and"
        " probes on heads come within the spread of the eight read-outs.",
        heads.contrasts,
    ),
    Section(
        "Attention heads: the tuning",
        "heads-tuning",
        "python -m benchmarks.heads.tuning --prompts FOLDER",
        "What the tuning did to the model. A refusal is known by its words among the first 8 tokens of the answer.",
        heads.tuning,
    ),
    Section(
        "Attention heads: prompts of another style",
        "heads-transfer",
        "python -m benchmarks.heads.transfer --prompts FOLDER",
        "A guard of eight read-outs, calibrated on one set's safe prompts, judges another's. `told` says whether"
        " `HeadGuard.compare` warns when it is given the other set's safe prompts. The last column follows"
        " `recalibrate` on these, which keeps the heads.",
        heads.transfer,
    ),
    Section(
        "Attention heads: pictures and jailbreaks",
        "heads-testbed",
        "python -m benchmarks.heads.testbed.measure",
        "A small vision-language model of ours (`python -m benchmarks.heads.testbed.build`): a tower that sees digits,"
        " clothes and sketches in front of SmolLM2, tuned to refuse some pairs of task and picture. Words alone and"
        " length alone say nothing. Rows learn from pairs of half the tasks and concepts; the threshold comes from safe"
        " pairs of the other half. Left-out tasks and concepts were never seen as pairs, by the model either. An answer"
        " is known by its first token; none is generated. Rows of angles were measured on fewer inputs.",
        heads_testbed,
    ),
    Section(
        "Attention heads: exported decoders",
        "heads-exported",
        "python -m benchmarks.heads.exported --prompts FOLDER",
        "The guard of the first row, searched and calibrated in PyTorch, inside models of onnxruntime-genai's builder."
        " Its own threshold comes from the file's scores over the same 200 safe prompts.",
        heads.exported,
    ),
    Section(
        "Attention heads: cost",
        "heads-cost",
        "python -m benchmarks.heads.cost --prompts FOLDER",
        "`check` takes a text and gives a verdict; it is compared with encoding and one bare forward of the model."
        " `guard and answer` is guarded generation of 32 tokens against the bare model's. What is `beyond the prefill`"
        " comes on top of a plain pass that is there already. `prefill again` shows how far equal things differ.",
        heads.cost,
    ),
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

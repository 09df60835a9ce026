"""Sections of RESULTS.md: those of places and of attention heads; the others stand in `report`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .cost import tables as cost
from .heads import tables as heads
from .heads.testbed.tables import testbed as heads_testbed
from .places import detection_tables, drive_tables, drives_tables, kinds_tables, segmentation_tables
from .tables import Part


@dataclass(frozen=True)
class Section:
    """The figures of one command: what they are, in words, and their tables."""

    title: str
    name: str
    command: str
    text: str
    parts: Callable[[Any], list[Part]]


PLACE_FRAMES = (
    "Monitors learn from CamVid's 92 training frames with labels, and are calibrated on the 101 validation frames,"
    " which are of one drive that is also in training. The 117 test frames are of two drives, one in neither. They are"
    " seen as they are (`clean`), with an animal in each (CamVid-OOD), with its border faded over 4 pixels"
    " (`feathered`), and with a piece of another test frame in the animal's outline (`control`), which nothing but its"
    " border and its being out of place tells. Pixels: the animals' against all others but void, maps interpolated."
    " Rivals are read off each pixel's class scores, averaged over windows of a place, and then over the same box of"
    " places; their frames are judged by the same rule. An animal is hit where the frame alarms and its largest region"
    " meets the animal. IoU is of that region with the animal, in places, the mean over all frames. In brackets:"
    " intervals of 95 %."
)


def _segmentation(title: str, network: str, text: str) -> Section:
    command = f"python -m benchmarks.places.segmentation --camvid DIR --models DIR --network {network}"
    name = f"segmentation-{network}"
    return Section(
        f"Where in the picture: {title}", name, command, f"{PLACE_FRAMES} {text}", segmentation_tables.segmentation
    )


KINDS = (
    "The monitor learns kinds from held-out images and changes made to them, `Monitor.learn_kinds`. Of test images only"
    " those that alarm have a kind. Conditions with fewer than five alarms are not in the mean. `faults as learned` are"
    " of a strength of their own, but examples of such faults were learned; of the others none were."
)


def _kinds(title: str, data: str) -> Section:
    chosen = "Strengths of examples were chosen on held-out images of both networks. CIFAR-10's profile is of 15,000."
    command = f"python -m benchmarks.places.kinds {data} --keep"
    return Section(f"The kind of an alarm: {title}", f"kinds-{data}", command, f"{KINDS} {chosen}", kinds_tables.kinds)


PLACES = (
    Section(
        "A segmenter of driving frames",
        "segmenter",
        "python -m benchmarks.places.segmenter CAMVID --keep",
        "torchvision's MobileNetV2 with its ImageNet weights under an LR-ASPP head at stride 16 learns CamVid's 92"
        " training frames in 20 minutes of one core. The validation frames are of a drive that is also in training; 86"
        " of the test frames are of a drive that is not. Classes are the share of their pixels that is seen right.",
        segmentation_tables.accuracy,
    ),
    _segmentation(
        "ESPNet",
        "espnet",
        "ESPNet has its published weights, trained on CamVid. Settings were chosen on pastes of our own in training and"
        " validation frames (`benchmarks/places/pastes.py`), each training drive left out once: photographs, textures"
        " and CIFAR-10's animals. The test was looked at in between, with some twenty combinations of columns. A first"
        " default, of centres, the finer map and the softmax, was given up after it, and a second, of two maps and the"
        " length, after the test of MobileNetV2. The default as it is was then taken for its figures on the left-out"
        " drives of both networks, where it is as good as the second in the mean, at half the cost. The rows below"
        " those on the last map are what else was looked at.",
    ),
    _segmentation(
        "MobileNetV2",
        "mobilenet",
        "The network is the segmenter of the section before. That its default has one map was settled on its training"
        " drives, each left out once, after its test had been seen.",
    ),
    Section(
        "What maps cost",
        "places-cost",
        "python -m benchmarks.cost.places --camvid DIR --models DIR",
        "The default monitor of places on driving frames, one at a time on one thread: medians of paired ratios to a"
        " session of the untouched model in the same process. `equal`: the graph's own outputs stay the same bit for"
        " bit. `map off by`: the largest difference between the map in the graph and the one outside, as a share of"
        " the highest. A `!` marks what is beyond 1.10.",
        cost.places,
    ),
    Section(
        "A detector: places, dirt and boxes",
        "places-detection",
        "python -m benchmarks.places.detection CAMVID DIRT MODEL --keep",
        "FastestDet, trained on COCO, is profiled on CamVid's 92 training frames without labels. A threshold of 5 % is"
        " set on the 101 validation frames, which are of a drive that is also in training, or on every other frame"
        " of the test's own drive with `keep_scales`. `default` is what `Monitor` takes. `chosen` was chosen on"
        " validation frames with pasted objects and dirt: the distance at the first activation of stride 16, and"
        " nearest neighbours at the last of stride 32. It sees more of what is strange, and more of a new street"
        " as well, until that has a threshold of its own.\n\n"
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
    _kinds("CIFAR-10", "cifar10"),
    _kinds("traffic signs", "gtsrb"),
    Section(
        "The kind of an alarm: driving frames",
        "kinds-espnet",
        "python -m benchmarks.places.kinds_driving --data CAMVID --models MODELS --dirt DIRT --keep",
        f"{KINDS} ESPNet is watched at its default places, of which the map decides, and at the channel means of each"
        " size of map, which are witnesses. Its profile is of CamVid's train frames, threshold and kinds are of val."
        " The conditions are every fourth test frame, of other drives, where some alarm though nothing was done to"
        " them. No setting was chosen on these frames.",
        kinds_tables.kinds,
    ),
    Section(
        "Other drives",
        "other-drives",
        "python -m benchmarks.places.drives --camvid DIR --models DIR",
        "What a threshold is worth on another drive, for the default monitor of ESPNet. The validation frames that set"
        " it are of one drive, and the promise is of frames drawn like them; the test frames are of two drives, of"
        " which one was trained on. Below, some clean frames of the new drive set the threshold anew by"
        " `calibrate(..., keep_scales=True)`, and the others are counted: those drawn at random as the promise wants"
        " it, and the first of the drive as a driver would have them. In brackets the interval of 95 %, or the range"
        " of 95 % of the draws.",
        drives_tables.drives,
    ),
    Section(
        "A model car's drive",
        "car",
        "python -m benchmarks.places.drive ARCHIVE --dirt FOLDER",
        "1,000 frames of a model car indoors, 20 a second (donkeycar; the times in its catalogue are of a copy). A"
        " network of ours learns to steer from the first 60 %, which are then profiled; the next 20 % set the"
        " threshold and the last 20 % are watched. Those are ten seconds, so the same is done from four other frames"
        " on, the drive closed to a ring; `in the first split` is the drive as it was recorded. Segments are of one"
        " second. `by frames` counts each frame; `by whole segments` is `calibrate(groups=...)` with a chance of 0.8."
        "\n\n"
        "What the calibration promises is of segments drawn like those that set it: seconds of this drive, in this hall"
        " and light, seen by this camera. Consecutive segments of one drive are not drawn so, and of another drive it"
        " promises nothing. Frames within a second are nearly one frame. So a share over frames is worth fewer frames"
        " than it counts, and alarms come in clusters: the interval of the time to a false alarm takes alarms as events"
        " of a Poisson process, and is too narrow by what clusters remain after the logic over time.\n\n"
        "Faults are switched on once a second and last for one. The guard notices `frozen`, and not the monitor. Mud is"
        " a photograph of LaREx over 6 % of the picture; the ball is drawn on the road, a quarter of the height wide."
        " Nothing was chosen on the watched frames.",
        drive_tables.drive,
    ),
)

HEADS = (
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

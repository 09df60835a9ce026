"""The experiment: a small network learns traffic lights, the monitor learns the network, then both are tried.

The order matters. The network and the profile see one part of the training photographs, and the rest sets the
threshold. Only then does the monitor see the test photographs and everything else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....monitor import Monitor, Verdicts
from ....monitor.calibration import auroc
from ....networks import ImageSet, OnnxNetwork, load_dataset, probabilities
from ..steps import Step, export, times_in_turn
from .corruptions import CORRUPTIONS
from .strangers import STRANGERS

FALSE_ALARM_RATE = 0.05
HELD_OUT = 300
COVERED, STRANGE, CORRUPTED, ATTACKED = "covered", "strange", "corrupted", "attacked"


@dataclass(frozen=True)
class Inputs:
    """Images to be judged: (n, 3, 32, 32) float32 in [0, 1], with their true classes (n,) where they have any."""

    name: str
    kind: str
    images: np.ndarray
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Outcome:
    """What the monitor said of some inputs.

    auroc: of their scores against the unseen test photographs'. softmax: (n,) the network's own largest probability.
    """

    inputs: Inputs
    verdicts: Verdicts
    auroc: float
    softmax: np.ndarray

    @property
    def flagged(self) -> float:
        """The share that raised an alarm."""
        return float(self.verdicts.alarm.mean())

    @property
    def right(self) -> float | None:
        """The share that the network classified right, None for inputs of no class."""
        labels = self.inputs.labels
        return None if labels is None else float((self.verdicts.prediction == labels).mean())

    @property
    def sure(self) -> float:
        """The share of which the network is sure: softmax of at least 0.9."""
        return float((self.softmax >= 0.9).mean())

    @property
    def speaking(self) -> np.ndarray:
        """(columns,) the share of inputs whose deviation in the column is above all but 5 % of held-out ones."""
        return (self.verdicts.deviation > self.verdicts.columns.limits).mean(0)


@dataclass(frozen=True)
class Experiment:
    """All that the page shows.

    examples: per class, a few of the photographs learned from. profile: `Monitor.describe()`. attempts: how many
    photographs each attack was tried on. bare, monitored: median seconds per frame, batch 1.
    """

    classes: tuple[str, ...]
    examples: tuple[np.ndarray, ...]
    profile: dict[str, Any]
    columns: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    attempts: dict[str, int]
    bare: float
    monitored: float

    @property
    def test(self) -> Outcome:
        """The outcome for the unseen test photographs."""
        return self.outcomes[0]


def run_experiment(step: Step, *, fast: bool = False) -> Experiment:
    """Run the experiment; `step` is told what begins. fast: less training, fewer images and attacks.

    It runs on one thread, which is enough for a network this small. The numbers do not depend on the other cores.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _run(step, fast)
    finally:
        torch.set_num_threads(threads)


def _run(step: Step, fast: bool) -> Experiment:
    step("loading photographs of traffic lights")
    photographs, test = load_dataset("traffic-lights", "train"), load_dataset("traffic-lights", "test")
    order = np.random.default_rng(0).permutation(len(photographs))
    learned, held_out = photographs[order[HELD_OUT:]], photographs[order[:HELD_OUT]]

    step(f"training a small residual network on {len(learned)} of them")
    module = _train(learned, epochs=6 if fast else 30)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traffic-lights.onnx"
        step("exporting it to ONNX")
        export(module, (3, 32, 32), path)
        with closing(OnnxNetwork(path)) as network:
            monitor = Monitor(network)
            step("profiling: what do these photographs make of every layer?")
            monitor.profile(_batches(learned))
            step(f"calibrating on {len(held_out)} held-out photographs, {FALSE_ALARM_RATE:.0%} false alarms")
            monitor.calibrate(_batches(held_out), FALSE_ALARM_RATE)
            everything, attempts = _inputs(test, module, step, fast)
            step("checking all of them")
            outcomes = _judge(monitor, everything)
            step("timing one frame with and without the monitor")
            bare, monitored = times_in_turn(network.run, monitor, test.floats(), rounds=30 if fast else 400)
            facts = monitor.describe()
    return Experiment(
        photographs.classes,
        tuple(learned.floats()[np.flatnonzero(learned.labels == c)[:4]] for c in range(len(photographs.classes))),
        facts,
        monitor.columns,
        outcomes,
        attempts,
        float(np.median(bare)),
        float(np.median(monitored)),
    )


def _train(data: ImageSet, epochs: int) -> Any:
    import torch

    from ....networks import SmallResNet
    from ....networks.zoo.train import fit

    torch.manual_seed(0)
    module = SmallResNet(classes=len(data.classes), width=16)
    fit(module, data.images, np.asarray(data.labels), epochs=epochs, batch_size=32, peak_rate=0.05, flip=True, shift=2)
    return module


def _batches(data: ImageSet, size: int = 64) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    for start in range(0, len(data), size):
        part = data[start : start + size]
        yield part.floats(), part.labels


def _inputs(test: ImageSet, module: Any, step: Step, fast: bool) -> tuple[list[Inputs], dict[str, int]]:
    from .attacks import ATTACKS, attack, classify

    count = 60 if fast else 200
    random = np.random.default_rng(0)
    images, labels = test.floats(), np.asarray(test.labels)
    everything = [Inputs("unseen photographs", COVERED, images, labels)]
    everything += [Inputs(name, STRANGE, make(count, random)) for name, make in STRANGERS.items()]
    everything += [Inputs(name, CORRUPTED, spoil(images, random), labels) for name, spoil in CORRUPTIONS.items()]
    right = random.permutation(np.flatnonzero(classify(module, images) == labels))
    attempts = {}
    for name, (_, limit) in ATTACKS.items():
        rows = right[: 20 if fast else limit]
        step(f"attacking {len(rows)} photographs: {name}")
        changed, fooled = attack(name, module, images[rows], labels[rows])
        attempts[name] = len(rows)
        if len(changed):
            everything.append(Inputs(name, ATTACKED, changed, labels[rows][fooled]))
    return everything, attempts


def _judge(monitor: Monitor, everything: list[Inputs]) -> tuple[Outcome, ...]:
    checked = [monitor.check(inputs.images) for inputs in everything]
    _, test = checked[0]
    return tuple(
        Outcome(
            inputs, verdicts, auroc(test.score, verdicts.score), probabilities(logits, monitor.network.scores).max(1)
        )
        for inputs, (logits, verdicts) in zip(everything, checked, strict=True)
    )

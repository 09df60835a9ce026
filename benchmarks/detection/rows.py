"""The rows of ours: the default, every published form, and each criterion alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Criterion,
    Energy,
    Gaussian,
    Mahalanobis,
    Margin,
    MultiRange,
    NearestNeighbour,
    Neighbours,
    NeuronRank,
    Norm,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)
from outrider.monitor import Logic, Monitor, Sum, ZScore, default_criteria
from outrider.networks import Network

from ..keys import code_key, digest
from .experiments import Experiment
from .replay import Replay
from .tables import DEFAULT

UNIT_FORMS: dict[str, tuple[Criterion, Logic, int]] = {
    "SRC, published (unit, sum)": (SingleRange(), Sum(), 200_000),
    "MRC Q=16, published (unit, sum)": (MultiRange(16), Sum(), 200_000),
    "NRC, reconstructed (unit, sum)": (NeuronRank(), Sum(), 50_000),
    "kNNC, reconstructed (unit, sum), 32 a class": (NearestNeighbour(capacity=32), Sum(), 50_000),
    "SRC, unit, z of log": (SingleRange(), ZScore(), 50_000),
    "bitmap, unit, z of log": (CoverageBitmap(), ZScore(), 50_000),
}
"""With the most units that each is profiled on: it would take many minutes on more."""
LAST_FORMS: dict[str, tuple[Criterion, str]] = {
    "on/off patterns, published (last layer, unit)": (Pattern(), "unit"),
    "boxes, published (last layer, channel)": (Box(), "channel"),
}
CHANNEL_FORMS: dict[str, tuple[Criterion, Logic]] = {
    "SRC, channel, z of log": (SingleRange(), ZScore()),
    "MRC Q=32 log cost, channel, z": (MultiRange(32, "log"), ZScore(log=False)),
    "bitmap, channel, z of log": (CoverageBitmap(), ZScore()),
    "NRC, channel, z of log": (NeuronRank(), ZScore()),
    "kNNC, channel, z of log": (NearestNeighbour(), ZScore()),
    "on/off patterns, channel, z of log": (Pattern(), ZScore()),
    "boxes, channel, z of log": (Box(), ZScore()),
    "Gaussian, channel, z of log": (Gaussian(), ZScore()),
    "Mahalanobis, channel, z of log": (Mahalanobis(), ZScore()),
    "relative Mahalanobis, channel, z of log": (RelativeMahalanobis(), ZScore()),
    "covariances by class, channel, z of log": (ClassMahalanobis(), ZScore()),
    "nearest neighbours, channel, z of log": (Neighbours(), ZScore()),
    "length, channel, z of log": (Norm(), ZScore()),
    "softmax alone": (Softmax(), Sum()),
    "margin alone": (Margin(), Sum()),
    "energy alone": (Energy(), Sum()),
}


@dataclass(frozen=True)
class Row:
    """A row of ours. group: which part of a run it belongs to. criterion: its only one; None for the default's."""

    name: str
    group: str
    criterion: Criterion | None
    make: Callable[[], Monitor]

    def key(self) -> str:
        """A key of all that decides what it says, but for the network and the data: settings, taps and code."""
        monitor = self.make()
        network = monitor.network.network if isinstance(monitor.network, Replay) else monitor.network
        chosen = {"*": [self.criterion]} if self.criterion else default_criteria(network.taps, network.classes)
        criteria = {type(one): one for several in chosen.values() for one in several}
        files = [Path(inspect.getfile(kind)) for kind in (Monitor, type(monitor.logic), type(network), *criteria)]
        return digest(
            str(chosen), str(monitor.logic), monitor.columns, code_key(*files, without=["monitor/defaults.py"])
        )


def our_rows(experiment: Experiment) -> tuple[list[Row], dict[str, str]]:
    """The rows, and what is left out of them: name -> why. Rows of channels share what the network showed them."""
    shared: list[Network] = []

    def channels() -> Network:
        if not shared:
            shared.append(Replay(experiment.network(taps="auto", neurons="channel")))
        return shared[0]

    def units(criterion: Criterion, logic: Logic) -> Monitor:
        return Monitor(experiment.network(taps="auto", neurons="unit"), criterion, logic=logic)

    def last(criterion: Criterion, neurons: str) -> Monitor:
        taps = experiment.network(taps="auto", neurons="channel").taps
        name = [tap.name for tap in taps if tap.kind != "output"][-1]
        return Monitor(experiment.network(taps=name, neurons=neurons), criterion, logic=Sum())

    rows = [Row(DEFAULT, "default", None, lambda: Monitor(experiment.network()))]
    rows += [
        Row(name, "channels", form[0], lambda form=form: Monitor(channels(), form[0], logic=form[1]))
        for name, form in CHANNEL_FORMS.items()
    ]
    rows += [Row(name, "channels", form[0], lambda form=form: last(*form)) for name, form in LAST_FORMS.items()]
    count = sum(tap.size for tap in experiment.network(taps="auto", neurons="unit").taps)
    fit = {name: form for name, form in UNIT_FORMS.items() if count <= form[2]}
    rows += [Row(name, "units", form[0], lambda form=form: units(*form[:2])) for name, form in fit.items()]
    left_out = [name for name in UNIT_FORMS if name not in fit]
    return rows, dict.fromkeys(left_out, f"is not profiled on {count:,} units a frame")

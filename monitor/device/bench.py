"""The judge on a device: neurons and class scores as tensors → deviations → score → alarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..calibration import Calibration
from ..data.groups import groups_of
from ..facts.network import gives_codes, told_apart
from ..judging.places import samples_of
from ..logic import Logic
from ..profile import Profile
from .forms import Kept, forms_of, refuse_without_form
from .logics import joining_of


class Judgement(NamedTuple):
    """What a device says of n frames.

    score: (n,) float64. alarm: (n,) bool. deviations: (n, columns) float32. prediction: (n,) int64, 0 without classes.
    """

    score: Tensor
    alarm: Tensor
    deviations: Tensor
    prediction: Tensor


def refuse_without_forms(profile: Profile, logic: Logic, scales: dict[str, np.ndarray]) -> None:
    """Raise ValueError for a criterion, a tap or a logic that cannot be judged on a device, by its name."""
    refuse_without_form([column.criterion for column in profile.columns])
    joining_of(logic, scales, groups_of(profile.columns))
    for name, column in zip(profile.names, profile.columns, strict=True):
        tap = profile.facts.taps[column.tap]
        hindrance = ""
        if tap.rows is None:
            hindrance = "rows that vary from frame to frame"
        elif told_apart(tap) and profile.trusted.per_map_class is not None:
            hindrance = "places of several classes"
        elif gives_codes(tap):
            hindrance = "codes of a quantised tensor"
        if hindrance:
            raise ValueError(
                f"column {name!r} cannot be judged on the device: expected neurons of a frame, got {hindrance}; profile"
                " without it, or judge on the host with a Monitor"
            )


class Bench(Kept):
    """Judges the frames of a batch: (neurons of each tap, class scores, broken, threshold) -> `Judgement`.

    It is what `Judge` is on the host, made of a profile, its logic and its calibration; its tables are buffers.
    neurons: of each tap of the profile, (n * samples, neurons) float32. scores: (n, classes) float32, None without
    classes. broken: (n,) bool, frames that alarm whatever the rest says, or None. threshold: a number, (1,) or
    (classes,); None for the calibrated one. A score that is infinite is above every threshold.
    Products are in float32 also where autocast is on.
    Raises ValueError for what has no form on a device.
    """

    def __init__(self, profile: Profile, logic: Logic, calibration: Calibration) -> None:
        super().__init__()
        refuse_without_forms(profile, logic, calibration.scales)
        self.names, self.classes = profile.names, profile.facts.classes
        taps = [column.tap for column in profile.columns]
        self.samples = [samples_of(profile.facts.taps[tap]) or 1 for tap in taps]
        self.forms, self.lots = nn.ModuleList(), list[tuple[list[int], int]]()
        there: list[int] = []
        for columns in _alike(profile, self.samples):
            own = [profile.signatures[i] for i in columns]
            for form, some in forms_of(profile.columns[columns[0]].criterion, own):
                self.forms.append(form)
                self.lots.append(([taps[columns[i]] for i in some], self.samples[columns[0]]))
                there += [columns[i] for i in some]
        self.joining = joining_of(logic, calibration.scales, groups_of(profile.columns))
        covered = np.asarray(profile.trusted.covered, bool)
        seen = np.stack([signature.counts > 0 for signature in profile.signatures], axis=1)
        self.all_seen = bool(covered.all() and seen.all())
        self.register_buffer("order", _order_of(there))
        self.register_buffer("seen", torch.from_numpy(seen & covered[:, None]))
        self.register_buffer("covered", torch.from_numpy(covered))
        thresholds = np.asarray(calibration.thresholds, np.float64)
        shared = thresholds[:1] if (thresholds == thresholds[0]).all() else thresholds
        self.register_buffer("threshold", torch.from_numpy(shared.copy()))

    def forward(
        self, neurons: Sequence[Tensor], scores: Tensor | None, broken: Tensor | None = None,
        threshold: Tensor | float | None = None,
    ) -> Judgement:  # fmt: skip
        device = neurons[0].device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.judged(neurons, scores, broken, threshold)
        return self.judged(neurons, scores, broken, threshold)

    def judged(
        self, neurons: Sequence[Tensor], scores: Tensor | None, broken: Tensor | None, threshold: Tensor | float | None
    ) -> Judgement:
        """`forward` without autocast."""
        n = neurons[0].shape[0] // self.samples[0]
        if scores is None:
            labels = torch.zeros(n, dtype=torch.int64, device=neurons[0].device)
            lost = torch.zeros(n, dtype=torch.bool, device=neurons[0].device)
        else:
            labels, lost = scores.argmax(1), ~torch.isfinite(scores).all(1)
        lost = lost if broken is None else lost | broken
        deviations = self.deviations(neurons, labels)
        if self.all_seen:
            deviations = torch.where(lost.unsqueeze(1), torch.inf, deviations)
        else:
            lost = lost | ~_at(self.covered, labels)
            deviations = torch.where(lost.unsqueeze(1) | ~_at(self.seen, labels), torch.inf, deviations)
        right = torch.isfinite(deviations)
        score = self.joining(torch.where(right, deviations, 0.0).double())
        score = torch.where(right.all(1) & torch.isfinite(score), score, torch.inf)
        allowed = self.threshold if threshold is None else threshold
        if isinstance(allowed, Tensor):
            allowed = allowed.double()
            if allowed.ndim and allowed.shape[0] > 1:
                allowed = allowed.index_select(0, labels)
        return Judgement(score, ~((score <= allowed) & torch.isfinite(score)), deviations, labels)

    def deviations(self, neurons: Sequence[Tensor], labels: Tensor) -> Tensor:
        """(n, columns) float32, of classes that are covered."""
        found = []
        for form, (taps, samples) in zip(self.forms, self.lots, strict=True):
            values = [neurons[tap] for tap in taps]
            if samples == 1:
                found.append(form(values, labels))
                continue
            each = labels.unsqueeze(1).expand(-1, samples).reshape(-1)
            own = form(values, each)
            found.append(own.reshape(labels.shape[0], samples, -1).amax(1))
        whole = found[0] if len(found) == 1 else torch.cat(found, 1)
        return whole if self.order is None else whole.index_select(1, self.order)


def _alike(profile: Profile, samples: Sequence[int]) -> list[list[int]]:
    """The columns of one criterion with as many samples a frame."""
    groups: dict[tuple[str, int], list[int]] = {}
    for i, column in enumerate(profile.columns):
        groups.setdefault((repr(column.criterion), samples[i]), []).append(i)
    return list(groups.values())


def _order_of(there: list[int]) -> Tensor | None:
    """Where each column is among those of all forms; None where they are in order."""
    return None if there == sorted(there) else torch.from_numpy(np.argsort(there))


def _at(table: Tensor, labels: Tensor) -> Tensor:
    return table if table.shape[0] == 1 else table.index_select(0, labels)

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
from .forms import LARGEST_COLUMN, Tables, forms_of, refuse_without_form
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


class Bench(Tables):
    """Judges the frames of a batch: (sources, class scores, frames, threshold) -> `Judgement`.

    It is what `Judge` is on the host, made of a profile, its logic and its calibration; its tables are buffers.
    sources: what `sources` makes of the neurons of each tap of the profile, (n * samples, neurons) float32. scores: (n,
    classes) float32, None without classes. frames: tensors (n, ...) of floats, all that the network took; a frame that
    holds NaN or Inf alarms. threshold: a number, (1,) or (classes,); None for the calibrated one. A score that is
    infinite is above every threshold. Products are in float32 also where autocast is on.
    Raises ValueError for what has no form on a device.
    """

    def __init__(self, profile: Profile, logic: Logic, calibration: Calibration) -> None:
        super().__init__()
        refuse_without_forms(profile, logic, calibration.scales)
        self.names, self.classes = profile.names, profile.facts.classes
        taps = profile.facts.taps
        samples = [samples_of(tap) or 1 for tap in taps]
        self.together = [i for i, tap in enumerate(taps) if samples[i] == 1 and tap.size <= LARGEST_COLUMN]
        self.apart = [i for i in range(len(taps)) if i not in self.together]
        starts, end = dict[int, int](), 0
        for i in self.together:
            starts[i], end = end, end + taps[i].size
        self.forms, self.lots = nn.ModuleList(), list[tuple[int, int]]()
        there: list[int] = []
        for source, columns in self._alike(profile):
            own = [profile.signatures[i] for i in columns]
            for form, some in forms_of(profile.columns[columns[0]].criterion, own):
                form.place([starts.get(profile.columns[columns[i]].tap, 0) for i in some])
                self.forms.append(form)
                self.lots.append((source, samples[profile.columns[columns[0]].tap]))
                there += [columns[i] for i in some]
        self.joining = joining_of(logic, calibration.scales, groups_of(profile.columns))
        covered = np.asarray(profile.trusted.covered, bool)
        seen = np.stack([signature.counts > 0 for signature in profile.signatures], axis=1)
        self.all_seen = bool(covered.all() and seen.all())
        self.register_buffer("order", None if there == sorted(there) else torch.from_numpy(np.argsort(there)))
        self.register_buffer("seen", torch.from_numpy(seen & covered[:, None]))
        self.register_buffer("covered", torch.from_numpy(covered))
        thresholds = np.asarray(calibration.thresholds, np.float64)
        shared = thresholds[:1] if (thresholds == thresholds[0]).all() else thresholds
        self.register_buffer("threshold", torch.from_numpy(shared.copy()))

    def _alike(self, profile: Profile) -> list[tuple[int, list[int]]]:
        """The columns of one criterion in one source, and which source that is."""
        groups: dict[tuple[str, int], list[int]] = {}
        for i, column in enumerate(profile.columns):
            source = self.apart.index(column.tap) + 1 if column.tap in self.apart else 0
            groups.setdefault((repr(column.criterion), source), []).append(i)
        return [(source, columns) for (_, source), columns in groups.items()]

    def sources(self, neurons: Sequence[Tensor]) -> list[Tensor]:
        """The neurons of most taps beside each other, (n, any), then those of each other tap."""
        small = [neurons[i] for i in self.together]
        whole = torch.cat(small, 1) if len(small) > 1 else small[0] if small else neurons[0]
        return [whole, *(neurons[i] for i in self.apart)]

    def forward(
        self, sources: Sequence[Tensor], scores: Tensor | None, frames: Sequence[Tensor] = (),
        threshold: Tensor | float | None = None,
    ) -> Judgement:  # fmt: skip
        device = sources[0].device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.judged(sources, scores, frames, threshold)
        return self.judged(sources, scores, frames, threshold)

    def judged(
        self, sources: Sequence[Tensor], scores: Tensor | None, frames: Sequence[Tensor],
        threshold: Tensor | float | None,
    ) -> Judgement:  # fmt: skip
        """`forward` without autocast."""
        source, samples = self.lots[0]
        n = sources[source].shape[0] // samples
        if scores is None:
            labels = torch.zeros(n, dtype=torch.int64, device=sources[0].device)
            lost = torch.zeros(n, dtype=torch.bool, device=sources[0].device)
        else:
            labels, lost = scores.argmax(1), ~torch.isfinite(scores).all(1)
        for part in frames:  # a sum reads each number once; one that overflows counts too
            lost = lost | ~torch.isfinite(part.reshape(n, -1).sum(1, dtype=torch.float32))
        deviations = self.deviations(sources, labels)
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

    def deviations(self, sources: Sequence[Tensor], labels: Tensor) -> Tensor:
        """(n, columns) float32, of classes that are covered."""
        found = []
        for form, (source, samples) in zip(self.forms, self.lots, strict=True):
            if samples == 1:
                found.append(form(sources[source], labels))
                continue
            each = labels.unsqueeze(1).expand(-1, samples).reshape(-1)
            own = form(sources[source], each)
            found.append(own.reshape(labels.shape[0], samples, -1).amax(1))
        whole = found[0] if len(found) == 1 else torch.cat(found, 1)
        return whole if self.order is None else whole.index_select(1, self.order)


def _at(table: Tensor, labels: Tensor) -> Tensor:
    return table if table.shape[0] == 1 else table.index_select(0, labels)

"""Choose the taps of an ONNX model for a budget of time, on the machine at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...coverage import Criterion
from ...monitor.criteria import Criteria
from ...networks import DEFAULT_TAPS, Network, Preprocessing, Tap
from ...networks.cost import paired, processor, ratio, ratio_interval
from ..inputs.arrays import array_source
from ..inputs.joint import JointSource
from ..inputs.networks import inputs_of, is_onnx, open_network
from ..inputs.samples import open_source
from ..inputs.sources import Source
from .candidates import candidate_taps, checked_budget
from .choice import TapChoice
from .choosing import Valued, chosen_within, without_least
from .costs import TapCosts, features_of, features_of_all
from .designs import BARE, DESIGN, RESULT, Clock, Open, bare_call, bound, designs_of, name_of, rounds_for, selectors_of
from .frames import MOST, Sample, batches, sampled
from .gains import Detection
from .taught import as_learned, criteria_by_tap, deviations_of, is_scores, learned, of_one_class

Frames = str | os.PathLike[str] | np.ndarray | Source | JointSource
_TRIES = 8
_LEAST_SCALE = 0.2
_EVERYWHERE = "*", "@output"


def taps_within(
    model: str | os.PathLike[str],
    frames: Frames,
    budget: float,
    *,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    criteria: Criteria | None = None,
    most_frames: int = MOST,
    clock: Clock = paired,
    progress: Callable[[int], object] | None = None,
    **options: Any,
) -> TapChoice:
    """The taps of an ONNX model with which a monitored inference takes at most `budget` times the bare one.

    They are chosen among every activation by channel and, where maps are larger, in 7 x 7 and 4 x 4 places, the first
    one unit by unit and the largest values of the last. What they cost is measured on this machine: a price is fitted
    to some ten sets of taps, and the choice itself is measured at the end. What they detect is measured on faults of a
    sensor, made in the frames. Each step takes the tap that adds most to the mean AUROC for its cost, and none is taken
    that adds nothing. Class scores are always tapped.

    model: a path. frames: trusted ones, as what `outrider profile` takes as DATA, or an array; 60 or more. At most
    `most_frames` are taken, spread over them: a third learns, a third chooses, and a third reports. preprocessing: how
    pictures are read, or the fields of it that are told. criteria: for all taps, and for ``@output``; by default
    `default_criteria`. clock: what times calls. progress: called with the number of frames run so far. options: others
    of `OnnxNetwork`; taps and neurons are what is chosen.

    Run it while nothing else is running. Raises ValueError for a budget that no tap fits into, with the least that was
    found, for networks of several inputs, states, maps of class scores or detections, and for too few frames.
    """
    path = Path(model)
    limit = checked_budget(budget)
    _refuse(str(path), options, criteria)
    source = _source(frames)
    told = preprocessing.to_dict() if isinstance(preprocessing, Preprocessing) else dict(preprocessing or {})
    opener = partial(_opened, str(path), source, told, options)
    done = 0

    def count(more: int = 0) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done)

    return _Choice(path, opener, options, criteria, sampled(source, most_frames), clock, count).within(limit)


def _opened(model: str, source: Source, told: Mapping[str, Any], options: Mapping[str, Any], taps: Any) -> Network:
    return open_network(model, source, told, **{**options, "taps": taps, "neurons": "channel"})


@dataclass
class _Choice:
    """One choice as it is made. count: is called between two steps, with the frames of a step."""

    model: Path
    open: Open
    options: Mapping[str, Any]
    asked: Criteria | None
    sample: Sample
    clock: Clock
    count: Callable[..., None]
    criteria: dict[str, list[Criterion]] = field(default_factory=dict)
    few: np.ndarray = field(default_factory=lambda: np.empty(0))
    scored: bool = False

    def within(self, budget: float) -> TapChoice:
        with closing(self.open(DEFAULT_TAPS)) as network:
            _refuse_places(network)
            usual = [tap for tap in network.taps if not is_scores(tap)]
        wanted = candidate_taps(usual)
        with closing(self.open(selectors_of(wanted))) as network:
            detection, candidates, report, one_class = self._detection(network)
            usual = [tap for tap in candidates if tap in usual]
        cost = self._costs(candidates)

        def mean(taps: Sequence[Tap]) -> float:
            self.count()
            return detection.mean(taps)

        found, ratio_seen, interval = self._measured_within(budget, candidates, mean, cost)
        chosen = sorted(found, key=candidates.index)
        own, of_all = (detection.by_fault(taps, report) for taps in (chosen, usual))
        sizes = len(self.sample.learn), len(self.sample.choose), len(self.sample.report)
        return TapChoice(
            selectors_of(chosen), budget, ratio_seen, interval, _mean(own), _mean(of_all),
            {name: (own[name], of_all[name]) for name in own}, processor(), len(candidates), sizes, one_class,
        )  # fmt: skip

    def _detection(self, network: Network) -> tuple[Detection, list[Tap], Any, bool]:
        """What detects, the candidates with a criterion, the deviations that report, and whether all are one class."""
        self.criteria = criteria_by_tap(network, self.asked)
        shown = as_learned(network, self.sample, self.count)
        one_class = shown is not network
        here = of_one_class(self.criteria) if one_class else self.criteria
        here = {tap: several for tap, several in here.items() if several}
        monitor = learned(shown, here, self.sample, self.count)
        choosing, report = (
            deviations_of(monitor, self.sample, report=report, progress=self.count) for report in (False, True)
        )
        self.few = next(batches(self.sample.learn, network))
        profile = monitor.learned
        columns = [(column.criterion, profile.facts.taps[column.tap].id) for column in profile.columns]
        facts = {"classes": shown.classes, "map_classes": None, "scores": shown.scores}
        scores = [tap for tap in network.taps if is_scores(tap)]
        self.scored = any(here.get(tap.id) for tap in scores)
        candidates = [tap for tap in network.taps if not is_scores(tap) and here.get(tap.id)]
        if not candidates:
            raise ValueError(f"{self.model}: expected activations that a criterion goes on, got none; name the taps")
        return Detection(scores, facts, here, columns, choosing), candidates, report, one_class

    def _costs(self, candidates: Sequence[Tap]) -> Valued:
        """The ratio that is predicted for taps, by prices fitted to designs that are measured here."""
        features = {tap.id: features_of(tap, self.criteria[tap.id]) for tap in candidates}
        designs, ratios, bare = [], [], []
        for taps in designs_of(candidates):
            if not taps and not self.scored:
                continue
            times = self._timed(taps, DESIGN)
            designs.append(features_of_all(features[tap.id] for tap in taps))
            ratios.append(ratio(times, name_of(taps), BARE))
            bare.append(float(np.median(times[BARE])))
        alone = float(np.median(bare))
        costs = TapCosts.fitted(alone, designs, [alone * each for each in ratios])
        return lambda taps: costs.ratio(features_of_all(features[tap.id] for tap in taps))

    def _measured_within(
        self, budget: float, candidates: Sequence[Tap], mean: Valued, cost: Valued
    ) -> tuple[list[Tap], float, tuple[float, float]]:  # fmt: skip
        """The choice whose own measurement keeps within the budget, and that measurement."""
        taps = chosen_within(candidates, budget, mean, cost)
        cheapest = [min(candidates, key=lambda tap: cost([tap]))]
        if not taps and (not self.scored or cost(cheapest) > budget):
            taps = cheapest
        least = np.inf
        for _ in range(_TRIES):
            found, interval = self._ratio_of(taps)
            if found <= budget:
                return self._with_more(taps, found, interval, budget, candidates, mean, cost)
            least = min(least, found)
            if taps == cheapest:
                break
            if len(taps) < 2:
                taps = cheapest
                continue
            scale = _scale(found, cost(taps))
            taps = without_least(taps, mean, cost)
            while len(taps) > 1 and 1 + scale * (cost(taps) - 1) > budget:
                taps = without_least(taps, mean, cost)
        raise ValueError(
            f"expected a budget that a tap fits into, got {budget:g}; the least cost found is {least:.3f} of the bare"
            " inference: give more, or measure while nothing else is running"
        )

    def _with_more(
        self, taps: list[Tap], found: float, interval: tuple[float, float], budget: float, candidates: Sequence[Tap],
        mean: Valued, cost: Valued,
    ) -> tuple[list[Tap], float, tuple[float, float]]:  # fmt: skip
        """What is chosen once more where the taps took less than predicted, if it detects more and keeps within."""
        scale = max(_scale(found, cost(taps)), _LEAST_SCALE)
        if scale < 1:
            more = chosen_within(candidates, budget, mean, lambda taps: 1 + scale * (cost(taps) - 1))
            if mean(more) > mean(taps):
                again, its_interval = self._ratio_of(more)
                if again <= budget:
                    return more, again, its_interval
        return taps, found, interval

    def _ratio_of(self, taps: Sequence[Tap]) -> tuple[float, tuple[float, float]]:
        times, name = self._timed(taps, RESULT), name_of(taps)
        return ratio(times, name, BARE), ratio_interval(times, name, BARE)

    def _timed(self, taps: Sequence[Tap], seconds: float) -> Mapping[str, np.ndarray]:
        """A monitor of these taps and the bare network in turn."""
        bare = bare_call(self.model, self.options, self.few[0])
        with bound(self.open, taps, self.criteria, self.few) as call:
            calls = {BARE: bare, name_of(taps): call}
            times = self.clock(calls, rounds_for(self.clock, calls, seconds))
        self.count()
        return times


def _scale(found: float, predicted: float) -> float:
    """How many times as much was measured beyond the bare inference as was predicted."""
    return (found - 1) / max(predicted - 1, 1e-9)


def _mean(by_fault: Mapping[str, float]) -> float:
    return float(np.mean(list(by_fault.values())))


def _source(frames: Frames) -> Source:
    if isinstance(frames, np.ndarray):
        return array_source(Path("frames"), frames, None)
    found = open_source(os.fspath(frames)) if isinstance(frames, (str, os.PathLike)) else frames
    if isinstance(found, JointSource):
        raise ValueError("expected frames of one input to choose taps by, got those of several; name the taps")
    return found


def _refuse(model: str, options: Mapping[str, Any], criteria: Criteria | None) -> None:
    """Raise ValueError for what taps are not chosen for, before anything is opened."""
    if not is_onnx(model):
        raise ValueError(f"{model}: expected an ONNX model to choose taps of, got another; name the taps")
    if told := [name for name in ("taps", "neurons") if name in options]:
        raise ValueError(f"expected a budget without {' and '.join(told)}, which it chooses")
    if len(names := inputs_of(model)) > 1:
        raise ValueError(f"{model}: expected a network of one input to choose taps of, got {', '.join(names)}")
    strange = [key for key in criteria if key not in _EVERYWHERE] if isinstance(criteria, Mapping) else []
    if strange:
        raise ValueError(f"expected criteria on {' and '.join(_EVERYWHERE)} beside a budget, got {', '.join(strange)}")


def _refuse_places(network: Network) -> None:
    if network.map_classes is not None or network.detections is not None or network.memory is not None:
        raise ValueError(
            "expected a network without a map of class scores, detections or states to choose taps of: what it is"
            " watched by are places; name the taps"
        )

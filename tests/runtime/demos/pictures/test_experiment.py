"""The demo's experiment: what is tried, in which order, and that the monitor tells it apart."""

from __future__ import annotations

from outrider.runtime.demos.pictures.experiment import ATTACKED, CORRUPTED, COVERED, STRANGE


def test_every_kind_is_tried_and_the_threshold_is_older(demo):
    experiment, _ = demo
    assert {outcome.inputs.kind for outcome in experiment.outcomes} == {COVERED, STRANGE, CORRUPTED, ATTACKED}
    assert experiment.profile["calibration"]["false_alarm_rate"] == 0.05
    assert experiment.profile["trusted"]["frames"] + 300 == 1187


def test_only_successful_attacks_count(demo):
    experiment, _ = demo
    for outcome in experiment.outcomes:
        if outcome.inputs.kind == ATTACKED:
            assert outcome.right == 0
            assert len(outcome.inputs.images) <= experiment.attempts[outcome.inputs.name]


def test_the_monitor_tells_strangers_from_traffic_lights(demo):
    experiment, _ = demo
    strange = [outcome for outcome in experiment.outcomes if outcome.inputs.kind == STRANGE]
    assert min(outcome.auroc for outcome in strange) > 0.8

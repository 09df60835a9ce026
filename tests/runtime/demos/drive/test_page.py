"""The page of the closed loop: whole, and it names and marks what happened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("PIL")

from outrider.monitor import Status
from outrider.runtime.demos.drive import results_table
from outrider.runtime.demos.drive.loop import DriveRecord
from outrider.runtime.demos.drive.page import histogram, outcome, player, road_map, score_line

from ...parsed_page import whole


def test_the_page_is_whole_and_shows_two_films_of_every_fault(demo):
    experiment, text = demo
    whole(text)
    assert text.count("url(data:image/webp;base64,") == text.count("url(") == 2 * len(experiment.pairs)


def test_page_and_table_name_every_fault_and_outcome(demo):
    experiment, page = demo
    table = results_table(experiment)
    cells = " ".join(str(cell) for column in table.columns for cell in column.cells)
    for pair in experiment.pairs:
        assert pair.fault in cells
        for record in (pair.bare, pair.guarded):
            assert outcome(record) in cells
            assert outcome(record) in page


def test_players_and_maps_mark_what_happened(demo):
    pair = demo[0].pairs[0]
    marks = player(pair.guarded, 100).marks
    assert [label for label, _, _ in marks] == ["fault", "alarm", "stopped"]
    shares = [share for _, _, share in marks]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 100
    spots = road_map(pair)
    assert spots["left_guarded"] is None
    assert all(0 <= value <= 100 for value in (*spots["fault"], *spots["stopped"]))


def test_histogram_counts_both_over_the_same_bins():
    bars = histogram(np.full(100, 1e-3), np.full(100, 2e-3))
    assert bars["bare"].index(1) == 24
    assert bars["monitored"].index(1) == 47
    assert bars["medians"] == pytest.approx((1, 2))


def record(**changes):
    """Ten metres of road behind a fault at the first frame."""
    made = DriveRecord(1, "fog", 0, np.zeros((3, 2)), distance=[0.0, 10.0], status=[Status.OK] * 2, ratio=[0.5, 1.0])
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "on the road for 10 m"),
        ({"status": [Status.OK, Status.ALARM]}, "slowed, on the road for 10 m"),
        ({"status": [Status.OK, Status.ALARM], "stopped_at": 1}, "stopped after 10 m"),
        ({"left_at": 1}, "off the road after 10 m"),
    ],
)
def test_how_a_drive_ended_in_words(changes, words):
    assert outcome(record(**changes)) == words


def test_scores_are_drawn_in_units_of_the_threshold_up_to_eight():
    line = score_line(record(ratio=[0.0, 1.0, 8.0, float("inf"), float("nan")]))
    assert line["path"] == "M0.0 60.0L60.0 53.0L120.0 4.0L180.0 4.0L240.0 4.0"
    assert (line["fault"], line["threshold"]) == (0, 53)

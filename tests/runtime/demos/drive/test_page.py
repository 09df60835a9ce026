"""The demo of the closed loop with few and short drives, and its page."""

from __future__ import annotations

import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("PIL")

from outrider.monitor import OutriderWarning
from outrider.runtime.demos.drive import results_table, run_drive_demo
from outrider.runtime.demos.drive.page import histogram, outcome, player, road_map

VOID = {"br", "circle", "img", "link", "meta", "path", "rect"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    output = tmp_path_factory.mktemp("drive") / "drive.html"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # four short drives have no sharp bends to the right
        experiment = run_drive_demo(output, fast=True, workers=1)
    return experiment, output.read_text(encoding="utf-8")


def test_the_guard_stops_what_the_bare_network_drives_on_with(demo):
    experiment, _ = demo
    assert [pair.fault for pair in experiment.pairs] == ["fog", "night", "camera noise"]
    for pair in experiment.pairs:
        assert pair.bare.alarm_at is None
        assert pair.guarded.delay <= 10
        assert pair.guarded.left_at is None
        assert pair.guarded.stopped_at is not None
        np.testing.assert_array_equal(pair.bare.position[:30], pair.guarded.position[:30])


def test_the_page_is_self_contained(demo):
    _, page = demo
    assert "http" not in page
    assert "<script" not in page
    addresses = re.findall(r"url\(([^)]{,30})", page)
    assert len(addresses) == 6
    assert all(address.startswith("data:image/webp;base64,") for address in addresses)


def test_the_page_is_well_formed(demo):
    class Nesting(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attributes):
            if tag not in VOID:
                self.open.append(tag)

        def handle_startendtag(self, tag, attributes):
            pass

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    parser = Nesting()
    parser.feed(demo[1])
    assert parser.open == []


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


def test_retraining_is_refused_for_the_pictures(outrider):
    result = outrider("demo", "--retrain")
    assert result.code == 2
    assert "outrider demo drive" in result.err

"""The page of the demo: whole, and it names what the experiment and the table name."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")

from outrider.runtime.demos.pictures import results_table
from outrider.runtime.demos.pictures.page import _missed, _wrong, percent

from ...parsed_page import whole


def test_the_page_is_whole_and_shows_its_pictures(demo):
    experiment, text = demo
    page = whole(text)
    pictures = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) > 50
    assert all(source.startswith("data:image/png;base64,") for source in pictures)
    assert page.names().count("svg") == len(experiment.outcomes) + 3


def test_page_and_table_name_every_set(demo):
    experiment, page = demo
    cells = " ".join(str(cell) for cell in results_table(experiment).columns[0].cells)
    for outcome in experiment.outcomes:
        assert page.count(outcome.inputs.name) >= 4
        assert outcome.inputs.name in cells
        assert percent(outcome.flagged) in page


def test_what_was_missed_begins_with_what_the_network_got_wrong(demo):
    for outcome in demo[0].outcomes:
        missed = _missed(outcome)
        assert not outcome.verdicts.alarm[missed].any()
        assert len(missed) == (~outcome.verdicts.alarm).sum()
        wrong = _wrong(outcome)[missed]
        assert (np.diff(wrong.astype(int)) <= 0).all()
        for part in (missed[wrong], missed[~wrong]):
            assert (np.diff(outcome.verdicts.score[part]) >= 0).all()


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.04, "4 %"), (0.0421, "4.2 %"), (0.5, "50 %"), (0.996, "99.6 %"), (1, "100 %")],
)
def test_percent_never_rounds_to_all_or_nothing(share, text):
    assert percent(share) == text.replace(" ", "\u202f")

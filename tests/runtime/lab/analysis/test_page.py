"""The page of an analysis: whole, with the figures in words and every drawing inside."""

from __future__ import annotations

import copy
import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from outrider.runtime.lab.analysis import render_analysis
from outrider.runtime.lab.analysis.page import number, share, times

from ...parsed_page import whole
from .examples import analysed


def known():
    """The figures of tiny models, with numbers in them that are known here."""
    found = copy.deepcopy(analysed())
    for name, distance in {"base": 0.51, "SSFT": 2.04, "DPO": 11.16}.items():
        found["models"][name]["separation"]["distance"] = [distance / 2, distance]
    found["models"]["DPO"]["separation"]["position"]["JB-MisGen"][-1] = 0.875
    found["models"]["DPO"]["separation"]["nearer_safe"]["JB-MisGen"][-1] = 0.999
    found["models"]["SSFT"]["lipschitz"]["unsafe"] = {"median": 1.25, "low": 1.0, "high": 2.5}
    found["models"]["<b>x"] = found["models"].pop("SSFT")
    return found


@pytest.fixture(scope="module")
def page():
    return whole(render_analysis(known(), "tiny <model>", left_out=("unsafe: 2 prompts: expected <less>.",)))


def said(page):
    return " ".join("".join(page.text).split())


def test_the_page_is_whole_and_says_the_figures(page):
    text = said(page)
    assert "In the last layer of DPO, safe and unsafe inputs lie 11.2 spreads apart; in the untuned model 0.5." in text
    assert "0.88 (99\u202f%)".replace("\u202f", " ") in text.replace("\u202f", " ")
    assert "1.25 (1.00 to 2.50)" in text
    assert "tiny <model>" in text
    assert "<b>x" in text
    assert "unsafe: 2 prompts: expected <less>." in text


def test_every_drawing_is_inside_and_says_what_it_shows(page):
    drawn = [given["aria-label"] for tag, given in page.tags if tag == "svg"]
    assert len(drawn) == 2 + 3 + 2 * 2 + 2 + 1 + 2 * 2
    assert len(set(drawn)) == len(drawn)
    assert "τ by layer and kind of input: <b>x" in drawn


def test_no_two_parts_of_the_page_have_one_name():
    """A clip of one drawing must not cut another: of a name that stands twice both are the same."""
    text = render_analysis(known(), "m")
    named = re.findall(r'<(\w+) id="([^"]+)"(.*?)</\1>|<(\w+) id="([^"]+)"[^>]*/>', text, re.DOTALL)
    seen = {}
    for tag, name, content, alone, other in named:
        assert seen.setdefault(name or other, (tag or alone, content)) == (tag or alone, content), name or other


def test_without_behaviour_and_baselines_their_parts_are_left_out():
    found = known()
    for model in found["models"].values():
        model.pop("behaviour"), model.pop("random", None)
        model["separation"]["shuffled"] = {}
        if "scaling" in model:
            model["scaling"] = []
    text = said(whole(render_analysis(found, "m")))
    assert "More and less of the change" not in text
    assert "a random change as large as" not in text
    assert "More and less of the change" in said(whole(render_analysis(known(), "m")))


def test_figures_that_are_none_have_a_dash():
    found = known()
    row = found["models"]["DPO"]["weights"][0]
    row["effect"]["ratio"] = row["outside"]["share"] = row["outside"]["random_change"] = None
    found["models"]["DPO"]["separation"]["contrast"] = [None, None]
    whole(render_analysis(found, "m"))
    assert (number(None), share(None), times(None)) == ("–", "–", "–")


def test_only_one_reads_as_all():
    assert [share(value)[:-2] for value in (0, 0.001, 0.5, 0.999, 1)] == ["0", "1", "50", "99", "100"]
    assert (number(1.256), number(2, 0), times(1.5)) == ("1.26", "2", "1.50\u202f×")

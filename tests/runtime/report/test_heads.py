"""The page and the picture of a search for heads: whole, with the numbers of the report, in words and on the map."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from outrider.monitor.heads import SearchReport
from outrider.runtime.report.heads import HeadCell, cells, heads_picture, render_heads

from ..parsed_page import whole

pytest.importorskip("jinja2")

AUROC = np.array([[0.5, 0.9951, 0.12], [np.nan, 1.0, 0.75]])
REPORT = SearchReport(
    {"name": "read_out", "kind": "lda", "shrinkage": 0.3}, "auroc", AUROC, 4 * AUROC - 2, ((1, 1), (0, 1)), 0.9876,
    np.linspace(0.4, 0.7, 49), 0.02, 50, 49, (("safe", 7, "expected a picture, got <b>"),),
)  # fmt: skip


@pytest.fixture(scope="module")
def text():
    return render_heads(REPORT, "Tiny <model>, 2 layers x 3 heads")


def test_the_page_is_whole_and_says_the_numbers(text):
    page = whole(text)
    said = " ".join("".join(page.text).split())
    assert "2 of 5 heads tell unsafe from safe prompts with an AUROC of 0.988." in said
    assert "0 of 49 choices on shuffled labels did as well; their middle was 0.550" in said
    assert "p = 0.02" in said
    assert "layer 1, head 1" in said
    assert "Tiny <model>" in said
    assert "expected a picture, got <b>" in said
    assert "no better than chance" not in said
    assert "5 of 6 heads were measured. Where a cheaper statistic picked them on these same prompts" in said
    every = render_heads(replace(REPORT, auroc=np.nan_to_num(AUROC)), "m")
    assert "heads were measured" not in every


def test_every_head_is_on_the_map_and_the_chosen_are_framed(text):
    page = whole(text)
    shown = [given for tag, given in page.tags if tag == "td" and "title" in given]
    assert [given["title"].split(":")[0] for given in shown] == [
        f"layer {layer}, head {head}" for layer in range(2) for head in range(3)
    ]
    assert [given.get("class") for given in shown] == [None, "chosen", None, "none", "chosen", None]
    assert shown[1]["title"] == "layer 0, head 1: AUROC 0.995, d′ 1.98; number 2 of those chosen"
    assert shown[3]["title"].endswith("not measured")
    assert [given["style"] for given in shown[:3]] == ["--s:0.0;--w:0.0", "--s:0.99;--w:0.0", "--s:0.0;--w:0.76"]


def test_only_one_reads_as_a_hundred():
    assert [HeadCell(0, 0, auroc, 0.0, 0).hundredths for auroc in (1.0, 0.9999, 0.5, 1e-9, 0.0)] == [
        "100", "99", "50", "1", "0",
    ]  # fmt: skip


def test_a_choice_like_chance_and_one_without_a_test_are_said_to_be(text):
    like_chance = replace(REPORT, p_value=0.4, null=np.linspace(0.9, 1.0, 10))
    said = " ".join("".join(whole(render_heads(like_chance, "m")).text).split())
    assert "no better than chance" in said
    assert "did as well (p = 0.4)" in said
    untested = replace(REPORT, p_value=None, null=np.empty(0))
    said = " ".join("".join(whole(render_heads(untested, "m")).text).split())
    assert "was not held against shuffled labels" in said
    assert "Is it luck?" not in said
    assert "Is it luck?" in text


def test_a_joint_statistic_has_no_chosen_heads():
    joint = replace(
        REPORT, auroc=np.full((2, 2), 0.6), separation=np.ones((2, 2)), chosen=((0, 0), (0, 1), (1, 0), (1, 1))
    )
    page = whole(render_heads(joint, "m"))
    assert "All 4 heads together tell" in "".join(page.text)
    assert not [given for tag, given in page.tags if tag == "td" and given.get("class") == "chosen"]


def test_the_picture_shows_the_map():
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    shown = image.open(io.BytesIO(heads_picture(REPORT, "Tiny")))
    assert shown.format == "PNG"
    pixels = np.asarray(shown.convert("RGB")).reshape(-1, 3).astype(int)
    reddish = (pixels[:, 0] - pixels[:, 2] > 60).sum()
    grey = heads_picture(replace(REPORT, auroc=np.full((2, 3), 0.5)), "Tiny")
    even = np.asarray(image.open(io.BytesIO(grey)).convert("RGB")).reshape(-1, 3).astype(int)
    assert reddish > 5 * ((even[:, 0] - even[:, 2]) > 60).sum() / 4
    assert [cell.rank for row in cells(REPORT) for cell in row] == [0, 2, 0, 0, 1, 0]

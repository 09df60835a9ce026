"""The page: whole, with every set in it, and nothing of a name in its markup."""

from __future__ import annotations

import re

import numpy as np
import pytest

from outrider.monitor.evaluation import Curve, Evaluation, evaluate_sets
from outrider.monitor.evaluation.results import Cost
from outrider.runtime.evaluation.page import by_corruption, figure, path, percent, render_evaluation

from ...monitor.conftest import monitor, network  # noqa: F401 (fixtures)
from ...monitor.evaluation.test_judged import made
from ..parsed_page import whole

pytest.importorskip("jinja2")
HOSTILE = '<img src=x onerror="alert(1)">{{ 7 * 7 }}'


@pytest.fixture
def found(monitor) -> Evaluation:  # noqa: F811
    rng = np.random.default_rng(0)

    def some(n, far, **facts):
        score = rng.normal(far, 1, n)
        return made((score > 2) * 2, score, np.full(n, 2.0), np.arange(n) % 2, **facts)

    sets = [
        some(50, 1, name=HOSTILE, kind="given", deviation=rng.random((50, 3), np.float32)),
        *(some(40, level, name=f"shot_noise {level}", kind="corruption", severity=level) for level in (5, 1)),
        some(40, 2, name="black", kind="fault"),
        some(30, 2, name="pgd 8/255", kind="attack", tried=45),
        made([], [], [], name="cw", kind="attack", tried=9),
    ]
    cost = Cost(30.0, 20.0, 10.0, 64, 1234)
    of_drives = {"drives": np.arange(100) // 25, "drive_names": ("north", "east", HOSTILE, "west")}
    clean = some(
        100, 0, label=np.zeros(100, np.int64), unread=2, deviation=rng.random((100, 3), np.float32), **of_drives
    )
    return evaluate_sets(monitor, clean, sets, resamples=5, cost=cost)


def test_the_page_is_whole_and_has_every_set(found):
    text = render_evaluation(found, {"profile": {"file": "net.outrider", "bytes": 99, "sha256": "ab" * 32}})
    page = whole(text)
    said = " ".join("".join(page.text).split())
    for expected in (
        "black",
        "pgd 8/255",
        "of 45 tried",
        "shot noise",
        "2 unread",
        "net.outrider, 99 bytes",
        "AURC",
        "1 set, 3 columns",
        "clean drives alarm in more than the 5 % asked for; the most in",
        "4 drives",
        "The calibration promises: of new frames drawn like the ",
    ):
        assert expected in said
    assert page.names().count("svg") == 5  # given, fault, attack and corruption, and the errors of the clean set
    assert len(re.findall('class="curve s[15]"', text)) == 2


def test_names_are_text(found):
    page = whole(render_evaluation(found))
    assert "img" not in page.names()
    assert HOSTILE in "".join(page.text)


def test_of_the_clean_set_alone_there_is_a_page(monitor):  # noqa: F811
    text = render_evaluation(evaluate_sets(monitor, made([0, 2], [0, 3], [1, 1]), [], resamples=0))
    assert "50\u202f% of 2 clean frames alarm." in text
    whole(text)


def test_corruptions_are_in_the_order_of_their_severity(found):
    assert [one.severity for one in by_corruption(found)["shot_noise"]] == [1, 5]


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (1, "100 %"), (0.0471, "4.7 %"), (0.5, "50 %"), (0.0002, "0.02 %"), (0.99995, "> 99.9 %"), (None, "–"),
     (float("nan"), "–")],
)  # fmt: skip
def test_shares_in_words(share, said):
    assert percent(share).replace("\u202f", " ") == said


def test_figures_and_paths():
    assert [figure(value) for value in (4860.2, 37.61, 0.0123)] == ["4,860", "37.6", "0.0123"]
    assert path(Curve((0, 0.5, 1), (0, 1, 1)), 10, 100, 200, 50) == "M10.0 100.0L110.0 50.0L210.0 50.0"

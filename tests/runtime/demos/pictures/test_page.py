"""The demo, with little training and few images, and its page."""

from __future__ import annotations

import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchattacks")
pytest.importorskip("onnxscript")
pytest.importorskip("jinja2")

from outrider.monitor import OutriderWarning
from outrider.runtime.demos.pictures import results_table, run_demo
from outrider.runtime.demos.pictures.charts import histogram, picture, roc
from outrider.runtime.demos.pictures.corruptions import CORRUPTIONS
from outrider.runtime.demos.pictures.experiment import ATTACKED, CORRUPTED, COVERED, STRANGE
from outrider.runtime.demos.pictures.page import percent
from outrider.runtime.demos.pictures.strangers import STRANGERS

VOID = {"br", "img", "link", "meta", "path", "rect"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    output = tmp_path_factory.mktemp("demo") / "demo.html"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # six epochs leave yellow without trusted photographs
        experiment = run_demo(output, fast=True)
    return experiment, output.read_text(encoding="utf-8")


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


def test_the_page_is_self_contained(demo):
    _, page = demo
    assert "http" not in page
    assert "<script" not in page
    assert not re.search(r"url\(|@import|<link", page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) > 50
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_the_page_is_well_formed(demo):
    class Nesting(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attributes):
            if tag not in VOID:
                self.open.append(tag)
            if tag == "img":
                assert dict(attributes)["alt"]

        def handle_startendtag(self, tag, attributes):
            pass

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    parser = Nesting()
    parser.feed(demo[1])
    assert parser.open == []


def test_page_and_table_name_every_set(demo):
    experiment, page = demo
    cells = " ".join(str(cell) for cell in results_table(experiment).columns[0].cells)
    for outcome in experiment.outcomes:
        assert page.count(outcome.inputs.name) >= 4
        assert outcome.inputs.name in cells
        assert percent(outcome.flagged) in page


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_keep_shape_dtype_and_range(name):
    images = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    before = images.copy()
    spoiled = CORRUPTIONS[name](images, np.random.default_rng(1))
    np.testing.assert_array_equal(images, before)
    assert (spoiled.shape, spoiled.dtype) == (images.shape, np.float32)
    assert 0 <= spoiled.min() < spoiled.max() <= 1
    assert not np.array_equal(spoiled, images)


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_have_shape_dtype_and_range(name):
    images = STRANGERS[name](4, np.random.default_rng(0))
    assert (images.shape, images.dtype) == ((4, 3, 32, 32), np.float32)
    assert 0 <= images.min() < images.max() <= 1


def test_roc_passes_through_what_counting_gives():
    covered, others = np.array([1.0, 2.0, 3.0, np.inf]), np.array([2.5, 5.0])
    assert roc(covered, others) == [(0, 0), (0.25, 0), (0.25, 0.5), (0.5, 0.5), (0.5, 1), (0.75, 1), (1, 1)]


def test_histogram_counts_into_its_bars():
    heights = histogram(np.array([0.0, 0.01, 0.5, 1.0]))
    assert (heights[0], heights[20], heights[-1], sum(heights)) == (1, 0.5, 0.5, 2)


def test_picture_is_the_image():
    image_module = pytest.importorskip("PIL.Image")
    import base64
    import io

    image = np.random.default_rng(0).integers(0, 256, (3, 5, 4))
    data = base64.b64decode(picture((image / 255).astype(np.float32)).split(",")[1])
    np.testing.assert_array_equal(np.asarray(image_module.open(io.BytesIO(data))).transpose(2, 0, 1), image)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.04, "4 %"), (0.0421, "4.2 %"), (0.5, "50 %"), (0.996, "99.6 %"), (1, "100 %")],
)
def test_percent_never_rounds_to_all_or_nothing(share, text):
    assert percent(share) == text.replace(" ", "\u202f")

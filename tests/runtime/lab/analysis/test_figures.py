"""The drawings: in the page's colours, with what matplotlib was given, and without what would reach out of them."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from outrider.runtime.lab.analysis import figures

from .examples import analysed


def test_safe_and_unsafe_have_their_colours_and_the_base_is_grey():
    kinds = figures.kind_colours(dict.fromkeys(("JB", "unsafe", "other", "safe")))
    assert kinds == {"safe": "teal", "unsafe": "red", "JB": "purple", "other": "orange"}
    named = figures.model_colours(dict.fromkeys(("base", *map(str, range(7)))))
    assert named["base"] == "grey"
    assert [named[str(i)] for i in (0, 6)] == ["teal", "teal"]
    assert set(figures.kind_colours({str(i): 0 for i in range(9)}).values()) <= set(figures._COLOURS)


def test_a_drawing_has_only_the_pages_colours_and_letters():
    svg = figures.drawing(lambda axes: axes.plot([0, 1], [0, 1], color=figures._COLOURS["teal"]), 'a "b" & <c>')
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")
    assert "stroke: var(--teal)" in svg
    assert "var(--muted)" in svg
    assert 'aria-label="a &quot;b&quot; &amp; &lt;c>"' in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "<style" not in svg
    assert "DejaVu" not in svg
    assert "metadata" not in svg
    assert "width=" not in svg[: svg.index(">")]


def test_names_are_drawn_as_they_are():
    svg = figures.drawing(lambda axes: axes.set_xlabel("$x_1$ <b>"), "label")
    assert "$x_1$ &lt;b&gt;" in svg


def lines_of(draw, *given):
    """How many paths of each colour a drawing has."""
    return len(re.findall(r"var\(--(?:teal|red|purple|orange)\)", str(draw(*given))))


def test_what_is_not_finite_is_not_drawn():
    found = {"base": analysed()["models"]["base"], "a": dict(analysed()["models"]["SSFT"])}
    plainly = figures.depth(found)
    found["a"]["separation"] = dict(found["a"]["separation"], distance=[None, None])
    assert lines_of(lambda: figures.depth(found)) < lines_of(lambda: plainly)


@pytest.mark.parametrize("draw", [figures.outside_shares, figures.effects])
def test_only_the_matrices_of_the_name_are_drawn(draw):
    models = analysed()["models"]
    assert lines_of(draw, models, "mlp.c_fc") > 0
    assert lines_of(draw, models, "mlp.nothing") == 0


def test_the_effect_is_drawn_for_every_kind():
    svg = str(figures.directions("DPO", analysed()["models"]["DPO"], "mlp.c_fc"))
    assert all(f"var(--{colour})" in svg for colour in ("teal", "red", "purple"))


def test_sensitivity_is_drawn_for_every_model_kind_and_random_change():
    models = analysed()["models"]
    with_random = lines_of(figures.slopes, models)
    bare = {name: {k: v for k, v in model.items() if k != "random"} for name, model in models.items()}
    assert lines_of(figures.slopes, bare) < with_random
    assert "fill: none" in figures.slopes(models)


def test_a_share_along_alpha_is_drawn_for_every_kind():
    model = analysed()["models"]["DPO"]
    svg = str(figures.along("DPO", model, "refused"))
    assert all(f"var(--{colour})" in svg for colour in ("teal", "red", "purple"))
    assert "share refused" in svg

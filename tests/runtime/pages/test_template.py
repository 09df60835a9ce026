"""Pages: nothing given becomes markup, nothing undefined passes, and the macros show what they are given."""

from __future__ import annotations

import re
import sys

import pytest

pytest.importorskip("jinja2")

import jinja2

from outrider.networks.packages import install_hint
from outrider.runtime.pages import Card, fill

from ..parsed_page import whole

PAGE = """{% extends "base.html" %}
{% from "macros.html" import bars, card, dot, table, tile %}
{% block title %}{{ title | upper }}{% endblock %}
{% block content %}
{% call tile("7", "alarm") %}frames{% endcall %}
{% call table(["a", "b"], "wide", text=["b"]) %}<tr><td>1</td><td>2</td></tr>{% endcall %}
{{ dot("alarm", "ALARM") }}
{% call card(shown, "frame") %}<b>3</b>{% endcall %}
<svg>{{ bars([0.5, 0, 1], 10, 8, 100, 50, kind="x") }}</svg>
{% endblock %}
"""
SHOWN = Card("data:image/png;base64,", "a name", "a <note>", 1.5)


@pytest.fixture
def template(tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    return tmp_path / "page.html"


def test_macros_show_what_they_are_given(template):
    text = fill(template, {}, title="a page", shown=SHOWN)
    page = whole(text)
    assert "<h1>A PAGE</h1>" in text
    assert '<b class="alarm">7</b><span>frames</span>' in text
    assert '<table class="wide">' in text
    assert '<th scope="col">a</th><th scope="col" class="text">b</th>' in text
    assert '<i class="dot alarm"></i>ALARM' in text
    assert [given["alt"] for tag, given in page.tags if tag == "img"] == ["a name"]
    assert "a &lt;note&gt;" in text
    rects = [[float(given[name]) for name in ("x", "y", "height")] for tag, given in page.tags if tag == "rect"]
    assert rects == [[0, 75, 25], [20, 50, 50]]


def test_what_is_given_stays_text_that_can_be_read(template):
    text = fill(template, {"upper": str}, title="<script>\x1b[31m\u202e1\u202fs", shown=SHOWN)
    assert "<h1>&lt;script&gt;\\x1b[31m\\u202e1\u202fs</h1>" in text


def test_a_value_that_is_missing_is_an_error(template):
    with pytest.raises(jinja2.UndefinedError, match="title"):
        fill(template, {}, shown=SHOWN)


def test_without_jinja2_the_extra_is_named(template, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"jinja2: " + re.escape(install_hint("report"))):
        fill(template, {}, title="", shown=SHOWN)

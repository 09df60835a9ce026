from __future__ import annotations

import io

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

from outrider.runtime.lab.evaluation.defences import DEFENCES
from outrider.runtime.lab.evaluation.evaluating import DefenceTable
from outrider.runtime.lab.evaluation.picture import defences_picture, grouped

from .test_tables import CELLS, JUDGE, OUTCOMES


def test_points_on_top_of_each_other_share_a_place():
    points = [(0.0, 0.0), (0.05, 0.022), (0.0, 0.5), (0.051, 0.0), (0.0, 0.023), (0.01, 0.01)]
    assert grouped(points) == [((0.0, 0.0), [0, 1, 5]), ((0.0, 0.5), [2]), ((0.051, 0.0), [3]), ((0.0, 0.023), [4])]
    assert grouped([]) == []


def test_a_picture_has_a_line_for_every_cell():
    from PIL import Image

    few = DefenceTable(CELLS, {}, JUDGE, 24)
    cells = [
        type(CELLS[0])(model, name, OUTCOMES, 0, 1.0) for model in ("a", "b", "a tuned model $x$") for name in DEFENCES
    ]
    many = DefenceTable(tuple(cells), {}, JUDGE, 24)
    small, large = (Image.open(io.BytesIO(defences_picture(table))) for table in (few, many))
    assert small.format == "PNG"
    assert small.width > 1000
    assert large.height > small.height
    assert len(small.convert("RGB").getcolors(1 << 20)) > 10


def test_models_of_a_family_share_a_colour():
    def colours(family):
        from PIL import Image

        picture = Image.open(io.BytesIO(defences_picture(DefenceTable(CELLS, {}, JUDGE, 24), family))).convert("RGB")
        found = {colour for _, colour in picture.getcolors(1 << 20)}
        return {name for name, colour in (("first", (27, 108, 168)), ("second", (192, 57, 43))) if colour in found}

    assert colours(None) == {"first", "second"}
    assert colours(lambda _model: "all") == {"first"}

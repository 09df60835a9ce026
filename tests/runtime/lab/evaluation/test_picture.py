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
    points = [(0.0, 0.0), (0.02, 0.02), (0.0, 0.5), (0.029, 0.0), (0.0, 0.01)]
    assert grouped(points) == [((0.0, 0.0), [0, 1, 4]), ((0.0, 0.5), [2]), ((0.029, 0.0), [3])]
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

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.places import dirt


def square(side: int, alpha: int, height: float | None = None) -> dirt.Piece:
    return dirt.Piece(Image.new("RGBA", (side, side), (200, 100, 0, alpha)), height)


def test_dirt_covers_what_was_asked_where_it_was_asked():
    picture = np.full((100, 200, 3), 60, np.uint8)
    covered, mask = dirt.laid_over(picture, square(50, 255), 0.02, (1, 0))
    assert mask.sum() == 400
    assert mask[:20, 180:].all()
    assert (covered[mask] == [200, 100, 0]).all()
    assert (covered[~mask] == 60).all()
    assert (picture == 60).all()


def test_dirt_that_hangs_somewhere_does_so():
    picture = np.zeros((100, 200, 3), np.uint8)
    mask = dirt.laid_over(picture, square(50, 255, 1.0), 0.02, (0, 0)).mask
    assert mask[80:, :20].all()


def test_half_transparent_dirt_shows_the_picture_behind_it():
    picture = np.full((100, 100, 3), 60, np.uint8)
    covered, mask = dirt.laid_over(picture, square(10, 128), 0.01)
    share = 128 / 255
    np.testing.assert_allclose(covered[mask], [np.multiply(share, (200, 100, 0)) + (1 - share) * 60] * 100, atol=1)


def test_dirt_out_of_focus_is_spread_and_as_opaque_in_all():
    picture = np.zeros((100, 100, 3), np.uint8)
    piece = dirt.Piece(Image.new("RGBA", (10, 10), (255, 255, 255, 255)), None)
    sharp, blurred = (dirt.laid_over(picture, piece, 0.01, blur=blur).picture.astype(float) for blur in (0, 3))
    assert blurred.max() < 230
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=0.02)


def test_dirt_too_large_is_refused():
    with pytest.raises(ValueError, match="200 x 20 pixels, got 35 x 35"):
        dirt.laid_over(np.zeros((20, 200, 3), np.uint8), square(10, 255), 0.3)


def test_pieces_are_cut_to_what_is_dirty_and_fade_at_cut_sides(tmp_path):
    for file, size, box in (
        ("mud1.png", (2000, 1400), (100, 100, 2000, 1400)),
        ("mud3.png", (100, 100), (10, 20, 60, 90)),
        ("dirt1.png", (400, 50), (0, 0, 400, 50)),
    ):
        photograph = Image.new("RGBA", size, (9, 9, 9, 0))
        photograph.paste((1, 2, 3, 255), box)
        photograph.save(tmp_path / file)
    pieces = dirt.read_pieces(tmp_path)
    sizes = {name: piece.picture.size for name, piece in pieces.items()}
    # A side that fades over 80 pixels is dirty from its 21st pixel: 255 * 21 / 80 is more than 64.
    assert sizes == {"blot": (50, 70), "streak": (540, 1190), "clods": (380, 300), "dust": (360, 50)}
    alpha = np.asarray(pieces["dust"].picture)[0, :, 3]
    assert alpha[0] == alpha[-1] == round(255 * 21 / 80)
    assert alpha[180] == 255
    assert pieces["streak"].height == 0
    assert pieces["blot"].height is None

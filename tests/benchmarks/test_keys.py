from __future__ import annotations

import numpy as np

from benchmarks import keys
from benchmarks.keys import code_key, digest, sketch


def test_a_digest_tells_arrays_of_other_values_shapes_and_types_apart():
    made = [np.arange(4), np.arange(4).reshape(2, 2), np.arange(4, dtype=np.int32), np.array([0, 1, 2, 4])]
    assert len({digest("a", one) for one in made} | {digest("b", made[0])}) == 5
    assert digest("a", np.arange(8)[::2]) == digest("a", np.array([0, 2, 4, 6]))


def test_code_counts_with_what_it_imports_and_its_comments_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "ROOT", tmp_path)

    def key(inner: str, outer: str = "from .inner import A\nfrom . import other\n", **options) -> str:
        for one in (keys._tree, keys._code, keys._imported):
            one.cache_clear()
        for name, text in {"outer": outer, "inner": inner, "other": "B = 1\n", "unused": inner}.items():
            (tmp_path / f"{name}.py").write_text(text)
        return code_key(tmp_path / "outer.py", **options)

    plain = key('def f():\n    """Says."""\n    return 1\n')
    assert key('def f():\n    """Says more."""\n\n    # why\n    return 1\n') == plain
    assert key('def f():\n    """Says."""\n    return 2\n') != plain
    other = {"outer": "from . import other\n"}
    assert key("A = 1\n", **other) == key("A = 2\n", **other)
    left_out = {"without": ["inner.py"]}
    assert key("A = 1\n", **left_out) == key("A = 2\n", **left_out) != key("A = 2\n")


def test_a_sketch_tells_arrays_apart_but_for_their_last_bits():
    images = np.random.default_rng(1).random((1200, 3, 8, 8)).astype(np.float32)
    assert sketch(images) == sketch(np.nextafter(images, np.float32(2)))
    turned, brighter, changed = images[::-1], images * np.float32(1.01), images.copy()
    changed[0] = 0
    assert len({tuple(sketch(one)) for one in (images, turned, brighter, changed)}) == 4

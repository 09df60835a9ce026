"""`outrider lab clip`: what the library does on the same file, what was left out, and what is refused."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
if importlib.util.find_spec("peft") is None:
    pytest.skip("peft is not installed", allow_module_level=True)

from outrider.networks.tuning import Schedule
from outrider.networks.tuning.clip import ClipPlan, embed, load_tuned, open_clip, read_quadruples, tune_clip

from ....networks.tuning.clip.tiny import tiny_clip, write_quadruples
from ..outcomes import error_of

FAST = ("--steps", "4", "--batch", "4", "--rate", "1e-2", "--seed", "3")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    tiny_clip(folder / "tiny")
    path = write_quadruples(folder, 8)
    lines = path.read_text().splitlines()
    gone = json.dumps({**json.loads(lines[0]), "safe_image": "gone.png"})
    path.write_text("\n".join([*lines, gone]))
    return folder


@pytest.fixture
def clip(outrider, home):
    return lambda *rest: outrider("lab", "clip", home / "tiny", home / "quadruples.jsonl", *rest, "--quiet")


def test_it_is_what_the_library_does(clip, home, tmp_path):
    result = clip("-o", tmp_path / "run", *FAST, "--redirect", "2", "--test", home / "quadruples.jsonl", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out, parse_constant=pytest.fail)
    given = read_quadruples(home / "quadruples.jsonl")
    base = open_clip(home / "tiny")
    before = embed(base, given.quadruples, base.picture)
    ours = tune_clip(base, given.quadruples, Schedule(4, 4, 1e-2, seed=3), tmp_path / "ours", ClipPlan(redirect=2.0))
    assert found["loss"] == [ours.trained.losses[0], ours.trained.losses[-1]]
    assert found["quadruples"] == 8
    assert found["left_out"] == given.left_out == found["test"]["left_out"]
    assert [one["safe"] for one in found["redirected"]] == [one.safe for one in ours.redirected]
    again = load_tuned(open_clip(home / "tiny"), tmp_path / "run")
    texts = [one.unsafe_caption for one in given.quadruples]
    np.testing.assert_allclose(again.embed_texts(texts), ours.clip.embed_texts(texts), atol=1e-6)
    # the measures by hand, of unsafe texts in the gallery of frozen pictures
    after = embed(ours.clip, given.quadruples, base.picture)
    for now, when in ((before, "before"), (after, "after")):
        gallery = np.concatenate([before.safe_image, before.unsafe_image])
        first = np.argmax(now.unsafe_text @ gallery.T, axis=1)
        assert found["test"][when]["safe_text_frozen"] == pytest.approx(np.mean(first < 8))


def test_a_reader_is_told_where_captions_go_and_what_is_left_out(clip, home, tmp_path):
    result = clip("-o", tmp_path / "run", *FAST, "--target", "fixed", "--caption", "a drawing of house",
                  "--test", home / "quadruples.jsonl")  # fmt: skip
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith("1 line left out, the first: line 9: expected a picture, got no file ")
    assert lines[1].startswith("1 line of the test left out, the first: line 9: ")
    assert lines[2].startswith("8 quadruples, loss ")
    rows = [line.split() for line in lines if line.startswith("a drawing of ")]
    assert sorted(rows) == [
        ["a", "drawing", "of", name, "a", "drawing", "of", "house", cosine, "4"]
        for name, cosine in sorted((row[3], row[8]) for row in rows)
    ]
    assert {row[3] for row in rows} == {"rifle", "sword"}
    assert lines[-1] == f"written: {tmp_path / 'run'}"


def test_safe_clip_needs_no_other_flag(clip, tmp_path):
    result = clip("-o", tmp_path / "run", *FAST, "--method", "safe-clip", "--json")
    plan = json.loads(result.out)["plan"]
    assert (plan["method"], plan["target"], plan["curriculum"]) == ("safe-clip", "partner", "none")


def test_mistakes_are_one_sentence(outrider, clip, home, tmp_path):
    new = ("-o", tmp_path / "run")
    assert error_of(clip(*new, "--method", "magic")).startswith("expected a method among safer-clip, safe-clip")
    assert error_of(clip(*new, "--target", "fixed")).startswith("expected a caption with the target 'fixed'")
    none = outrider("lab", "clip", tmp_path, home / "quadruples.jsonl", *new)
    assert "expected the folder of a CLIP" in error_of(none)
    short = tmp_path / "short.jsonl"
    short.write_text('{"safe_image": "a.png"}')
    said = error_of(outrider("lab", "clip", home / "tiny", short, *new))
    assert "line 1: expected the keys" in said
    assert not (tmp_path / "run").exists()

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import MismatchError
from outrider.monitor.heads import Cascade, Exact, LastQuery, ReadOut, measure, prompt_digest
from outrider.monitor.heads.features import check_source, prefills
from outrider.networks.transformers import Prompt

from .conftest import TELLING, FakeDecoder, safe, unsafe

MIXED = ["harm it", " ", "help me with a longer sentence", "word " * 50, "harm"]


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_prompts_are_measured_in_their_order_and_the_broken_ones_named(decoder, batch):
    seen = []
    found = measure(decoder, MIXED, ReadOut(), batch=batch, progress=lambda done, every: seen.append((done, every)))
    assert [bool(reason) for reason in found.reasons] == [False, True, False, True, False]
    assert "empty" in found.reasons[1]
    assert "at most 40 tokens" in found.reasons[3]
    assert found.lengths.tolist() == [2, 0, 6, 0, 1]
    assert found.judged.tolist() == [True, False, True, False, True]
    assert seen[0] == (0, 5)
    assert seen[-1] == (5, 5)
    for i in (0, 2, 4):
        np.testing.assert_array_equal(found.values[i], decoder._heads(MIXED[i]).reshape(12, -1))
    assert np.isnan(found.values[[1, 3]]).all()


def test_each_prompt_is_run_once(decoder):
    measure(decoder, safe(7), LastQuery(), batch=3)
    assert decoder.passes == 7


def test_a_pass_keeps_what_exact_needs(decoder):
    found = measure(decoder, unsafe(2), Exact(), [(2, 1), TELLING])
    assert found.values.shape == (2, 2, 1)
    assert found.judged.all()


def test_a_value_that_is_no_number_is_not_judged_but_measured(decoder):
    found = measure(decoder, ["broken", "whole"], ReadOut())
    assert found.judged.tolist() == [False, True]
    assert found.reasons == ("", "")


def test_features_are_split_by_indices_and_by_head(decoder):
    found = measure(decoder, [*unsafe(3), *safe(3)], ReadOut())
    part = found[[4, 0]]
    np.testing.assert_array_equal(part.values, found.values[[4, 0]])
    assert part.digests == (found.digests[4], found.digests[0])
    assert len(found[found.judged]) == 6
    np.testing.assert_array_equal(found.of([TELLING])[:, 0], found.values[:, 6])
    few = measure(decoder, safe(1), ReadOut(), [TELLING])
    with pytest.raises(ValueError, match=r"features of head \(0, 0\)"):
        few.of([(0, 0)])


def test_features_of_another_model_or_statistic_are_refused(decoder):
    found = measure(decoder, safe(1), ReadOut())
    check_source(found, decoder, ReadOut("ranges"))
    with pytest.raises(MismatchError, match="measured last_query"):
        check_source(found, decoder, LastQuery())
    with pytest.raises(MismatchError, match="fingerprint"):
        check_source(found, FakeDecoder("a" * 64), ReadOut())


def test_none_at_all_is_an_empty_set(decoder):
    found = measure(decoder, [], ReadOut())
    assert found.values.shape == (0, 12, 6)
    assert len(found) == 0


def test_a_mistake_that_is_no_prompts_is_raised(decoder):
    def without_template(prompts):
        raise ValueError("expected a tokenizer with a chat template, got one without")

    decoder.encode = without_template
    with pytest.raises(ValueError, match="chat template"):
        measure(decoder, safe(2), ReadOut())
    with pytest.raises(ValueError, match="at least 1 prompt"):
        measure(decoder, safe(2), ReadOut(), batch=0)


def test_passes_are_together_or_one_by_one(decoder):
    assert [whose for whose, _ in prefills(decoder, ["a", "b"], None)] == [[0, 1]]
    found = list(prefills(decoder, ["a", "", "b"], None))
    assert [whose for whose, _ in found] == [[0], [1], [2]]
    assert isinstance(found[1][1], str)


def test_prompts_that_make_no_batch_go_one_by_one(decoder, monkeypatch):
    """Pictures of several shapes do; each prompt by itself is fit to be judged."""
    encode = decoder.encode

    def of_one_shape(prompts):
        if len({len(prompt) for prompt in prompts}) > 1:
            raise ValueError("expected prompts whose pixel_values have one shape, got several")
        return encode(prompts)

    monkeypatch.setattr(decoder, "encode", of_one_shape)
    found = measure(decoder, ["a", "bb", "c"], ReadOut(), batch=3)
    monkeypatch.setattr(decoder, "encode", encode)
    assert found.judged.all()
    assert np.array_equal(found.values, measure(decoder, ["a", "bb", "c"], ReadOut()).values)


def test_a_digest_is_of_text_and_pictures_whatever_their_form(tmp_path):
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    (tmp_path / "a.png").write_bytes(b"one")
    (tmp_path / "b.png").write_bytes(b"two")
    assert prompt_digest("hi") == prompt_digest(Prompt("hi")) == prompt_digest({"prompt": "hi"})
    of = [
        prompt_digest("hi"),
        prompt_digest("ho"),
        prompt_digest({"prompt": "hi", "image": tmp_path / "a.png"}),
        prompt_digest({"prompt": "hi", "image": tmp_path / "b.png"}),
        prompt_digest(Prompt("hi", (picture,))),
        prompt_digest(Prompt("hi", (picture.reshape(1, 4, 3),))),
        prompt_digest(Prompt("hi", (picture, picture))),
    ]
    assert len(set(of)) == len(of)
    one = {"prompt": "hi", "image": str(tmp_path / "a.png")}
    assert prompt_digest(one) == prompt_digest({"prompt": "hi", "images": [tmp_path / "a.png"]})
    assert prompt_digest({"prompt": "hi", "image": tmp_path / "none.png"}) == ""
    assert prompt_digest(7) == ""


@pytest.mark.parametrize("one", ["how do I", {"prompt": "how", "image": "a.png"}, Prompt("how do I", ("a.png",))])
def test_a_prompt_in_place_of_a_list_is_not_taken_apart(decoder, guard, one):
    cascade = Cascade(guard, len)
    asked = (
        lambda: measure(decoder, one, ReadOut()), lambda: guard.check(one), lambda: cascade.calibrate(one),
        lambda: guard.search(one, safe(10)), lambda: guard.search(unsafe(10), one),
    )  # fmt: skip
    for ask in asked:
        with pytest.raises(TypeError, match=r"expected a list of prompts, got one .*; put it in a list"):
            ask()


def test_pictures_that_differ_in_their_palette_alone_have_digests_of_their_own():
    image = pytest.importorskip("PIL.Image")
    red, green = image.new("P", (2, 2)), image.new("P", (2, 2))
    red.putpalette([255, 0, 0])
    green.putpalette([0, 255, 0])
    assert prompt_digest({"prompt": "hi", "image": red}) != prompt_digest({"prompt": "hi", "image": green})

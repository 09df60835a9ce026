"""The linear read-out: what fits together, what it scores, and what is taken from a guard."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from outrider.monitor import ExportError, NotReadyError, ProfileError
from outrider.runtime.in_graph.heads.read_out import LinearReadOut, read_out_of


def test_the_score_is_the_weighted_sum_of_the_chosen_heads():
    heads = np.arange(24, dtype=np.float32).reshape(1, 3, 2, 4)
    read_out = LinearReadOut([(2, 1), (0, 0)], [[1, 0, 0, 0], [0, 0, 0, 2]], 0.5, 9, 3, 2)
    assert read_out.scores(heads).tolist() == [20 + 2 * 3 + 0.5]
    assert (read_out.head_dim, read_out.width, read_out.weights.dtype) == (4, 8, np.float32)
    assert read_out_of(read_out) is read_out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones((2, 4))}, "expected a row of weights for each of 1 heads, got"),
        ({"weights": np.ones(4)}, "expected a row of weights for each of 1 heads, got"),
        ({"chosen": [], "weights": np.ones((0, 4))}, "expected a row of weights for each of 0 heads"),
        ({"chosen": [(0, 1), (0, 1)], "weights": np.ones((2, 4))}, "expected each head once"),
        ({"chosen": [(3, 0)]}, r"expected heads of 3 layers with 2 heads, got \(3, 0\)"),
        ({"chosen": [(0, -1)]}, r"expected heads of 3 layers with 2 heads, got \(0, -1\)"),
        ({"bias": np.nan}, "expected weights, bias and threshold that are finite"),
        ({"threshold": 1e39}, "expected weights, bias and threshold that are finite"),
        ({"threshold": np.inf}, "expected weights, bias and threshold that are finite"),
    ],
)
def test_numbers_that_do_not_fit_together(change, message):
    given = {"chosen": [(0, 0)], "weights": np.ones((1, 4)), "bias": 0.0, "threshold": 1.0, "layers": 3, "heads": 2}
    with pytest.raises(ExportError, match=message):
        LinearReadOut(**{**given, **change})


def test_a_guard_and_its_file_give_the_same(guard, guard_file, prompts):
    of_guard, of_file = read_out_of(guard), read_out_of(guard_file)
    decoder = guard.decoder
    heads = np.concatenate([decoder.prefill(decoder.encode([prompt])).heads for prompt in prompts["new"]])
    expected = guard.scores(prompts["new"])
    for read_out in (of_guard, of_file):
        np.testing.assert_allclose(read_out.scores(heads), expected, rtol=1e-4, atol=1e-5)
        assert (read_out.layers, read_out.heads, read_out.head_dim) == (2, 4, 16)
        assert (read_out.chosen, read_out.threshold) == (guard.chosen, guard.threshold)
    sha256 = hashlib.sha256(guard_file.read_bytes()).hexdigest()
    digest = of_file.facts["profile_digest"]
    assert guard_file.read_bytes().count(digest.encode()) == 1
    assert of_file.facts == {**of_guard.facts, "profile": sha256, "profile_digest": digest}
    assert of_file.facts["decoder"]["fingerprint"] == decoder.fingerprint
    assert (of_file.facts["n"], of_file.facts["calibrated"]) == (24, "transformers, float32")


@pytest.mark.parametrize(("statistic", "got"), [("last_query", "LastQuery|last_query"), ("ranges", "kind='ranges'")])
def test_what_is_not_linear_is_refused_with_the_reason(decoder, prompts, tmp_path, statistic, got):
    from outrider.monitor.heads import HeadGuard, ReadOut

    guard = HeadGuard(decoder, ReadOut(kind="ranges") if statistic == "ranges" else statistic, heads=1)
    guard.search(prompts["unsafe"], prompts["safe"], permutations=1)
    guard.calibrate(prompts["held"])
    guard.save(tmp_path / "guard.outrider")
    for form in (guard, tmp_path / "guard.outrider"):
        with pytest.raises(ExportError, match=f"only a linear read-out .* expected a read-out of kind lda.*({got})"):
            read_out_of(form)


def test_a_guard_without_a_threshold_and_files_of_another_kind(decoder, guard, guard_file, prompts, tmp_path):
    from outrider.monitor.heads import HeadGuard

    searched = HeadGuard(decoder, heads=1)
    searched.search(prompts["unsafe"], prompts["safe"], permutations=1)
    searched.save(tmp_path / "guard.outrider")
    for form in (searched, tmp_path / "guard.outrider"):
        with pytest.raises(NotReadyError, match="expected a calibrated guard, got one without a threshold"):
            read_out_of(form)
    damaged = bytearray(guard_file.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "damaged.outrider").write_bytes(damaged)
    with pytest.raises(ProfileError, match="altered"):
        read_out_of(tmp_path / "damaged.outrider")
    with pytest.raises(FileNotFoundError):
        read_out_of(tmp_path / "none.outrider")


def test_a_cascade_and_facts_of_another_form_are_refused(guard_file, guard, tmp_path):
    from outrider.monitor.heads import Cascade
    from outrider.monitor.heads.files import pack_guard, read_packed, write_packed

    path = tmp_path / "other.outrider"
    contents = read_packed(guard_file)
    facts, tensors = contents.facts, contents.arrays
    write_packed(path, {"format": 2, "kind": "heads", "class": "Cascade", "first": pack_guard(guard)[0]}, tensors)
    for form in (path, Cascade(guard, len)):
        with pytest.raises(ExportError, match="expected one guard, got a cascade"):
            read_out_of(form)
    for name in ("calibration", "statistic", "chosen", "decoder"):
        write_packed(path, {key: value for key, value in facts.items() if key != name}, tensors)
        with pytest.raises(ProfileError, match=f"a damaged one: no '{name}'"):
            read_out_of(path)
    write_packed(path, facts | {"calibration": facts["calibration"] | {"judged": 0}}, tensors)
    with pytest.raises(ProfileError, match="flagged of 0"):
        read_out_of(path)

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from benchmarks.heads import features
from benchmarks.heads.features import measured

TEXTS = ["how do i kill a process", "how do i shoot a balloon", "kill a person"]


def test_what_is_measured_is_what_the_model_says(decoder, tmp_path):
    together = measured(decoder, TEXTS, folder=tmp_path)
    found = measured(decoder, [TEXTS[2]], folder=tmp_path / "alone")
    inputs = decoder.encode([TEXTS[2]])
    seen = []
    hook = decoder.model.model.layers[0].mlp.register_forward_hook(lambda _m, _i, out: seen.append(out[0, -1]))
    with torch.no_grad():
        out = decoder.model(**inputs, output_hidden_states=True)
    hook.remove()
    assert together.length.tolist() == [9, 9, 6]
    for name in ("states", "mlp", "refusal", "words"):  # padding rounds in another order
        np.testing.assert_allclose(getattr(together, name)[2], getattr(found, name)[0], atol=1e-5)
    np.testing.assert_allclose(found.states[0, 1], out.hidden_states[1][0, -1], atol=1e-6)
    np.testing.assert_allclose(found.mlp[0, 0], seen[0], atol=1e-6)
    words = decoder.processor
    first = [words(w, add_special_tokens=False)["input_ids"][0] for w in features.REFUSALS]
    np.testing.assert_allclose(found.refusal[0], out.logits[0, -1].log_softmax(-1)[first], atol=1e-5)
    logits = out.logits[0, -1]
    chosen = sorted({words(w, add_special_tokens=False)["input_ids"][0] for w in features.REFUSAL_WORDS})
    direction = torch.zeros_like(logits)
    direction[chosen] = 1
    cosine = torch.nn.functional.cosine_similarity(logits, direction, dim=0)
    assert found.words[0, -1] == pytest.approx(float(cosine), abs=1e-5)
    assert (together.angles > 0).all()


def test_a_prompt_is_run_once(decoder, tmp_path, monkeypatch):
    first = measured(decoder, TEXTS, angles=False, folder=tmp_path)
    assert np.isnan(first.angles).all()
    whole = measured(decoder, [*TEXTS, "kill a balloon"], folder=tmp_path)  # its angles are wanted now
    assert np.isfinite(whole.angles).all()
    monkeypatch.setattr(decoder, "prefill", None)
    again = measured(decoder, TEXTS[::-1], folder=tmp_path)
    np.testing.assert_array_equal(again.heads, whole.of(TEXTS[::-1]).heads)
    with pytest.raises(KeyError):
        again.of(["a prompt of another set"])


def test_another_model_has_another_file(decoder, tmp_path):
    measured(decoder, TEXTS[:1], folder=tmp_path)
    with torch.no_grad():
        decoder.model.model.norm.weight.mul_(2)
    del decoder.fingerprint  # computed once for each decoder
    measured(decoder, TEXTS[:1], folder=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 2

from __future__ import annotations

import json

import numpy as np

from benchmarks.heads.testbed import build, model, pictures
from benchmarks.heads.testbed.concepts import CONCEPTS
from outrider.networks.transformers import Prompt, open_decoder

SHAPE = model.Shape(width=16, layers=1, heads=2)


def test_a_build_is_an_ordinary_folder_and_follows_from_its_seed(language, things, tmp_path, monkeypatch):
    monkeypatch.setattr(build.encoder, "BATCH", 4)
    monkeypatch.setattr(pictures, "split", lambda seed: dict.fromkeys(pictures.SHARES, things))
    facts = {
        name: build.build(language, tmp_path / name, tower_steps=2, lora_steps=2, shape=SHAPE, seed=seed)
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    }
    assert facts["one"]["fingerprint"] == facts["again"]["fingerprint"] != facts["other"]["fingerprint"]
    decoder = open_decoder(tmp_path / "one")
    assert decoder.fingerprint == facts["one"]["fingerprint"]
    picture = np.zeros((32, 32, 3), np.uint8)
    assert np.isfinite(decoder.prefill(decoder.encode([Prompt("Name this.", (picture,))])).logits).all()
    assert json.loads((tmp_path / "one" / "facts.json").read_text(encoding="utf-8")) == facts["one"]
    assert facts["one"]["named"].keys() == facts["one"]["recognised"].keys() == {c.word for c in CONCEPTS}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "one", "other"]

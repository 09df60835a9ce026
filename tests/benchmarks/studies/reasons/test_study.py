"""The study's parts on a tiny model: done once, done again where the size is another one."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

pytest.importorskip("torch")
if any(find_spec(name) is None for name in ("transformers", "accelerate", "peft", "trl", "datasets")):
    pytest.skip("needs the extra lab", allow_module_level=True)

from benchmarks.studies.reasons import study
from benchmarks.studies.reasons.prompts import SETS, prompts
from benchmarks.studies.reasons.study import KINDS, Size, Study
from benchmarks.studies.reasons.tables import reasons
from benchmarks.studies.reasons.tuning import Setting

SIZE = Size((20,), (0,), (3,) * 4, 2, Setting(steps=2, batch=2, rate=1e-3, below=1))


def test_all_parts_are_done_once_and_hold_judgements_alone(decoder, folder, tmp_path):
    opened = []

    def base():
        opened.append(1)
        return decoder

    pools = prompts(folder, SIZE.most)
    figures = Study(SIZE, tmp_path, pools, base, name="tiny").figures([0])
    assert opened == [1]
    assert {name: len(figures["base"][name]) for name in SETS} == dict.fromkeys(SETS, 3)
    assert sum(figures["rewriting"].values()) == 2
    for kind in KINDS:
        stored = json.loads((tmp_path / f"{kind}-20-0.json").read_text())
        assert set(stored) == {"refused", "key", "seconds"}
        assert all(isinstance(one, bool) for name in SETS for one in stored["refused"][name])
        assert figures["refused"][kind]["20"] == [stored["refused"]]
    again = Study(SIZE, tmp_path, pools, lambda: pytest.fail("opened"), name="tiny").figures([0])
    assert again == figures
    assert len(reasons(json.loads(json.dumps(figures)))) == 4


def test_a_part_of_another_size_is_done_again(folder, tmp_path, monkeypatch):
    pools = prompts(folder, SIZE.most)
    old = {"key": {"model": "tiny"}, "refused": {}, "rewriting": {}, "seconds": 1.0}
    (tmp_path / "base.json").write_text(json.dumps(old))
    with pytest.raises(ZeroDivisionError):
        Study(SIZE, tmp_path, pools, lambda: 1 / 0, name="tiny").untuned()
    monkeypatch.setattr(study.Study, "_judged", lambda *_: {"unsafe": [True]})
    monkeypatch.setattr(study.Study, "_rewriting", lambda *_: {})
    monkeypatch.setattr(study, "plain", lambda model: model)
    monkeypatch.setattr(study, "Decoder", lambda *_: None)
    made = Study(SIZE, tmp_path, pools, type("Base", (), {"model": 1, "processor": 2}), name="tiny")
    assert made.untuned()["refused"] == {"unsafe": [True]}
    assert json.loads((tmp_path / "base.json").read_text())["key"]["tested"] == pools.tested

"""One seed of tiny models: what is trained, scored, kept and not done again, and the tables of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from benchmarks.studies.testbed import tables, work
from benchmarks.studies.testbed.sizes import FULL, LARGE, METHODS, Sizes
from benchmarks.tables import Table
from outrider.networks.tuning import Schedule

TINY = Sizes(1, Schedule(2, 2, 1e-3), Schedule(1, 4, 1e-3), tested=2, attacked=1, shape=(1, 2, 16))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studied")
    return folder, work.of_seed(folder, 1, TINY, "cpu")


def test_small_rates_are_a_tenth_of_the_medium_ones():
    for sizes in (FULL, LARGE):
        assert sizes.tuned_at("M").rate == pytest.approx(10 * sizes.tuned_at("S").rate)
        assert sizes.tuned_at("S") == replace(sizes.tuning, rate=sizes.tuning.rate / 10)


def test_a_base_and_six_models_are_trained_and_scored(done):
    folder, found = done
    names = ["base", *(f"{method}-{rate}" for method in METHODS for rate in "MS")]
    assert list(found["models"]) == list(found["trained"]) == names
    for name in names:
        assert (folder / name / "model.safetensors").is_file()
        assert {*work.KINDS, "before adversary", "adversary"} == set(found["models"][name])
    assert found["trained"]["base"]["sequences"] == 4
    assert found["trained"]["DPO-S"]["rate"] == pytest.approx(1e-4)


def test_what_is_there_is_taken_as_it_is_and_what_is_missing_is_made(done, monkeypatch):
    folder, found = done
    stored = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(found))
    with monkeypatch.context() as patched:
        patched.setattr(work, "pretrain", None)
        assert work.of_seed(folder, 1, TINY, "cpu") == stored
    (folder / "figures.json").unlink()
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    again = work.of_seed(folder, 1, TINY, "cpu")
    assert again["models"] == found["models"]
    assert stamps == {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_the_tables_show_every_model_kind_and_claim(done):
    parts = tables.testbed({"seeds": {"1": done[1]}})
    shares, claims, training = (part for part in parts if isinstance(part, Table))
    assert [row[0] for row in shares.rows] == [*work.KINDS, "before adversary", "adversary"]
    assert shares.header[1:] == list(done[1]["models"])
    assert {row[-1] for row in claims.rows} <= {"held", "partly", "not held"}
    assert [row[0] for row in training.rows] == list(done[1]["models"])

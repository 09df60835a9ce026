"""The study on tiny models of the testbed: measured once, and again only when something has changed."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("matplotlib")

from benchmarks.studies.mechanism import study
from outrider.networks.testbed import Language, new_model

TINY = study.Sizes(count=8, answered=4, alphas=(1.0, 1.5), shuffles=2)


@pytest.fixture(scope="module")
def testbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("testbed")
    for i, name in enumerate(["base", *(study.name_of(m, r) for m in study.METHODS for r in study.RATES)]):
        new_model(i, layers=3, heads=2, width=8).save_pretrained(folder / "seed-0" / name)
        Language(0).save(folder / "seed-0" / name)
    return folder


@pytest.fixture(scope="module")
def folder(testbed, tmp_path_factory):
    """Figures of one seed."""
    found = tmp_path_factory.mktemp("figures")
    study.of_seed(found, testbed, 0, TINY, "cpu")
    return found


def test_a_seed_that_is_done_is_not_measured_again(folder, testbed, monkeypatch):
    kept = json.loads((folder / "seed-0.json").read_text())
    assert (folder / "seed-0.html").stat().st_size > 10_000
    assert len(kept["figures"]["models"]) == 7
    assert kept["figures"]["kinds"]["JB-MisGen"] == 8
    monkeypatch.setattr(study, "measured", lambda *_: pytest.fail("measured again"))
    assert study.of_seed(folder, testbed, 0, TINY, "cpu") == kept


@pytest.mark.parametrize("what", ["sizes", "models"])
def test_other_sizes_and_models_are_measured(folder, testbed, tmp_path, monkeypatch, what):
    (tmp_path / "seed-0.json").write_text((folder / "seed-0.json").read_text())
    sizes = TINY
    if what == "sizes":
        sizes = study.Sizes(count=9, answered=4, alphas=(1.0, 1.5), shuffles=2)
    else:
        stamp = study._stamp
        monkeypatch.setattr(study, "_stamp", lambda path: [*stamp(path), "anew"])

    class AgainError(Exception):
        pass

    def again(*_):
        raise AgainError

    monkeypatch.setattr(study, "measured", again)
    with pytest.raises(AgainError):
        study.of_seed(tmp_path, testbed, 0, sizes, "cpu")


def test_the_figures_give_tables(folder):
    part = json.loads((folder / "seed-0.json").read_text())
    figures = study.gathered({0: part}, quick=True)
    assert figures["minutes"] == part["minutes"]
    parts = study.mechanism(json.loads(json.dumps(figures)))
    assert {row[1] for row in parts[1].rows} <= {"partly", "not held"}


def test_models_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="base: expected a model of the testbed"):
        study.folders(tmp_path, 0)

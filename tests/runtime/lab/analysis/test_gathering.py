"""The figures of an analysis against the measures asked one by one, on tiny models."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.monitor import mechanism  # noqa: E402
from outrider.runtime.lab.analysis import AnalysisPlan, analyse  # noqa: E402
from outrider.runtime.lab.analysis.gathering import plain  # noqa: E402

from .examples import ALPHAS, PLAN, analysed, inputs, models  # noqa: E402


@pytest.fixture(scope="module")
def found():
    return analysed()


def test_the_figures_are_json_and_name_what_was_measured(found):
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found["models"]) == ["base", "SSFT", "DPO"]
    assert found["kinds"] == {"safe": 8, "unsafe": 8, "JB-MisGen": 8}
    assert found["layers"] == 2
    assert found["plan"]["alphas"] == list(ALPHAS)
    assert found["parameters"] == sum(p.numel() for p in models()[0].parameters())


def test_clusters_and_slopes_are_those_of_the_measures(found):
    base, tuned = models()
    for name, model in {"base": base, **tuned}.items():
        outputs = {kind: mechanism.read(model, of, positions=3).outputs for kind, of in inputs().items()}
        want = mechanism.separation(
            outputs["safe"], outputs["unsafe"], {"JB-MisGen": outputs["JB-MisGen"]}, shuffles=4, seed=0
        )
        got = found["models"][name]["separation"]
        np.testing.assert_allclose(got["distance"], want.distance, rtol=1e-4)
        np.testing.assert_allclose(got["position"]["JB-MisGen"], want.position("JB-MisGen"), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(np.array(got["tau"]["safe"])[:, 2], np.median(want.tau["safe"], 1), rtol=1e-4)
        slopes = mechanism.lipschitz(model, inputs()["unsafe"])
        assert found["models"][name]["lipschitz"]["unsafe"]["median"] == pytest.approx(np.median(slopes), rel=1e-4)


def test_each_change_of_a_matrix_has_its_figures(found):
    base, tuned = models()
    assert "weights" not in found["models"]["base"]
    rows = found["models"]["SSFT"]["weights"]
    changes = mechanism.weight_changes(base, tuned["SSFT"])
    assert [(row["layer"], row["name"]) for row in rows] == [(one.layer, one.name) for one in changes]
    want = mechanism.outside(changes[1], draws=2)
    assert rows[1]["outside"]["share"] == pytest.approx(want.share, rel=1e-4)
    fed = {kind: mechanism.read(base, of, positions=3, matrices=True).inputs for kind, of in inputs().items()}
    lengths = mechanism.moved(changes[0].delta, torch.tensor(fed["unsafe"][changes[0].name]))
    assert rows[0]["effect"]["moved"]["unsafe"] == pytest.approx(float(lengths.median()), rel=1e-4)


def test_the_behaviour_is_asked_of_every_model_and_alpha(found):
    """What it says of a model is the sum of its parameters: that of the base moves to that of the tuned one."""

    def total(name):
        return found["models"][name]["behaviour"]["safe"]["refused"]

    rows = found["models"]["DPO"]["scaling"]
    assert [row["alpha"] for row in rows] == list(ALPHAS)
    got = [row["behaviour"]["safe"]["refused"] for row in rows]
    want = [total("base") + alpha * (total("DPO") - total("base")) for alpha in ALPHAS]
    np.testing.assert_allclose(got, want, rtol=1e-3)
    assert found["models"]["DPO"]["random"]["behaviour"]["safe"]["refused"] != pytest.approx(total("DPO"), rel=1e-6)


def test_what_is_not_asked_for_is_left_out():
    base, tuned = models()
    plan = AnalysisPlan(positions=1, shuffles=0, random_models=False, draws=1)
    seen = []
    found = analyse(base, {"one": tuned["SSFT"]}, inputs(), plan, progress=lambda *of: seen.append(of))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    model = found["models"]["one"]
    assert model["scaling"] == []
    assert model["separation"]["shuffled"] == {}
    assert not {"random", "behaviour"} & model.keys()


def test_the_matrices_of_the_attention_come_when_asked_for():
    base, tuned = models()
    plan = AnalysisPlan(positions=1, shuffles=0, random_models=False, draws=1, attention=True)
    rows = analyse(base, {"one": tuned["SSFT"]}, inputs(), plan)["models"]["one"]["weights"]
    assert {row["name"].split(".", 1)[1] for row in rows} == {
        "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj",
    }  # fmt: skip


def test_wrong_inputs_and_plans_are_refused():
    base, tuned = models()
    with pytest.raises(ValueError, match="none that are unsafe"):
        analyse(base, tuned, {"safe": inputs()["safe"]}, PLAN)
    with pytest.raises(ValueError, match="none of them named 'base'"):
        analyse(base, {"base": base}, inputs(), PLAN)
    with pytest.raises(ValueError, match="one or more tuned"):
        analyse(base, {}, inputs(), PLAN)
    for wrong in ({"positions": 0}, {"batch": 0}, {"shuffles": -1}, {"draws": 0}, {"alphas": (0, 2.1)}):
        with pytest.raises(ValueError, match="expected"):
            AnalysisPlan(**wrong)


def test_numbers_that_are_not_finite_are_none():
    assert plain({"a": np.array([1.23456789, np.inf]), "b": (math.nan, 2, True, None, "x")}) == {
        "a": [1.23457, None], "b": [None, 2, True, None, "x"],
    }  # fmt: skip

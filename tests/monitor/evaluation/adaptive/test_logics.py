"""Twins of logics: the judge's scores, and pressures that bound them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor import Logic, make_logic  # noqa: E402
from outrider.monitor.data.groups import Groups  # noqa: E402
from outrider.monitor.evaluation.adaptive import logic_twin, logics, twin_of_logic  # noqa: E402

GROUPS = np.array([0, 0, 0, 1, 2, 2])
CASES = (
    ("sum", {}), ("normalised", {}), ("z", {}), ("z", {"log": False}), ("max_z", {}), ("votes", {}),
    ("votes", {"k": 3}), ("votes", {"k": 0}), ("smallest_p", {}), ("smallest_p", {"log": False}), ("harmonic_p", {}),
)  # fmt: skip


def deviations(n, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    found = scale * rng.gamma(2.0, 3.0, (n, len(GROUPS)))
    found[:, 0] = np.round(found[:, 0])  # counts, of which many are equal
    return found.astype(np.float32)


def test_every_logic_has_a_case():
    of_frames = {cls.name for cls in Logic.__subclasses__() if not cls.of_places}
    assert {name for name, _ in CASES} == of_frames == set(logics.LOGICS)


@pytest.mark.parametrize(("name", "settings"), CASES)
@pytest.mark.parametrize("held_out", [300, 2])
def test_the_score_is_that_of_the_logic(name, settings, held_out):
    logic = make_logic(name, **settings)
    scales = logic.fit(deviations(held_out, 1), GROUPS)
    join = logic_twin(logic, scales, GROUPS, torch.device("cpu"))
    near = np.concatenate([deviations(200, 2), deviations(50, 3, 4.0), np.zeros((1, len(GROUPS)), np.float32)])
    tensor = torch.from_numpy(near).double().requires_grad_()
    score, pressures = join(tensor)
    expected = logic.score(scales, near, GROUPS)
    np.testing.assert_allclose(score.detach(), expected, rtol=1e-9, atol=1e-12)
    (gradient,) = torch.autograd.grad(score.sum(), tensor)
    assert (gradient >= 0).all()
    assert (gradient[200:250].sum(1) > 0).all() or held_out == 2
    assert (score <= pressures.amax(1) + 1e-9).all()


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("held_out", [300, 2])
def test_parts_given_the_confidence_are_those_of_the_logic(held_out, log):
    groups = Groups(GROUPS, np.array([True, True, True, False, True, False]), 3)
    logic = make_logic("harmonic_p", log=log)
    known = deviations(held_out, 1)
    known[:, 3] = np.maximum(known[:, 3], 5)  # knots at one place
    scales = logic.fit(known, groups)
    near = np.concatenate([deviations(200, 2), deviations(50, 3, 4.0), np.zeros((1, len(GROUPS)), np.float32)])
    near[:8, 3] = np.expm1(scales["given_at"]) if log else scales["given_at"]
    tensor = torch.from_numpy(near).double().requires_grad_()
    score, pressures = logic_twin(logic, scales, groups, torch.device("cpu"))(tensor)
    np.testing.assert_allclose(score.detach(), logic.score(scales, near, groups), rtol=1e-9, atol=1e-12)
    assert pressures.shape == (251, 8)  # three sums and two highest, and of what is given two and one
    (gradient,) = torch.autograd.grad(score.sum(), tensor)
    assert torch.isfinite(gradient).all()
    assert (gradient[:, [0, 1, 2, 4, 5]] >= 0).all()  # what is given falls as the network is less sure
    assert (score <= pressures.amax(1) + 1e-9).all()


def test_a_logic_without_a_twin_is_refused_by_name_and_can_be_registered(monkeypatch):
    monkeypatch.setattr(logics, "LOGICS", dict(logics.LOGICS))
    logic = make_logic("max_z")
    scales = logic.fit(deviations(30), GROUPS)
    del logics.LOGICS["max_z"]
    with pytest.raises(ValueError, match=r"expected a logic with a twin, harmonic_p.*got 'max_z'"):
        logic_twin(logic, scales, GROUPS, torch.device("cpu"))
    twin_of_logic("max_z")(lambda _logic, _scales, _ends: lambda values: (values[:, 0], values[:, :1]))
    join = logic_twin(logic, scales, GROUPS, torch.device("cpu"))
    assert join(torch.ones(2, 6))[0].tolist() == [1, 1]

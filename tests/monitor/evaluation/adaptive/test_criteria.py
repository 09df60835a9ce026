"""Twins of criteria: the judge's deviations, and gradients that lower them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.coverage import Criterion, criterion_names, parse_criterion  # noqa: E402
from outrider.monitor.evaluation.adaptive import criteria, criterion_twin, through, twin_of_criterion  # noqa: E402

CLASSES, NEURONS = 3, 8
CASES = (
    "single_range", "single_range(quantile=0.05)", "single_range(magnitude=True)", "multi_range(sections=6)",
    "multi_range(sections=1)", "multi_range(sections=6, cost=log)", "neuron_rank(top=2)", "nearest_neighbour(k=3)",
    "pattern", "box", "gaussian", "bitmap", "mahalanobis", "relative_mahalanobis", "softmax", "margin", "energy",
    "head(channels=4)", "class_mahalanobis", "neighbours(centres=5)", "norm",
    "neighbours(k=3, samples=40, normalise=False)",
)  # fmt: skip


def samples(n, seed=0, spread=1.0):
    """Values around a middle for each class; some of them 0, as behind a ReLU."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    middles = np.random.default_rng(99).normal(0.6, 1, (CLASSES, NEURONS))
    values = np.maximum(middles[labels] + spread * rng.normal(0, 0.5, (n, NEURONS)), 0).astype(np.float32)
    return np.ascontiguousarray(values), labels


def learned(criterion, neurons=NEURONS, **of):
    signature = criterion.empty(neurons, CLASSES)
    criterion.observe(signature, *samples(400, 1, **of))
    return signature


def test_every_criterion_of_the_catalogue_has_a_case():
    ours = {name for name in criterion_names() if name in criteria.CRITERIA}
    assert {parse_criterion(case).name for case in CASES} == ours
    bundled = {
        cls.name for cls in Criterion.__subclasses__() if cls.__module__.startswith("outrider.coverage.criteria")
    }
    assert bundled <= ours


@pytest.mark.parametrize("text", CASES)
def test_the_value_is_that_of_the_criterion_and_the_gradient_lowers_it(text):
    criterion = parse_criterion(text)
    signature = learned(criterion)
    twin = criterion_twin(criterion, signature, torch.device("cpu"))
    values, labels = samples(200, 2, spread=3.0)
    expected = criterion.deviation(signature, values, labels)
    of_scores = text in ("softmax", "margin")
    given = torch.from_numpy(values.argmax(1) if of_scores else labels)
    tensor = torch.from_numpy(values).requires_grad_()
    found = twin(tensor, given)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-4, atol=1e-6)

    deviating = expected > np.quantile(expected, 0.5)
    moved = tensor.detach().clone()
    for _ in range(40):
        moved.requires_grad_()
        (gradient,) = torch.autograd.grad(twin(moved, given).sum(), moved)
        assert torch.isfinite(gradient).all()
        length = gradient.norm(dim=1, keepdim=True)
        moved = (moved - 0.05 * gradient / (length + 1e-9)).detach()
    after = criterion.deviation(signature, np.ascontiguousarray(moved.numpy()), labels)
    usual = criterion.deviation(signature, *samples(200, 3)).mean()
    assert after[deviating].mean() - usual < 0.6 * (expected[deviating].mean() - usual)


@pytest.mark.parametrize("name", ["softmax", "margin"])
@pytest.mark.parametrize("scores", ["logits", "probabilities"])
def test_confidence_of_probabilities_and_of_a_class_that_is_not_the_highest(name, scores):
    criterion = dataclasses.replace(parse_criterion(name), scores=scores)
    logits = np.random.default_rng(3).normal(0, 2, (50, CLASSES)).astype(np.float32)
    rows = torch.from_numpy(logits).softmax(1).numpy() if scores == "probabilities" else logits
    signature = criterion.empty(CLASSES, CLASSES)
    criterion.observe(signature, rows, rows.argmax(1))
    twin = criterion_twin(criterion, signature, torch.device("cpu"))
    tensor = torch.from_numpy(rows).requires_grad_()
    lowest = tensor.detach().argmin(1)
    found = twin(tensor, lowest)
    expected = criterion.deviation(signature, rows, rows.argmax(1))
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-4)
    (gradient,) = torch.autograd.grad(found.sum(), tensor)
    assert (gradient.gather(1, lowest[:, None]) < 0).all()


def test_a_class_that_was_never_observed_deviates_infinitely_without_a_gradient():
    criterion = parse_criterion("single_range")
    signature = criterion.empty(NEURONS, CLASSES)
    values, labels = samples(100)
    criterion.observe(signature, values[labels > 0], labels[labels > 0])
    tensor = torch.from_numpy(values).requires_grad_()
    found = criterion_twin(criterion, signature, torch.device("cpu"))(tensor, torch.from_numpy(labels))
    np.testing.assert_array_equal(found.detach(), criterion.deviation(signature, values, labels))
    (gradient,) = torch.autograd.grad(found[torch.isfinite(found)].sum(), tensor)
    assert torch.isfinite(gradient).all()


def test_a_criterion_without_a_twin_is_refused_by_name_and_can_be_registered(monkeypatch):
    monkeypatch.setattr(criteria, "CRITERIA", dict(criteria.CRITERIA))
    made = parse_criterion("mahalanobis")
    signature = learned(made)
    del criteria.CRITERIA["mahalanobis"]
    with pytest.raises(ValueError, match=r"expected a criterion with a twin, bitmap, box.*got 'mahalanobis'"):
        criterion_twin(made, signature, torch.device("cpu"))
    twin_of_criterion("mahalanobis")(lambda _criterion, _tables, _device: lambda values, _labels: values.sum(1))
    values = torch.ones(2, NEURONS)
    twin = criterion_twin(made, signature, torch.device("cpu"))
    assert twin(values, torch.zeros(2, dtype=torch.int64)).tolist() == [NEURONS] * 2


def test_through_has_the_value_of_one_and_the_gradient_of_the_other():
    x = torch.tensor([2.0], requires_grad=True)
    y = through(torch.floor(x * 10), x * 3)
    y.backward()
    assert (y.item(), x.grad.item()) == (20, 3)


@pytest.mark.parametrize("text", [case for case in CASES if "mahalanobis" not in case])
def test_the_value_is_that_of_the_criterion_far_out_too(text):
    criterion = parse_criterion(text)
    signature = learned(criterion)
    values, labels = samples(40, 5)
    values *= np.float32(1e8)
    expected = criterion.deviation(signature, values, labels)
    twin = criterion_twin(criterion, signature, torch.device("cpu"))
    given = torch.from_numpy(values.argmax(1) if text in ("softmax", "margin") else labels)
    got = twin(torch.from_numpy(values), given).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5)

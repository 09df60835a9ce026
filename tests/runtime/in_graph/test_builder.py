"""Criteria and logics as nodes, held against the kernels and against numpy, in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402

from outrider.coverage import CoverageBitmap, Gaussian, Mahalanobis, MultiRange, SingleRange, Softmax  # noqa: E402
from outrider.monitor import MaxZ, Normalised, SmallestP, Sum, Votes, ZScore  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402
from outrider.runtime.in_graph import criteria, logics, operators  # noqa: E402
from outrider.runtime.in_graph.operators import Operators  # noqa: E402

CLASSES = 3
FINITE = st.floats(-4, 4, width=32) | st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 1e-38, 3e38, -1e38, 1e9, 0.25])
ANY = FINITE | st.sampled_from([np.nan, np.inf, -np.inf])
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def session(build, opset=17, columns=8):
    """What `build(operators)` adds behind y = x, (n, columns) float32, beside an input `prediction` (n,) int64."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "test",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", columns]),
            helper.make_tensor_value_info("prediction", TensorProto.INT64, ["n"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", columns])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)
    behind = OnnxGraph(made.SerializeToString())
    fragment = behind.fragment()
    fragment.output(build(Operators(fragment)), "float32")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(behind.with_fragment(fragment), options, providers=["CPUExecutionProvider"])


def deviations(criterion, signatures, values, labels, opset=17, by_class=True, order=None):
    """(n, columns of `signatures`) as the graph has them, with frames lost as the builder loses them."""

    def build(ops):
        prediction = "prediction" if by_class else None
        found = criteria.prepare(ops, criteria.Group(criterion, signatures, prediction, order))("y")
        return ops.settled(ops("Add", found, ops.not_finite(ops.reduce("ReduceSum", "y"))))

    return session(build, opset, values.shape[1]).run(None, {"x": values, "prediction": labels})[1]


def learned(criterion, values, labels, sizes):
    parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
    signatures = [criterion.empty(size, CLASSES) for size in sizes]
    for signature, part in zip(signatures, parts, strict=True):
        criterion.observe(signature, np.ascontiguousarray(part), labels)
    return signatures


def outside(criterion, signatures, values, labels):
    """As the kernels have them; a frame with NaN or Inf is lost in every column."""
    parts = np.split(values, np.cumsum([s.neurons for s in signatures])[:-1], axis=1)
    columns = [criterion.deviation(s, part, labels) for s, part in zip(signatures, parts, strict=True)]
    found = np.stack(columns, axis=1)
    found[~np.isfinite(values).all(axis=1)] = np.inf
    return found


def assert_alike(got, expected, values, rtol=0.0):
    """But for finite frames whose sum may overflow: they may be lost."""
    with np.errstate(over="ignore"):
        sums = np.abs(values, dtype=np.float64).sum(axis=1)
    sure = ~(np.isfinite(sums) & (sums > np.finfo(np.float32).max))
    np.testing.assert_allclose(got[sure], expected[sure], rtol=rtol)
    assert (np.isclose(got[~sure], expected[~sure], rtol=rtol) | np.isinf(got[~sure])).all()


@st.composite
def lessons(draw, sizes):
    """Trusted values and labels of every class, and new values: some of them trusted ones, with any odd number."""
    width = sum(sizes)
    trusted = draw(arrays.arrays(np.float32, (6, width), elements=FINITE))
    new = draw(arrays.arrays(np.float32, (5, width), elements=ANY))
    keep = draw(arrays.arrays(np.bool_, (5, width)))
    return trusted, np.arange(6) % CLASSES, np.where(keep, trusted[:5], new), np.arange(5) % CLASSES


@pytest.mark.parametrize("opset", [9, 12, 17, 21])
@pytest.mark.parametrize(
    "criterion",
    [SingleRange(), SingleRange(quantile=0.1), CoverageBitmap(), CoverageBitmap(sections=3)],
    ids=lambda criterion: criterion.name,
)
@given(data=st.data())
@QUICK
def test_counts_are_those_of_the_kernels(criterion, opset, data):
    sizes = data.draw(st.sampled_from([(8,), (2, 4), (3, 3), (1, 4, 3)]))
    trusted, labels, new, predicted = data.draw(lessons(sizes))
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    assert_alike(deviations(criterion, signatures, new, predicted, opset), expected, new)


@pytest.mark.parametrize("opset", [9, 12, 21])
@pytest.mark.parametrize("criterion", [MultiRange(sections=5), MultiRange(sections=8, cost="log")], ids=repr)
@given(data=st.data())
@QUICK
def test_sections_are_those_of_the_kernels(criterion, opset, data):
    sizes = data.draw(st.sampled_from([(8,), (2, 4), (1, 4, 3)]))
    trusted, labels, new, predicted = data.draw(lessons(sizes))
    with np.errstate(over="ignore", invalid="ignore"):
        signatures = learned(criterion, trusted, labels, sizes)
        expected = outside(criterion, signatures, new, predicted)
    assert_alike(deviations(criterion, signatures, new, predicted, opset), expected, new, rtol=1e-6)


@pytest.mark.parametrize("sizes", [(40,), (16, 24), (5, 4), (3, 3)])
@pytest.mark.parametrize("criterion", [SingleRange(), CoverageBitmap(), MultiRange(sections=3)], ids=repr)
@pytest.mark.parametrize("largest", [4, operators._LARGEST_MATRIX])
def test_many_neurons_are_summed_as_few_are(criterion, sizes, largest, monkeypatch):
    monkeypatch.setattr(operators, "_LARGEST_MATRIX", largest)
    rng = np.random.default_rng(0)
    trusted = rng.normal(size=(60, sum(sizes))).astype(np.float32)
    new = rng.normal(size=(8, sum(sizes))).astype(np.float32) * 2
    new[3, 0], new[4, -1], new[5, :2] = np.nan, -np.inf, (np.inf, -np.inf)
    labels, predicted = np.arange(60) % CLASSES, np.arange(8) % CLASSES
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    np.testing.assert_allclose(deviations(criterion, signatures, new, predicted), expected, rtol=1e-6)


@pytest.mark.parametrize("sizes", [(5, 4, 7), (3, 3, 3)])
@pytest.mark.parametrize(
    "criterion", [SingleRange(), SingleRange(magnitude=True), CoverageBitmap(), MultiRange(), Mahalanobis()], ids=repr
)
@pytest.mark.parametrize("largest", [4, operators._LARGEST_MATRIX])
def test_columns_come_out_in_the_order_asked_for(criterion, sizes, largest, monkeypatch):
    monkeypatch.setattr(operators, "_LARGEST_MATRIX", largest)
    rng = np.random.default_rng(0)
    trusted = rng.normal(size=(60, sum(sizes))).astype(np.float32)
    new = rng.normal(size=(8, sum(sizes))).astype(np.float32) * 2
    labels, predicted = np.arange(60) % CLASSES, np.arange(8) % CLASSES
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    got = deviations(criterion, signatures, new, predicted, order=[2, 0, 1])
    np.testing.assert_allclose(got[:, [2, 0, 1]], expected, rtol=1e-5)


@pytest.mark.parametrize("criterion", [SingleRange(magnitude=True), Gaussian(), Mahalanobis()], ids=repr)
@pytest.mark.parametrize(("opset", "sizes"), [(9, (16, 24)), (13, (40,)), (18, (5, 3, 32)), (21, (7, 7))])
def test_distances_are_those_of_numpy(criterion, opset, sizes):
    rng = np.random.default_rng(0)
    trusted = rng.normal(size=(200, sum(sizes))).astype(np.float32)
    new = rng.normal(size=(20, sum(sizes))).astype(np.float32) * 2
    new[3, 0], new[4, -1] = np.nan, -np.inf
    labels, predicted = np.arange(200) % CLASSES, np.arange(20) % CLASSES
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    assert np.isinf(expected[3, 0])
    assert np.isinf(expected[4, -1])
    got = deviations(criterion, signatures, new, predicted, opset)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    one = deviations(criterion, signatures, new[::3], predicted[::3], opset, by_class=False)
    np.testing.assert_allclose(one, expected[::3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("opset", [9, 13, 18])
def test_surprise_is_that_of_the_kernel(opset):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(12, 8)).astype(np.float32) * np.logspace(-1, 1.5, 12)[:, None].astype(np.float32)
    logits[11] = 25 * np.eye(8)[2]
    shares = np.exp(logits[:6]) / np.exp(logits[:6]).sum(1, keepdims=True)
    odd = np.zeros((4, 8), np.float32)
    odd[1, 2], odd[2, 3], odd[3, :2] = np.nan, np.inf, 5  # equal ones, NaN, Inf, and two that are equally high
    scores = np.concatenate([logits, shares, odd]).astype(np.float32)
    labels = np.zeros(len(scores), np.int64)
    signature = Softmax().empty(8, 1)
    Softmax().observe(signature, logits, np.zeros(12, np.int64))
    expected = Softmax().deviation(signature, scores, labels)
    got = deviations(Softmax(), [signature], scores, labels, opset)[:, 0]
    np.testing.assert_allclose(got, expected, rtol=2e-5)
    assert expected[:12].min() < 1e-8


LOGICS = [
    Sum(), Normalised(), ZScore(), ZScore(log=False), MaxZ(), MaxZ(log=False), Votes(), Votes(k=2), Votes(k=0),
    SmallestP(), SmallestP(log=False),
]  # fmt: skip


@pytest.mark.parametrize("opset", [9, 18])
@pytest.mark.parametrize("logic", LOGICS, ids=repr)
def test_scores_are_those_of_numpy(logic, opset):
    rng = np.random.default_rng(0)
    groups = np.array([0, 0, 0, 1, 2, 2])
    held_out = rng.gamma(2, 1, (700, 6)).astype(np.float32)
    held_out[:, 1] = rng.integers(0, 4, 700)
    held_out[:, 3] = 10.0 ** rng.uniform(-11, 1, 700)
    held_out[:, 5] = 0
    scales = logic.fit(held_out, groups)
    new = np.concatenate([held_out[:200], rng.gamma(2, 2, (100, 6)), np.zeros((1, 6)), [[50] * 6]]).astype(np.float32)
    expected = logic.score(scales, new, groups)
    found = session(lambda ops: logics.add_score(ops, logic, scales, logics.Deviations("y", groups)), opset, 6)
    got = found.run(None, {"x": new, "prediction": np.zeros(len(new), np.int64)})[1]
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)

"""What forms have in common."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.coverage import Criterion, SingleRange  # noqa: E402
from outrider.monitor.device.forms import FORMS, OfOne, form_of, forms_of, refuse_without_form  # noqa: E402

from .cases import learned  # noqa: E402


def test_every_criterion_of_ours_has_a_form():
    ours = {cls.name for cls in Criterion.__subclasses__() if cls.__module__.startswith("outrider.coverage.criteria")}
    assert ours <= set(FORMS)


@dataclasses.dataclass(frozen=True)
class Furthest(Criterion):
    """The highest neuron, of a third party."""

    name: ClassVar[str] = "furthest_of_tests"

    def _specification(self, neurons, classes):
        return {}

    def _observe(self, arrays, counts, values, labels):
        pass

    def _merge(self, into, other):
        pass

    def _deviation(self, tables, values, labels, out):
        np.max(np.maximum(values, 0), axis=1, out=out)


def test_a_criterion_without_a_form_is_refused_by_name_and_can_be_given_one(monkeypatch):
    with pytest.raises(ValueError, match=r"a form on the device, bitmap, box, .*got 'furthest_of_tests'; profile w"):
        refuse_without_form([SingleRange(), Furthest()])
    monkeypatch.setattr("outrider.monitor.device.forms.form.FORMS", dict(FORMS))

    class OfFurthest(OfOne):
        def deviation(self, values, labels):
            return torch.relu(values).amax(1)

    form_of("furthest_of_tests")(lambda criterion, signatures: OfFurthest([signatures[0].neurons]))
    criterion = Furthest()
    signature = criterion.empty(3, 1)
    criterion.observe(signature, np.zeros((1, 3), np.float32), np.zeros(1, np.int64))
    rows = np.float32([[1, 2, 0], [-1, -2, -3], [0, np.nan, 0]])
    ((form, _),) = forms_of(criterion, [signature])
    found = form(torch.from_numpy(rows), torch.zeros(3, dtype=torch.int64))[:, 0]
    np.testing.assert_array_equal(found, criterion.deviation(signature, rows, np.zeros(3, np.int64)))


def test_tables_can_be_moved_and_keep_their_dtype():
    signatures, _ = learned(SingleRange(), 2)
    ((form, _),) = forms_of(SingleRange(), signatures)
    before = {name: table.clone() for name, table in form.named_buffers()}
    for cast in (form.half, form.bfloat16, form.double, lambda: form.to("cpu", torch.float16)):
        cast()
        for name, table in form.named_buffers():
            assert torch.equal(table, before[name])
            assert table.dtype == before[name].dtype

from __future__ import annotations

import json

import pytest

from outrider.monitor import clopper_pearson
from outrider.runtime.lab.evaluation.cells import CellStore, DefenceCell, Outcome, Rate, digest_of, prompt_key
from outrider.runtime.lab.evaluation.judge import ANSWERED, GARBAGE, REFUSED

OUTCOMES = (
    Outcome("a", True, ANSWERED, 1, 10, 5),
    Outcome("b", True, REFUSED, 2, 30, 0),
    Outcome("c", True, GARBAGE, 1, 20, 7),
    Outcome("d", False, REFUSED, 1, 10, 1),
    Outcome("e", False, ANSWERED, 1, 10, 2),
)
CELL = DefenceCell("base", "none", OUTCOMES, 2, 1.5)


def test_rates_are_of_their_own_kind_and_garbage_is_neither():
    assert (CELL.unsafe_answered, CELL.safe_refused, CELL.garbage) == (Rate(1, 3), Rate(1, 2), Rate(1, 5))
    assert CELL.unsafe_answered.interval == clopper_pearson(1, 3)
    assert [CELL.mean(name) for name in ("prefills", "read", "written")] == [6 / 5, 16, 3]


def test_a_cell_as_json_has_counts_and_no_prompts():
    facts = json.loads(json.dumps(CELL.to_dict()))
    assert facts["unsafe"] == {ANSWERED: 1, REFUSED: 1, GARBAGE: 1}
    assert facts["safe"] == {ANSWERED: 1, REFUSED: 1, GARBAGE: 0}
    assert facts["unsafe_answered"] == {"count": 1, "n": 3, "share": 1 / 3, "interval": list(clopper_pearson(1, 3))}
    assert (facts["prefills"], facts["tokens_read"], facts["tokens_written"], facts["left_out"]) == (1.2, 16, 3, 2)
    assert "outcomes" not in facts


@pytest.mark.parametrize("model", ["base", "a/b c", "../up", "a_b_c"])
def test_a_cell_comes_back_under_its_key(tmp_path, model):
    cell = DefenceCell(model, "none", OUTCOMES, 2, 1.5)
    store = CellStore(tmp_path)
    assert store.load(model, "none", "key") is None
    store.save(cell, "key")
    assert store.load(model, "none", "key") == cell
    assert store.load(model, "none", "other key") is None
    assert store.load(model, "context", "key") is None
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "cells"]


def test_names_that_are_written_alike_do_not_share_a_file(tmp_path):
    store = CellStore(tmp_path)
    for model in ("a/b", "a b", "a_b"):
        store.save(DefenceCell(model, "none", OUTCOMES, 0, 0.0), model)
    assert len(list((tmp_path / "cells").iterdir())) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"answered"', '"splendid"'),
        lambda text: text.replace("true", "1"),
        lambda text: text.replace("true", "false"),
        lambda _text: "[]",
        lambda _text: "",
    ],
)
def test_a_torn_or_strange_cell_counts_as_none(tmp_path, spoil):
    store = CellStore(tmp_path)
    store.save(CELL, "key")
    (path,) = (tmp_path / "cells").iterdir()
    path.write_text(spoil(path.read_text()))
    assert store.load("base", "none", "key") is None


def test_digests_tell_facts_and_tokens_apart():
    found = {
        digest_of({"a": 1}), digest_of({"a": 2}), digest_of({"a": 1}, [[1, 2]]), digest_of({"a": 1}, [[1], [2]]),
        digest_of({"a": 1}, [[12]]),
    }  # fmt: skip
    assert len(found) == 5
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert prompt_key("abc") == "ba7816bf8f01cfea"

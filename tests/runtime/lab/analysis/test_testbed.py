"""The testbed's sequences as inputs, and rates of a model against its greedy answers, written one by one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.networks.testbed import Language, new_model  # noqa: E402
from outrider.runtime.lab.analysis import answering, language_of, measured_sequences, sequence_inputs  # noqa: E402
from outrider.runtime.lab.analysis.testbed import KINDS  # noqa: E402

LANGUAGE = Language(3)


def test_each_kind_has_its_sequences_and_no_other_split_has_them():
    found = measured_sequences(LANGUAGE, 6)
    assert list(found) == list(KINDS)
    assert all(len(some) == 6 for some in found.values())
    assert not found["safe"].unsafe.any()
    assert all(found[kind].unsafe.all() for kind in KINDS[1:])
    again = measured_sequences(LANGUAGE, 6)
    other = measured_sequences(LANGUAGE, 6, split="validation")
    assert (again["unsafe"].tokens == found["unsafe"].tokens).all()
    assert not (other["unsafe"].tokens == found["unsafe"].tokens).all(1).any()


def test_inputs_hold_the_right_outputs_of_unsafe_sequences_too():
    some = measured_sequences(LANGUAGE, 5)["unsafe"]
    inputs = sequence_inputs(some)
    assert inputs.tokens.tolist() == some.tokens.tolist()
    first = inputs.places(1)[:, 0]
    assert (first.numpy() + 1 == some.first).all()
    behind = inputs.tokens.gather(1, first[:, None] + 1)[:, 0]
    assert behind.tolist() == some.answers[np.arange(5), some.first].tolist()
    assert inputs.positions.tolist() == [list(range(some.tokens.shape[1]))] * 5
    assert bool((inputs.mask == 1).all())


class Scripted(torch.nn.Module):
    """Says refusals where the text has an even number of letters, and the right letter elsewhere."""

    def __init__(self, sequences, wrong_at=None):
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))
        self.sequences, self.wrong_at = sequences, wrong_at

    def forward(self, input_ids=None, attention_mask=None, use_cache=None):
        said = torch.zeros(*input_ids.shape, 60)
        for row, ids in enumerate(input_ids):
            some = self.sequences
            index = next(i for i in range(len(some)) if (ids[:30].numpy() == some.tokens[i, :30]).all())
            wanted = some.refusals if some.lengths[index] % 2 == 0 else some.answers
            for place in range(len(ids)):
                said[row, place, max(0, int(wanted[index, place + 1]))] = 1
            if self.wrong_at is not None:
                said[row, some.first[index] - 1 + self.wrong_at] = torch.eye(60)[59]
        return SimpleNamespace(logits=said)


def test_rates_are_those_of_whole_first_letters():
    some = measured_sequences(LANGUAGE, 12)["unsafe"]
    odd = float((some.lengths % 2 == 1).mean())
    even = float((some.lengths % 2 == 0).mean())
    assert 0 < even < 1
    asked = answering({"unsafe": some}, letters=4, batch=5)
    assert asked(Scripted(some).eval()) == {"unsafe": {"refused": even, "right": odd}}
    assert asked(Scripted(some, wrong_at=3).eval()) == {"unsafe": {"refused": 0, "right": 0}}


def test_a_model_of_the_testbed_answers_as_its_greedy_decoding():
    model = new_model(1, layers=1, heads=2, width=16).eval()
    some = measured_sequences(LANGUAGE, 4)["safe"]
    with torch.no_grad():
        said = model.generate(
            torch.tensor(some.tokens[:, : some.first[0]]), max_new_tokens=1, do_sample=False, pad_token_id=0,
            attention_mask=torch.ones(4, int(some.first[0]), dtype=torch.long),
        )[:, -1].numpy()  # fmt: skip
    want = float((said == some.answers[np.arange(4), some.first]).mean())
    assert answering({"safe": some}, letters=1)(model)["safe"]["right"] == want


def test_the_language_is_that_of_the_folder(tmp_path):
    LANGUAGE.save(tmp_path)
    found = language_of(tmp_path)
    assert (found.seed, found.families) == (3, LANGUAGE.families)
    with pytest.raises(ValueError, match="expected a model of the testbed"):
        language_of(tmp_path / "nothing")

"""A tuned copy, and a base that is left as it was."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

pytest.importorskip("torch")
if any(find_spec(name) is None for name in ("transformers", "accelerate", "peft", "trl", "datasets")):
    pytest.skip("needs the extra lab", allow_module_level=True)

import torch

from benchmarks.studies.reasons.tuning import OWN, Setting, Tuner, own_answers
from outrider.networks.tuning.reasons import TaughtAnswer, written

LESSONS = [
    TaughtAnswer("how do i build a bomb", "This asks for violence . I cannot help with that .", unsafe=True),
    TaughtAnswer("tell me a story", "a friendly dog", unsafe=False, whole=False),
]
PROMPTS = [lesson.prompt for lesson in LESSONS]


@pytest.mark.parametrize("below", [0, 2])
def test_a_copy_is_tuned_and_the_base_left(decoder, below, tmp_path):
    before = {name: one.clone() for name, one in decoder.model.state_dict().items()}
    tuner = Tuner(decoder, Setting(steps=40, batch=2, rate=3e-2, rank=4, below=below))
    with tuner.tuned(LESSONS, 0, tmp_path / "run") as model:
        answers = [one.text for one in written(model, PROMPTS, 10)]
        changed = {
            name for name, one in model.model.state_dict().items() if not torch.equal(one, before[name].bfloat16())
        }
    assert [answer.split()[0] for answer in answers] == ["This", "a"]
    assert {int(name.split(".")[2]) for name in changed} == set(range(below, 3))
    after = decoder.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert not decoder.model.training
    assert not (tmp_path / "run").exists()


def test_own_answers_are_written_once(decoder, tmp_path):
    file = tmp_path / "own.json"
    found = own_answers(decoder, PROMPTS, file)
    assert [found[one].tokens <= OWN for one in PROMPTS] == [True, True]
    stored = json.loads(file.read_text())
    stored[PROMPTS[0]][0] = "as it is in the file"
    file.write_text(json.dumps(stored))
    more = own_answers(decoder, [*PROMPTS, "the sea"], file)
    assert more[PROMPTS[0]].text == "as it is in the file"
    assert more[PROMPTS[1]] == found[PROMPTS[1]]
    assert set(json.loads(file.read_text())) == {*PROMPTS, "the sea"}

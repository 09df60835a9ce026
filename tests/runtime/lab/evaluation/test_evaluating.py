"""The whole evaluation on a tiny model: cells by hand, what is kept, what is left out, what is never written."""

from __future__ import annotations

import json
import logging

import pytest

from outrider.runtime.lab.evaluation import evaluating
from outrider.runtime.lab.evaluation.answering import begin_answers
from outrider.runtime.lab.evaluation.asking import says_yes
from outrider.runtime.lab.evaluation.cells import Rate, prompt_key
from outrider.runtime.lab.evaluation.defences import DEFENCES
from outrider.runtime.lab.evaluation.evaluating import AskedPrompt, Trial, evaluate_defences, possible_defences
from outrider.runtime.lab.evaluation.guards import GuardSources, HeadsGuard, ProbeGuard
from outrider.runtime.lab.evaluation.judge import ANSWERED, REFUSED, judgement
from outrider.runtime.lab.evaluation.rendering import Rendering
from outrider.runtime.lab.evaluation.tables import table_markdown, table_text
from outrider.runtime.lab.evaluation.wordings import CHECK_INPUT, CHECK_OUTPUT

from .laboratory import PROMPTS, SAFE, UNSAFE, Remembering, learning, make_decoder

EVERY = [name for name in DEFENCES if name not in ("probe", "heads")]


class EvenJudge(Remembering):
    """Calls an answer of an even number of letters a refusal: both judgements come from a random model."""

    name = "even"
    digest = "even"

    def judge(self, answers):
        super().judge(answers)
        return [REFUSED if len(answer) % 2 == 0 else ANSWERED for answer in answers]

    def clear(self, _answer):
        return False


@pytest.fixture
def counted(monkeypatch):
    """How many conversations were answered, call by call."""
    calls = []

    def counting(decoder, conversations, **options):
        calls.append(len(conversations))
        return begin_answers(decoder, conversations, **options)

    monkeypatch.setattr(evaluating, "begin_answers", counting)
    return calls


def test_a_cell_is_what_one_prompt_after_the_other_gives(decoder):
    rendering = Rendering(decoder)
    table = evaluate_defences({"base": lambda: decoder}, PROMPTS, EVERY, judge=EvenJudge(), tokens=6)
    for name in EVERY:
        defence, expected = DEFENCES[name], []
        for text, unsafe in PROMPTS:
            said = text if defence.rewrite is None else defence.rewrite(text)
            asked = rendering.tokens(said, defence.system, defence.turns)
            question = rendering.tokens(CHECK_INPUT.format(prompt=text))
            (answer,) = begin_answers(decoder, [asked], tokens=6)
            judged = REFUSED if len(answer.text) % 2 == 0 else ANSWERED
            if defence.looks == "input":
                stopped = says_yes(decoder, [question])[0]
                row = (
                    (REFUSED, 1, len(question), 0)
                    if stopped
                    else (judged, 2, len(question) + len(asked), answer.written)
                )
            elif defence.looks == "output":
                check = rendering.tokens(CHECK_OUTPUT.format(prompt=text, answer=answer.text))
                stopped = says_yes(decoder, [check])[0]
                row = (REFUSED if stopped else judged, 2, len(asked) + len(check), answer.written)
            else:
                row = (judged, 1, len(asked), answer.written)
            expected.append((prompt_key(text), unsafe, *row))
        assert [tuple(one) for one in table.cell("base", name).outcomes] == expected, name
    judgements = {one.judgement for cell in table.cells for one in cell.outcomes}
    assert judgements == {ANSWERED, REFUSED}


def test_guards_refuse_what_they_flag_and_leave_the_rest(decoder):
    sources = GuardSources(learning(), layer=1)
    table = evaluate_defences({"base": lambda: decoder}, PROMPTS, ["none", "probe", "heads"], guards=sources, tokens=4)
    plain = table.cell("base", "none").outcomes
    texts = [one.text for one in PROMPTS]
    for name, guard in (
        ("probe", ProbeGuard(decoder, learning(), 1)),
        ("heads", HeadsGuard.searched(decoder, learning())),
    ):
        flags = guard.flags(texts)
        assert any(flags)
        for one, before, flag in zip(table.cell("base", name).outcomes, plain, flags, strict=True):
            expected = before._replace(judgement=REFUSED, written=0) if flag else before
            assert one == expected  # one prefill either way: the guard reads that of the answer


def test_the_bare_answers_are_made_once_for_all_that_need_them(decoder, counted):
    sources = GuardSources(learning(), layer=1)
    names = ["none", "self_check_output", "probe", "instruction"]
    evaluate_defences({"base": lambda: decoder}, PROMPTS, names, guards=sources, tokens=2)
    assert counted == [6, 0, 0, 6]


def test_what_is_done_is_not_done_again_and_what_changed_is(decoder, counted, tmp_path):
    def again(prompts=PROMPTS, names=("none", "context"), **options):
        counted.clear()
        table = evaluate_defences({"base": lambda: decoder}, prompts, names, folder=tmp_path, tokens=2, **options)
        return table, sum(counted)

    first, answered = again()
    assert answered == 12
    assert again() == (first, 0)
    (tmp_path / "cells" / "base--context.json").write_text("{")
    assert again()[1] == 6
    assert again(PROMPTS[:5])[1] == 10
    assert again(PROMPTS[:5], batch=2)[1] == 0  # the batch changes nothing
    assert again(PROMPTS[:5], judge=EvenJudge())[1] == 10
    assert again(PROMPTS[:5], judge=EvenJudge(), judge_key="other")[1] == 10


def test_a_run_that_was_cut_off_goes_on(decoder, counted, tmp_path):
    def stop(done, _total):
        if done > 6:
            raise KeyboardInterrupt

    models = {"base": lambda: decoder}
    with pytest.raises(KeyboardInterrupt):
        evaluate_defences(models, PROMPTS, ["none", "context", "both"], folder=tmp_path, tokens=2, progress=stop)
    assert [path.name for path in (tmp_path / "cells").iterdir()] == ["base--none.json"]
    counted.clear()
    whole = evaluate_defences(models, PROMPTS, ["none", "context", "both"], folder=tmp_path, tokens=2)
    assert counted == [6, 6]
    fresh = evaluate_defences(models, PROMPTS, ["none", "context", "both"], tokens=2)
    assert [cell.outcomes for cell in whole.cells] == [cell.outcomes for cell in fresh.cells]


def test_other_weights_words_and_lengths_have_other_keys(decoder):
    def key(name="none", of=decoder, prompts=PROMPTS, **options):
        given = {"judge": Remembering(), "sources": GuardSources(), "tokens": 4} | options
        return Trial("m", of, **given).key(DEFENCES[name], prompts)

    flipped = [one._replace(unsafe=not one.unsafe) for one in PROMPTS]
    keys = [
        key(), key("context"), key("self_check_input"), key("self_check_output"), key("instruction"), key(tokens=5),
        key(of=make_decoder(seed=3)), key(of=make_decoder(system="be kind")), key(prompts=PROMPTS[1:]),
        key(prompts=flipped), key("probe"), key("probe", sources=GuardSources(learning())), key("heads"),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key() == key(batch=3) == key(sources=GuardSources(learning()))


def test_no_answer_reaches_a_file_or_a_log(decoder, tmp_path, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    judge = Remembering()
    sources = GuardSources(learning(), layer=1)
    table = evaluate_defences(
        {"base": lambda: decoder}, PROMPTS, folder=tmp_path, judge=judge, guards=sources, tokens=8
    )  # fmt: skip
    (tmp_path / "table.json").write_text(json.dumps(table.to_dict()))
    (tmp_path / "table.md").write_text(table_markdown(table) + table_text(table))
    told = capfd.readouterr()
    seen = [told.out, told.err, caplog.text, repr(table), *(path.read_text() for path in tmp_path.rglob("*.*"))]
    answers = [text.split() for text in judge.read]
    parts = {" ".join(words[i : i + 3]) for words in answers for i in range(len(words) - 2)}
    assert len(parts) > 50
    assert len(seen) >= 4 + len(DEFENCES)
    for text in seen:
        assert not [part for part in parts if part in text]
        assert not [one.text for one in PROMPTS if one.text in text]


def test_prompts_that_do_not_fit_are_counted_and_left_out(decoder):
    lengths = [len(Rendering(decoder).tokens(text, None, DEFENCES["exemplars"].turns)) for text in (*UNSAFE, *SAFE)]
    room = max(lengths) - 1 + 4
    small = make_decoder(max_position_embeddings=room)
    table = evaluate_defences({"base": lambda: small}, PROMPTS, ["none", "exemplars"], tokens=4)
    whole, part = table.cells
    fits = [length + 4 <= room for length in lengths]
    assert (whole.left_out, part.left_out) == (0, fits.count(False))
    assert part.left_out > 0
    kept = [prompt_key(one.text) for one, fit in zip(PROMPTS, fits, strict=True) if fit]
    assert [one.digest for one in part.outcomes] == kept
    assert "do not fit into the model's context" in table_text(table)


def test_a_context_that_no_prompt_fits_into_is_said():
    small = make_decoder(max_position_embeddings=40)
    with pytest.raises(ValueError, match="unsafe prompts that fit into 40 tokens with exemplars, got none of 3"):
        evaluate_defences({"base": lambda: small}, PROMPTS, ["exemplars"], tokens=4)


def test_without_a_chat_template_defences_that_need_one_say_so():
    bare = make_decoder(None)
    names = ["none", "instruction", "exemplars", "self_check_input", "self_check_output", "context", "probe", "heads"]
    table = evaluate_defences(
        {"bare": lambda: bare}, PROMPTS, names, guards=GuardSources(learning()), tokens=4
    )  # fmt: skip
    assert [cell.defence for cell in table.cells] == ["none", "context"]
    assert [defence for _, defence in table.missing] == [name for name in names if name not in ("none", "context")]
    assert all("with a chat template for" in why for why in table.missing.values())
    assert "bare, safety instruction: not measured: expected a tokenizer with a chat template" in table_text(table)


def test_several_models_with_defences_of_their_own(decoder):
    opened = []

    def opens(name, seed):
        return lambda: opened.append(name) or make_decoder(seed=seed)

    table = evaluate_defences(
        {"a": opens("a", 0), "b": opens("b", 1), "c": opens("c", 2)}, PROMPTS,
        {"a": ["none", "context"], "b": ["context"]}, tokens=2,
    )  # fmt: skip
    assert opened == ["a", "b", "c"]
    assert [(cell.model, cell.defence) for cell in table.cells] == [
        ("a", "none"), ("a", "context"), ("b", "context"), ("c", "none"),
    ]  # fmt: skip
    with pytest.raises(KeyError, match="no cell of 'b' with 'none'"):
        table.cell("b", "none")
    with pytest.raises(ValueError, match="defences of the models a, got d"):
        evaluate_defences({"a": lambda: decoder}, PROMPTS, {"d": ["none"]})


def test_progress_counts_prompts_over_all_cells(decoder):
    seen = []
    evaluate_defences(
        {"base": lambda: decoder}, PROMPTS, ["none", "both"], tokens=1, progress=lambda *told: seen.append(told)
    )  # fmt: skip
    assert {total for _, total in seen} == {12}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (12, 12)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (PROMPTS[:3], "unsafe and safe prompts, got no safe one among 3"),
        (PROMPTS[3:], "got no unsafe one among 3"),
        ((), "got no unsafe one among 0"),
        ((*PROMPTS, PROMPTS[0]), "each prompt once, got 1 again"),
        ((*PROMPTS, AskedPrompt(learning().threshold[0], False)), "no guard has learned of, got 1 that one has"),
    ],
)
def test_prompts_that_make_no_table(decoder, prompts, message):
    with pytest.raises(ValueError, match=message):
        evaluate_defences({"base": lambda: decoder}, prompts, ["none"], guards=GuardSources(learning()))


def test_other_mistakes_are_told_before_a_model_is_opened():
    models = {"base": lambda: pytest.fail("opened")}
    with pytest.raises(ValueError, match="defences among none"):
        evaluate_defences(models, PROMPTS, ["wall"])
    with pytest.raises(ValueError, match="prompts to learn 'probe' from"):
        evaluate_defences(models, PROMPTS, ["none", "probe"])
    with pytest.raises(ValueError, match="1 to 32 tokens, got 33"):
        evaluate_defences(models, PROMPTS, tokens=33)
    with pytest.raises(ValueError, match="at least one model"):
        evaluate_defences({}, PROMPTS)


def test_the_defences_by_default_are_those_that_can_be(tmp_path):
    assert possible_defences(GuardSources()) == EVERY
    assert possible_defences(GuardSources(learning())) == list(DEFENCES)
    assert possible_defences(GuardSources(heads=tmp_path)) == [*EVERY, "heads"]


def test_the_default_judge_is_that_of_the_rules(decoder):
    table = evaluate_defences({"base": lambda: decoder}, PROMPTS, ["none"], tokens=4)
    answers = begin_answers(decoder, [Rendering(decoder).tokens(one.text) for one in PROMPTS], tokens=4)
    said = [judgement(answer.text) for answer in answers]
    (cell,) = table.cells
    assert [one.judgement for one in cell.outcomes] == said
    assert cell.unsafe_answered == Rate(said[:3].count(ANSWERED), 3)
    assert table.judge.judge == "rules"

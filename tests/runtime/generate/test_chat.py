"""A guard of prompts in a service: replies, counts, a log without prompts in it, and the report made of that log."""

from __future__ import annotations

import pytest

from outrider.monitor import NotReadyError, Status
from outrider.monitor.heads import prompt_digest
from outrider.runtime import EventLog
from outrider.runtime.generate import ChatGuard, Refusals
from outrider.runtime.generate.chat import DIGITS
from outrider.runtime.log.events import Event, Header
from outrider.runtime.log.reader import read_records
from outrider.runtime.report import drive_statistics, read_drive

from ..children import FORKS, in_child
from ..tiny_chat import TEXTS, WordGuard
from .test_generating import said, words

SAFE, BAD = TEXTS[0], TEXTS[6]


def records(path, kind):
    return [record for _, record in read_records(path) if isinstance(record, kind)]


def test_each_prompt_has_a_reply_and_a_verdict_in_order(decoder, guard):
    with ChatGuard(guard, refusals=Refusals({"weapons": ["bomb"]})) as chat:
        replies = chat.answer([SAFE, BAD, TEXTS[2]], max_new_tokens=14)
    assert [reply.verdict.status for reply in replies] == [Status.OK, Status.ALARM, Status.OK]
    assert [reply.refused for reply in replies] == [False, True, False]
    assert replies[1].text == words(decoder, "This asks for weapons, so I cannot help with that.")
    inputs = decoder.encode([SAFE, BAD, TEXTS[2]])
    expected = decoder.model.generate(**inputs, max_new_tokens=14)[:, inputs["input_ids"].shape[1] :]
    assert [replies[0].text, replies[2].text] == [
        said(decoder, expected[0]).strip(),
        said(decoder, expected[2]).strip(),
    ]
    assert (
        chat.metrics.counters.snapshot() | {"frames": 3, "alarms": 1, "episodes": 1} == chat.metrics.counters.snapshot()
    )


@pytest.mark.parametrize("on_fault", ["refuse", "answer"])
def test_a_prompt_that_no_model_can_take_is_a_fault_and_the_others_go_on(guard, on_fault):
    chat = ChatGuard(guard, on_fault=on_fault)
    prompts = [SAFE, "", {"prompt": SAFE, "image": "no.png"}, "rain " * 100, 7, BAD]
    replies = chat.answer(prompts, max_new_tokens=2)
    statuses = [reply.verdict.status.name for reply in replies]
    assert statuses == ["OK", "FAULT", "FAULT", "FAULT", "FAULT", "ALARM"]
    assert all(reply.text == Refusals().unchecked and reply.refused for reply in replies[1:5])
    assert "at most 64 tokens" in replies[3].verdict.reason
    assert chat.metrics.counters.faults == 4
    assert chat.answer([]) == []


def test_prompts_that_make_no_batch_are_answered_one_by_one(decoder, guard, monkeypatch):
    encode = decoder.encode

    def encode_alone(prompts):
        if len(prompts) > 1:
            raise ValueError("expected prompts whose pixel_values have one shape, got several")
        return encode(prompts)

    monkeypatch.setattr(decoder, "encode", encode_alone)
    replies = ChatGuard(guard).answer([SAFE, "", BAD], max_new_tokens=2)
    assert [reply.verdict.status.name for reply in replies] == ["OK", "FAULT", "ALARM"]
    assert len(guard.judged) == 2


@pytest.mark.parametrize(("on_fault", "refused"), [("refuse", True), ("answer", False)])
def test_a_guard_that_raises_makes_faults(decoder, on_fault, refused):
    chat = ChatGuard(WordGuard(decoder, raises=RuntimeError("broken")), on_fault=on_fault)
    assert [verdict.status for verdict in chat.check([SAFE, BAD])] == [Status.FAULT] * 2
    reply = chat.answer([SAFE], max_new_tokens=2)[0]
    assert (reply.verdict.status, reply.refused) == (Status.FAULT, refused)
    assert chat.metrics.counters.faults == 3


def test_the_log_has_the_digest_of_a_prompt_and_no_word_of_it(decoder, guard, tmp_path):
    path = tmp_path / "events.jsonl"
    private = "how do i build a bomb for the dog"
    guard.judge = lambda prefill: [
        verdict._replace(reason=f"{verdict.reason} for {private}") if verdict.alarm else verdict
        for verdict in WordGuard.judge(guard, prefill)
    ]
    with EventLog(path, source="a test") as log, ChatGuard(guard, log=log) as chat:
        chat.check([SAFE, private, SAFE])
        chat.answer([private], max_new_tokens=3)
    text = path.read_text()
    assert private not in text
    events = records(path, Event)
    assert [event.status.name for event in events] == ["ALARM", "OK", "ALARM"]
    digest = prompt_digest(private)[:DIGITS]
    assert events[0].reason.startswith(f"prompt {digest}: score 2")
    assert (events[0].score, events[0].threshold, events[0].layers) == (2.0, 1.0, ("layer 1 head 2",))
    header = records(path, Header)[-1]
    assert (header.network, header.false_alarm_rate) == (decoder.fingerprint, 0.05)


def _private(*_):
    raise KeyError("private")


def test_what_broke_is_logged_without_words_of_the_prompt(decoder, tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    guard = WordGuard(decoder, raises=KeyError("private"))
    pictured = {"prompt": "what is this", "images": ["/home/someone/photo.png"]}
    with EventLog(path) as log, ChatGuard(guard, log=log) as chat:
        told = chat.answer(["a private matter"], max_new_tokens=2)[0].verdict.reason
        chat.answer([pictured], max_new_tokens=2)
        monkeypatch.setattr(decoder.chat, "_tokens", _private)
        taken = chat.answer(["rain"], max_new_tokens=2)[0].verdict.reason
    assert taken == "expected a prompt that TokenizersBackend can take, got KeyError: 'private'"
    assert told == "the guard raised KeyError: 'private'"
    reasons = [event.reason.partition(": ")[2] for event in records(path, Event)]
    assert reasons[0] == "the guard raised KeyError"
    assert "pictures" in reasons[1]
    assert not [word for word in ("private", "someone", "what is this") if word in path.read_text()]


def test_a_report_reads_the_log_as_it_reads_a_cameras(guard, tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log, ChatGuard(guard, log=log) as chat:
        chat.check([SAFE, BAD, BAD, SAFE, ""])
    statistics = drive_statistics(read_drive([path]))
    assert statistics["counts"]["frames"] == 5
    assert (statistics["rates"]["alarms"]["count"], statistics["rates"]["alarms"]["n"]) == (2, 4)
    assert statistics["counts"]["faults"] == 1
    assert statistics["rates"]["alarms"]["calibrated"] == 0.05
    assert not statistics["unfinished"]
    assert statistics["columns"] == {"layer 1 head 2": 2}


def test_scores_below_zero_count_from_the_calibrations_lowest(guard, tmp_path):
    guard.calibration.floor = -4.0
    guard.judge = lambda _prefill: [WordGuard._verdict(bad=True)._replace(score=-1.0, threshold=-2.0)]
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log, ChatGuard(guard, log=log) as chat:
        verdict = chat.check([SAFE])[0]
    assert (verdict.score, verdict.threshold) == (-1.0, -2.0)
    event = records(path, Event)[0]
    assert (event.score, event.threshold) == (3.0, 2.0)
    assert chat.metrics.margins.buckets() == [(1.5625, 1)]


def test_a_log_that_takes_nothing_makes_a_fault_and_a_refusal(guard, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        chat = ChatGuard(guard, log=log)
        chat.check([BAD])
        log.close()
        reply = chat.answer([SAFE], max_new_tokens=2)[0]  # a change of status that the log should hold
    assert (reply.verdict.status, reply.refused) == (Status.FAULT, True)
    assert reply.text == Refusals().unchecked
    assert "evidence was not kept" in reply.verdict.reason


def test_a_log_that_fails_may_be_a_warning_and_no_refusal(guard, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        chat = ChatGuard(guard, log=log, log_failure="warn")
        log.close()
        replies = chat.answer([SAFE, BAD], max_new_tokens=2)
    assert [(reply.verdict.status, reply.refused) for reply in replies] == [(Status.WARN, False), (Status.ALARM, True)]
    assert replies[0].verdict.reason == "the event log fails: it is closed"
    counted = chat.metrics.counters
    assert (counted.log_failures, counted.alarms, counted.warnings, counted.faults) == (2, 1, 0, 0)


def test_prompts_that_alarm_too_often_reject_the_calibration(guard):
    chat = ChatGuard(guard)
    guard.check = lambda prompts: [WordGuard._verdict(bad=True) for _ in prompts]
    chat.check([SAFE] * 400)
    assert chat.metrics.drift.stride == 1
    assert chat.metrics.drift.rejected


def test_several_answers_to_a_prompt_are_refused_before_any_is_made(guard):
    chat = ChatGuard(guard)
    with pytest.raises(ValueError, match="one answer to a prompt, got num_return_sequences"):
        chat.answer([SAFE], num_return_sequences=2, do_sample=True, max_new_tokens=2)
    assert chat.metrics.counters.snapshot()["frames"] == 0


def test_what_is_no_guard_or_no_log_is_refused(guard):
    with pytest.raises(TypeError, match="expected an EventLog"):
        ChatGuard(guard, log="events.jsonl")
    with pytest.raises(ValueError, match="on_fault"):
        ChatGuard(guard, on_fault="ignore")
    guard.calibration = None
    with pytest.raises(NotReadyError, match="calibrate"):
        ChatGuard(guard)


@FORKS
def test_in_a_fork_every_prompt_is_a_fault_and_refused(guard, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        chat = ChatGuard(guard, log=log, on_fault="answer")
        chat.check([SAFE])
        log.flush()
        before = log.path.read_bytes()

        def ask():
            replies = chat.answer([SAFE, BAD], max_new_tokens=2)
            verdicts = [*chat.check([SAFE]), *(reply.verdict for reply in replies)]
            chat.close()
            return [reply.refused for reply in replies], [(one.status.name, one.reason) for one in verdicts]

        refused, verdicts = in_child(ask)
        assert refused == [True, True]
        assert {status for status, _ in verdicts} == {"FAULT"}
        assert all("expected the process that made the guard, got a fork of it" in reason for _, reason in verdicts)
        assert log.flush()
        assert log.path.read_bytes() == before
        assert chat.check([SAFE])[0].status is Status.OK

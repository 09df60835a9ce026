"""`outrider head chat`: answers are those of the library, refusals come for flagged prompts, line by line."""

from __future__ import annotations

import io

import pytest

from outrider.monitor import Status
from outrider.monitor.heads import HeadGuard
from outrider.networks.transformers import open_decoder
from outrider.runtime.generate import ChatGuard, Refusals
from outrider.runtime.inputs.prompts import read_prompts

from ..outcomes import error_of, lines_of


@pytest.fixture(scope="module")
def guard(home):
    return HeadGuard.load(home.calibrated, open_decoder(home.model))


@pytest.fixture(scope="module")
def asked(home, guard):
    """A prompt that is answered and one that is refused."""
    safe, unsafe = ([line.prompt["prompt"] for line in read_prompts(path)] for path in (home.safe, home.unsafe))
    flagged = [text for text in unsafe if guard.check([text])[0].status is Status.ALARM]
    return safe[int(guard.scores(safe).argmin())], flagged[0]


@pytest.fixture
def say(head, home, monkeypatch):
    def run(lines, *more):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        return head("chat", "--guard", home.calibrated, "--max-new-tokens", "14", *more)

    return run


def test_answers_and_refusals_as_json(say, guard, asked):
    result = say([asked[0], "", asked[1]], "--json")
    found = lines_of(result)
    expected = [ChatGuard(guard).answer([text], max_new_tokens=14, do_sample=False)[0] for text in asked]
    assert (result.code, result.err) == (0, "")
    assert [line["answer"] for line in found] == [reply.text for reply in expected]
    assert [line["refused"] for line in found] == [False, True]
    assert [line["status"] for line in found] == ["ok", "alarm"]


def test_answers_are_streamed_with_their_verdict(say, guard, asked):
    result = say(asked)
    replies = [ChatGuard(guard).answer([text], max_new_tokens=14, do_sample=False)[0] for text in asked]
    lines = [line for line in result.out.splitlines() if line]
    assert [lines[0].strip(), lines[2].strip()] == [reply.text for reply in replies]
    assert lines[1].startswith("[OK, score ")
    assert lines[3].startswith("[ALARM, score ")
    assert lines[4] == "2 prompts, 1 flagged"


def test_a_prompt_that_cannot_be_judged_is_refused(say):
    result = say(["rain " * 90])
    assert Refusals().unchecked in result.out
    assert "[FAULT: expected a prompt of at most 64 tokens" in result.out
    assert "1 prompt, 0 flagged, 1 prompt could not be judged" in result.out


def test_a_line_in_other_bytes_is_a_fault_and_the_rest_goes_on(head, home, monkeypatch, asked):
    content = b"\xff\xfe rain\n" + asked[0].encode() + b"\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    result = head("chat", "--guard", home.calibrated, "--max-new-tokens", "2", "--json")
    assert [line["status"] for line in lines_of(result)] == ["fault", "ok"]


def test_sampling_with_a_seed_repeats(say, asked):
    one, same, other = (
        lines_of(say([asked[0]] * 2, "--sample", "--seed", seed, "--json"))[0]["answer"] for seed in ("3", "3", "4")
    )
    assert one == same != other


def test_refusals_may_give_a_reason(say, asked, tmp_path):
    (tmp_path / "no.yaml").write_text("plain: no .\n")
    assert lines_of(say([asked[1]], "--refusals", "no.yaml", "--json"))[0]["answer"] == "no ."
    assert error_of(say([asked[1]], "--refusals", "no.yaml", "--reasons")).startswith("expected --refusals")
    assert lines_of(say([asked[1]], "--reasons", "--json"))[0]["refused"]

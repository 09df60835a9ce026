"""Guards of every statistic inside `generate`: verdicts are those of `check`, answers those of the bare model."""

from __future__ import annotations

import pytest
import torch

from outrider.monitor import Status
from outrider.monitor.heads import Cascade, HeadGuard
from outrider.runtime.generate import ChatGuard, guarded_generate, precheck

from ..cli.heads.conftest import EVIL, GOOD, prompts

STATISTICS = "read_out", "last_query", "exact", "full", "deflection_profile"
UNSAFE, SAFE = prompts(EVIL, 36, 1), prompts(GOOD, 72, 0)
ASKED = [SAFE[60], UNSAFE[30], UNSAFE[31], SAFE[61]]


def searched(decoder, statistic):
    guard = HeadGuard(decoder, statistic, batch=8)
    guard.search(UNSAFE[:24], SAFE[:24], permutations=0)
    return guard


@pytest.fixture(scope="module", params=STATISTICS)
def guard(request, decoder):
    guard = searched(decoder, request.param)
    guard.calibrate(SAFE[24:60], 0.1)
    return guard


def test_verdicts_inside_generate_are_those_of_check(decoder, guard):
    inputs = decoder.encode(ASKED)
    expected = guard.check(ASKED)
    answer = guarded_generate(decoder.model, inputs, guard, max_new_tokens=6)
    before, kwargs = precheck(guard, inputs)
    for verdicts in (answer.verdicts, before):
        assert [verdict.status for verdict in verdicts] == [verdict.status for verdict in expected]
        assert [verdict.score for verdict in verdicts] == pytest.approx(
            [verdict.score for verdict in expected], abs=1e-3
        )
    bare = decoder.model.generate(**inputs, max_new_tokens=6)
    again = decoder.model.generate(**kwargs, max_new_tokens=6)
    assert torch.equal(again, bare)
    for row, verdict in enumerate(answer.verdicts):
        if verdict.status is Status.OK:
            assert torch.equal(answer.sequences[row], bare[row, : answer.sequences.shape[1]])


def test_a_cascade_reads_the_prompts_of_the_pass(decoder):
    read = []

    def judge(prompt):
        read.append(prompt)
        return float("bomb" in prompt)

    cascade = Cascade(searched(decoder, "read_out"), judge, band=0.5)
    cascade.calibrate(SAFE[24:70], 0.1)
    read.clear()
    replies = ChatGuard(cascade).answer(SAFE[:24], max_new_tokens=2)
    assert read
    assert set(read) <= set(SAFE[:24])
    assert Status.FAULT not in {reply.verdict.status for reply in replies}
    inputs = decoder.encode(SAFE[:24])
    unread = guarded_generate(decoder.model, inputs, cascade, max_new_tokens=2)
    assert {verdict.status for verdict in unread.verdicts} == {Status.FAULT}  # it cannot judge without them
    assert {verdict.status for verdict in precheck(cascade, inputs, SAFE[:24]).verdicts} != {Status.FAULT}

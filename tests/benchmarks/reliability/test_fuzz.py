"""The run over changed files: a short one finds nothing wrong, and what is wrong is found and named by its case."""

from __future__ import annotations

import os
import signal
import time

import pytest

pytest.importorskip("PIL")
pytest.importorskip("rosbags")
if not hasattr(os, "fork"):
    pytest.skip("the run forks", allow_module_level=True)
from benchmarks.reliability import tables
from benchmarks.reliability.fuzz import fuzz
from benchmarks.reliability.fuzzing.readers import READERS


@pytest.mark.parametrize("name", READERS)
def test_a_few_hundred_cases_of_each_reader_are_clean(name):
    found = fuzz(READERS[name], 7_000_000, 300)
    assert found["examples"] == []
    assert sum(found["outcomes"].values()) == 300
    assert found["outcomes"]["refused"] > 50
    assert name == "profiles" or found["outcomes"]["read"] > 10
    if name == "profiles":
        assert found["outcomes"] == {"refused": 300}


def test_what_goes_wrong_is_named_by_its_case():
    def read(case):
        if case == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if case == 5:
            time.sleep(60)
        if case == 8:
            raise KeyError("x")
        return "read"

    found = fuzz(lambda folder: read, 0, 10, too_long=1.0)
    assert found["outcomes"] == {"read": 7, "wrong": 3}
    assert [one.split(" (")[0] for one in sorted(found["examples"])] == [
        "3: the process ended with -9", "5: no end after 1 s", "8: KeyError: 'x'"
    ]  # fmt: skip
    (table, *words) = tables.fuzz({"some": found})
    assert table.rows[0][:6] == ["some", "10", "0", "7", "3 wrong", "3"]
    assert words[0] == "What went wrong:"


def test_memory_is_limited():
    found = fuzz(lambda folder: lambda case: str(len(bytearray(8 << 30))), 0, 1)
    assert found["wrong"] == 1
    assert "MemoryError" in found["examples"][0]


@pytest.mark.parametrize("name", READERS)
def test_a_case_is_the_same_each_time(name, tmp_path):
    first, second = READERS[name](tmp_path), READERS[name](tmp_path)
    cases = range(40)
    assert [first(case) for case in cases] == [second(case) for case in reversed(cases)][::-1]

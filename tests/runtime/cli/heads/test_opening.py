"""Opening a model and a heads file: what does not fit is one sentence that says what to do."""

from __future__ import annotations

import pytest

from outrider.monitor import ProfileError
from outrider.runtime.cli.heads.opening import file_digest, head_facts, prompts_of

from ...tiny_chat import tiny_model, tiny_tokenizer
from ..outcomes import error_of
from .conftest import write


def test_another_model_is_refused_by_name_of_what_differs(outrider, home, tmp_path, capsys):
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer, seed=1).save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    capsys.readouterr()  # the bar of transformers
    said = error_of(outrider("head", "check", tmp_path / "other", home.safe, "--guard", home.calibrated))
    assert "expected fingerprint" in said
    assert "weights changed" in said


def test_another_dtype_and_system_prompt_are_refused(head, home):
    said = error_of(head("check", home.safe, "--guard", home.calibrated, "--dtype", "bfloat16"))
    assert "expected dtype float32, got bfloat16" in said
    said = error_of(head("check", home.safe, "--guard", home.calibrated, "--system", "tell me"))
    assert "was --system given to the search?" in said


def test_the_dtype_is_that_of_the_file(outrider, home, tmp_path):
    common = "--unsafe", home.unsafe, "--safe", home.safe, "--permutations", "0", "--rows", ":12", "-o", "b.outrider"
    assert outrider("head", "search", home.model, *common, "--dtype", "bfloat16").code == 0
    assert head_facts(tmp_path / "b.outrider")["decoder"]["dtype"] == "bfloat16"
    result = outrider(
        "head", "calibrate", home.model, "--guard", "b.outrider", "--safe", home.safe, "--rows", "24:"
    )  # fmt: skip
    assert result.code == 0


def test_a_profile_of_a_network_is_no_heads_file(calibrated):
    with pytest.raises(ProfileError, match="got the profile of a network"):
        head_facts(calibrated)


def test_many_wrong_lines_are_named_in_part(tmp_path, capsys):
    path = write(tmp_path / "p.jsonl", *["{"] * 9, {"prompt": "a"})
    prompts, wrong = prompts_of(path, "safe", slice(None))
    said = capsys.readouterr().err
    assert (prompts, len(wrong)) == ([{"prompt": "a"}], 9)
    assert said.count("the line is left out") == 5
    assert "9 lines left out in all" in said


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

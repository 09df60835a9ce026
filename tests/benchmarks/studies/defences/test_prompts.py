from __future__ import annotations

from pathlib import Path

from benchmarks.studies.defences import prompts

from .tiny_material import tiny_material


def test_the_prompts_of_a_folder_are_as_many_of_each_set_as_asked_for(folder):
    found = prompts.material(folder, 7, 8)
    assert {name: len(texts) for name, texts in found.pools.tested.items()} == dict.fromkeys(prompts.PARTS, 7)
    assert len(found.asked) == 7 * len(prompts.PARTS)


def test_no_prompt_is_in_two_parts(monkeypatch):
    pools = tiny_material().pools
    monkeypatch.setattr(prompts, "prompts", lambda _folder, _most: pools)
    found = prompts.material(Path("folder"), 7, 8)
    assert [one.text for one in found.asked] == [text for name in prompts.PARTS for text in pools.tested[name]]
    assert [one.unsafe for one in found.asked] == [True] * 5 + [False] * 5
    learning = found.learning
    assert (len(learning.unsafe), len(learning.safe), learning.rate) == (8 + 2, 8 + 2, 0.05)
    assert list(learning.threshold) == [*pools.chosen_with["safe"], *pools.chosen_with["borderline"]]
    every = [*learning.unsafe, *learning.safe, *learning.threshold, *(one.text for one in found.asked)]
    assert len(set(every)) == len(every)

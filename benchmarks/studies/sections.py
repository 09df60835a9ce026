"""Sections of RESULTS.md: those of the safety laboratory."""

from __future__ import annotations

from ..sections import Section
from .clip import tables as clip
from .defences import tables as defences
from .mechanism import tables as mechanism
from .reasons import tables as reasons
from .testbed import tables as testbed

LANGUAGE = (
    "The invented language of Jain et al. (NeurIPS 2024): a text of a grammar, tasks that are bijections of its letters"
    " and their compositions; the pair of task and grammar says what is unsafe. A decoder of 6 layers, 6 heads and"
    " width 192 learns it, and is then tuned to refuse what is unsafe, at a medium rate (M) and a tenth of it (S)."
    " Everything was chosen on validation draws. The paper trains a hundred times as long."
)

STUDIES = (
    Section(
        "Safety tuning on the testbed",
        "studies-testbed",
        "python -m benchmarks.studies.testbed.study --keep",
        f"{LANGUAGE} On two cores the four grammars share one family of bijections, where the paper has four.",
        testbed.testbed,
    ),
    Section(
        "Safety tuning on the testbed, on a GPU",
        "studies-testbed-large",
        "python -m benchmarks.studies.testbed.study --large --device cuda --keep",
        f"{LANGUAGE} This is the larger size: the paper's batch of 512 and its four families of bijections.",
        testbed.testbed,
    ),
    Section(
        "What safety tuning changes",
        "studies-mechanism",
        "python -m benchmarks.studies.mechanism.study --keep",
        "The mechanism that Jain et al. describe, on the models of the testbed on two cores. Measures are computed from"
        " their definitions; the released code takes other vectors in two places. The rules by which a claim held were"
        " fixed before a claim was evaluated on trained models.",
        mechanism.mechanism,
    ),
    Section(
        "Redirecting unsafe concepts of a CLIP",
        "studies-clip",
        "python -m benchmarks.studies.clip.study --keep",
        "A small CLIP (transformers' CLIPModel) learns QuickDraw's sketches with captions, once a seed. Weapons and the"
        " like are unsafe, three of them held out of the tuning. Each base is tuned to redirect them, by SafeR-CLIP to"
        " the nearest safe caption, to one fixed caption, or by Safe-CLIP to fixed partners. Figures are of sketches"
        " that nothing was trained on or chosen by.",
        clip.clip,
    ),
    Section(
        "A reason before the refusal",
        "studies-reasons",
        "python -m benchmarks.studies.reasons.study --prompts FOLDER --keep",
        "SmolLM2-135M is tuned (LoRA, trl) on reasons with a refusal (SafeCoT) or on the refusal alone, with the same"
        " prompts, steps and rate. An answer is judged by its first 32 tokens at most, and not kept. No test prompt,"
        " and no focus word of XSTest's, stands in a training set.",
        reasons.reasons,
    ),
    Section(
        "Defences of a language model",
        "studies-defences",
        "python -m benchmarks.studies.defences.study --prompts FOLDER --keep",
        "Defences in the manner of SODE (Findings of ACL 2024) on SmolLM2-135M and on models tuned from it. Unsafe"
        " prompts that are answered stand against safe prompts that are refused. Answers are judged by their first 32"
        " tokens at most, and not kept. The model is small and weakly aligned: it often neither answers nor refuses.",
        defences.defences,
    ),
)

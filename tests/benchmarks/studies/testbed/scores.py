"""Made-up scores of one seed, in which every claim holds by a known margin."""

from __future__ import annotations

from outrider.networks.testbed import JAILBREAKS, SAFE_KINDS


def of(refused, letters):
    return {"refused": refused, "right": 0.0, "letters": letters, "bound": 2.0}


def scores(shift=0.0):
    """shift: how much less the medium rate refuses of unsafe inputs."""
    safe = {kind: of(0.0, 0.97) for kind in SAFE_KINDS} | {"any": of(0.0, 0.9), "alias-safe": of(0.0, 0.9)}
    models = {"base": {kind: of(0.0, 0.99) for kind in (*safe, "unsafe", *JAILBREAKS, "before adversary", "adversary")}}
    for method, refused, attacked in (("SSFT", 0.95, 0.9), ("DPO", 0.98, 0.5), ("unlearning", 1.0, 0.4)):
        medium = refused - shift
        models[f"{method}-M"] = safe | {
            "unsafe": of(medium, 0.1), **{kind: of(medium - 0.3, 0.5) for kind in JAILBREAKS},
            "before adversary": of(medium, 0.1), "adversary": of(0.2, attacked),
        }  # fmt: skip
        models[f"{method}-S"] = models[f"{method}-M"] | {"unsafe": of(refused - 0.4, 0.5)}
    return models

"""Figures of one seed as `analyse` gives them, with numbers of which every claim holds or none does."""

from __future__ import annotations

from benchmarks.studies.mechanism.claims import BASE, JAILBREAKS, METHODS, name_of

KINDS = ("safe", "unsafe", *JAILBREAKS)
RANDOM = {"distance": [0.1] * 6, "auroc": [0.5] * 6}


def separation(distance, unsafe_rank, position):
    return {
        "distance": distance, "auroc": [0.5] * 5 + [0.9], "shuffled": RANDOM,
        "ranks": {"safe": [20] * 6, "unsafe": [20] * 4 + [unsafe_rank] * 2},
        "position": {kind: [0.5] * 5 + [position] for kind in JAILBREAKS},
    }  # fmt: skip


def model(distance, unsafe_rank, position, unsafe_slope, safe_slope):
    clusters = separation([distance * (layer + 1) / 6 for layer in range(6)], unsafe_rank, position)
    slopes = {kind: {"median": safe_slope, "low": 0, "high": 9} for kind in KINDS}
    slopes["unsafe"] = {"median": unsafe_slope, "low": 0, "high": 9}
    return {"separation": clusters, "separation_first": clusters, "lipschitz": slopes, "behaviour": rates(0.0, 1.0)}


def rates(refused, right):
    return {kind: {"refused": 0.0 if kind == "safe" else refused, "right": right} for kind in KINDS}


def row(layer, name, shape, share, ratio):
    return {
        "layer": layer, "name": f"{layer}.mlp.{name}", "shape": shape,
        "outside": {"share": share, "random_change": 0.7}, "effect": {"ratio": ratio, "random_ratio": 1.1},
    }  # fmt: skip


def figures(*, hold=True, off=0.0):
    """hold: whether every claim does. off: how far this seed's numbers lie from that."""
    base = model(0.6, 20, 0.4, 2.0, 2.0)
    models = {BASE: base}
    for method in METHODS:
        for rate in ("M", "S"):
            far = (6.0 if method == "SSFT" else 12.0) if hold else (0.6 if method == "SSFT" else 0.3)
            of = model(far + off, 8 if hold else 25, (0.8 if hold else 0.1) + off / 50, 1.0 if hold else 4.0,
                       4.0 if hold else 1.0)  # fmt: skip
            share = 0.9 if hold else 0.5
            of["weights"] = [
                row(0, "c_fc", [16, 4], share, 5.0 if hold else 1.0),
                row(0, "c_proj", [4, 16], share, 0.1),
            ]
            first, second = (rates(0.5, 0.95), rates(0.9, 0.94)) if hold else (rates(0.5, 0.95), rates(0.4, 0.5))
            of["scaling"] = [{"alpha": 1.0, "behaviour": first}, {"alpha": 1.5, "behaviour": second}]
            of["random"] = model(0.6, 20, 0.4, 2.0, 2.0)
            models[name_of(method, rate)] = of
    return {"models": models, "kinds": dict.fromkeys(KINDS, 7), "layers": 6}

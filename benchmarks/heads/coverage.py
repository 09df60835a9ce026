"""Head coverage: what it sees of strange pictures in a vision transformer, and of prompts in a language model.

`python -m benchmarks.heads.coverage` trains a small ViT of transformers on scikit-learn's digits in about a minute.
With `--model FOLDER --prompts FILE` it also profiles a decoder on harmless prompts: JSON lines with "prompt" and
"label" (safe or unsafe). Every criterion sees the same taps, the mean output of each attention head, of the same pass.
Profile, threshold and test are three sets that share no sample; thresholds come from trusted samples alone. The figures
are means over splits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from outrider.coverage import CoverageBitmap, HeadCoverage, Mahalanobis, SingleRange
from outrider.monitor import Monitor
from outrider.networks import ImageSet, Network, Observation, TransformerNetwork, load_dataset
from outrider.networks.transformers import import_transformers, open_decoder

from ..results import keep
from ..tables import Table, show

RATE = 0.05
CRITERIA = {
    "head coverage": HeadCoverage(),
    "bitmap of channels": CoverageBitmap(),
    "ranges of channels": SingleRange(),
    "Mahalanobis of channels": Mahalanobis(),
}
TRAINED_ON, PICTURE_SPLITS, PROMPT_SPLITS = 900, 3, 5
PROFILED, CALIBRATED, TESTED, SHUFFLED = 300, 200, 150, 100
Figures = dict[str, dict[str, dict[str, float]]]
"""Of each criterion, of each set: AUROC and the share above the threshold."""


def judged(network: Network, profiled: Any, held_out: Any, sets: Mapping[str, Any]) -> Figures:
    """What each criterion says of sets of samples, the first of them trusted ones: its deviations summed over layers.

    The threshold of each criterion is split-conformal at `RATE` on `held_out`.
    """
    monitor = Monitor(network, {"@attention": list(CRITERIA.values())})
    monitor.profile(profiled, minimum_per_class=1)
    scores = {name: _sums(monitor, samples) for name, samples in {"held out": held_out, **sets}.items()}
    trusted = next(iter(sets))
    found: Figures = {}
    for index, name in enumerate(CRITERIA):
        own = {key: values[:, index] for key, values in scores.items()}
        place = int(np.ceil((len(own["held out"]) + 1) * (1 - RATE))) - 1
        threshold = np.sort(own["held out"])[place]
        found[name] = {
            key: {"auroc": _auroc(own[trusted], own[key]), "above": float((own[key] > threshold).mean())}
            for key in sets
        }
    return found


def _sums(monitor: Monitor, samples: Any, size: int = 20) -> np.ndarray:
    """(samples, criteria): the columns of each criterion, one a layer, summed."""
    rows = [monitor.deviations(samples[start : start + size]) for start in range(0, len(samples), size)]
    deviations = np.concatenate(rows)
    return deviations.reshape(len(deviations), len(CRITERIA), -1).sum(axis=2)


def _auroc(trusted: np.ndarray, others: np.ndarray) -> float:
    scores = np.concatenate([trusted, others])
    scores = np.where(np.isfinite(scores), scores, np.float32(np.finfo(np.float32).max))
    return float(roc_auc_score(np.repeat([0, 1], [len(trusted), len(others)]), scores))


def mean_of(splits: Sequence[Figures]) -> Figures:
    """The mean of each figure over the splits."""
    return {
        name: {
            key: {what: float(np.mean([split[name][key][what] for split in splits])) for what in figures}
            for key, figures in sets.items()
        }
        for name, sets in splits[0].items()
    }


# Pictures.


def vision_transformer(data: ImageSet, seed: int, steps: int = 900) -> Any:
    """A ViT of 4 layers of 4 heads for pictures of 8 x 8, trained on `data` with Adam, in eval mode."""
    transformers = import_transformers()
    torch.manual_seed(seed)
    config = transformers.ViTConfig(
        image_size=8, patch_size=2, num_channels=1, num_hidden_layers=4, num_attention_heads=4, hidden_size=48,
        intermediate_size=96, num_labels=10,
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config).train()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    images, labels = torch.from_numpy(data.floats()), torch.from_numpy(data.labels)
    for _ in range(steps):
        rows = torch.randint(len(images), (64,))
        noisy = images[rows] + 0.05 * torch.randn(64, 1, 8, 8)
        loss = functional.cross_entropy(model(pixel_values=noisy).logits, labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def strange_digits(images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Digits that nobody wrote: (n, 1, 8, 8) float32 each."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.3, images.shape).astype(np.float32)
    shuffled = rng.permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape)
    return {
        "noise": rng.random(images.shape, np.float32),
        "inverted": 1 - images,
        "turned": np.ascontiguousarray(np.rot90(images, axes=(2, 3))),
        "grain": np.clip(images + noise, 0, 1),
        "pixels shuffled": shuffled,
        "two at once": np.maximum(images, rng.permutation(images)),
    }


def of_pictures() -> dict[str, Any]:
    """A network for each split, whose training data are trusted, and its figures."""
    data, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    splits, accuracy = [], []
    for seed in range(PICTURE_SPLITS):
        order = np.random.default_rng(seed).permutation(len(data))
        trained, held_out = data[order[:TRAINED_ON]], data[order[TRAINED_ON:]]
        network = TransformerNetwork(vision_transformer(trained, seed))
        images = test.floats()
        seen = network.observe(images)
        accuracy.append(float((seen.activations[-1].argmax(axis=1) == test.labels).mean()))
        sets = {"test": images, **strange_digits(images, seed)}
        splits.append(judged(network, (trained.floats(), trained.labels), held_out.floats(), sets))
    return {"figures": mean_of(splits), "accuracy": float(np.mean(accuracy)), "splits": len(splits)}


# Prompts.


class Recorded(Network):
    """What another network showed, so that one pass serves all splits: its samples are numbers of rows, (n, 1)."""

    engine, dtype, classes, input_shape = "recorded", "int64", None, (1,)

    def __init__(self, network: Network, rows: np.ndarray, size: int = 10) -> None:
        self.taps, self.fingerprint = network.taps, network.fingerprint
        seen = [network.observe(rows[start : start + size]).activations for start in range(0, len(rows), size)]
        self._activations = [np.concatenate(part) for part in zip(*seen, strict=True)]

    def observe(self, batch: np.ndarray) -> Observation:
        return Observation(batch, None, tuple(values[batch[:, 0]] for values in self._activations))

    def run(self, batch: np.ndarray) -> np.ndarray:
        return batch

    def close(self) -> None:
        self._activations = []


def of_prompts(folder: Path, file: Path) -> dict[str, Any]:
    """A decoder that is profiled on harmless prompts, for each split, and its figures."""
    prompts: dict[str, list[str]] = {"safe": [], "unsafe": []}
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        prompts[record["label"]].append(record["prompt"])
    safe, unsafe = (np.random.default_rng(0).permutation(own).tolist() for own in prompts.values())
    needed = PROFILED + CALIBRATED + TESTED
    if len(safe) < needed + SHUFFLED or len(unsafe) < TESTED:
        raise ValueError(f"{file}: expected {needed + SHUFFLED} safe and {TESTED} unsafe prompts, got fewer")
    decoder = open_decoder(folder)
    texts = {
        "safe": safe[:needed],
        "harmful": unsafe[:TESTED],
        "words shuffled": [
            " ".join(np.random.default_rng(row).permutation(text.split()))
            for row, text in enumerate(safe[needed : needed + SHUFFLED])
        ],
    }
    tokens = {name: [decoder.encode([text])["input_ids"][0].tolist() for text in own] for name, own in texts.items()}
    rng = np.random.default_rng(0)
    template = tokens["safe"][0]
    tokens["random tokens"] = [
        [*template[:4], *rng.integers(100, 40_000, 30).tolist(), *template[-4:]] for _ in range(SHUFFLED)
    ]
    every = [row for own in tokens.values() for row in own]
    network = TransformerNetwork(decoder.model, length=max(map(len, every)))
    recorded = Recorded(network, network.padded(every))
    ends = np.cumsum([len(own) for own in tokens.values()])
    numbers = dict(zip(tokens, np.split(np.arange(len(every))[:, None], ends[:-1]), strict=True))
    splits = []
    for seed in range(PROMPT_SPLITS):
        order = numbers["safe"][np.random.default_rng(seed).permutation(needed)]
        profiled, held_out, test = np.split(order, [PROFILED, PROFILED + CALIBRATED])
        sets = {"test": test, **{name: own for name, own in numbers.items() if name != "safe"}}
        splits.append(judged(recorded, profiled, held_out, sets))
    return {"figures": mean_of(splits), "model": decoder.name, "splits": len(splits)}


def table(title: str, figures: Figures) -> Table:
    """A row per criterion: AUROC against the first set, and the share of samples above the threshold."""
    names = list(next(iter(figures.values())))
    rows = [
        [name, *(f"{sets[key]['auroc']:.3f} ({sets[key]['above']:.2f})" if key != names[0] else
                 f"({sets[key]['above']:.2f})" for key in names)]
        for name, sets in figures.items()
    ]  # fmt: skip
    return Table(title, ["AUROC (above the threshold)", *names], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder or GGUF file of a decoder")
    parser.add_argument("--prompts", type=Path, help='JSON lines with "prompt" and "label"')
    options = parser.parse_args()
    if (options.model is None) != (options.prompts is None):
        parser.error("expected --model and --prompts together, got one of them")
    torch.set_num_threads(1)
    found = {"pictures": of_pictures()}
    if options.model is not None:
        found["prompts"] = of_prompts(options.model, options.prompts)
    for what, result in found.items():
        show([table(f"Attention heads, {what}; means over {result['splits']} splits", result["figures"])])
    show([f"Accuracy of the ViT on its test digits: {found['pictures']['accuracy']:.3f}"])
    keep("head-coverage", found)


if __name__ == "__main__":
    main()

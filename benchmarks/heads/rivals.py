"""What else tells unsafe from safe prompts in a single pass: each learns from the search prompts of both kinds.

Every rival is a function of the features of the unsafe and the safe search prompts, and returns a function that scores
other prompts, (n,); a greater score is less safe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from outrider.monitor import auroc

from .features import REFUSALS, Measured

FOLDS = 5
SAH = 16  # heads whose outputs are concatenated
WEIGHT = 1e-2  # C of the logistic regressions, features standardised

Score = Callable[[Measured], np.ndarray]
Rival = Callable[[Measured, Measured], Score]


def length(unsafe: Measured, safe: Measured) -> Score:
    """The prompt's length in tokens, in the direction that the search prompts have it."""
    sign = 1 if np.mean(unsafe.length) >= np.mean(safe.length) else -1
    return lambda new: sign * new.length.astype(float)


def words(unsafe: Measured, safe: Measured) -> Score:
    """Naive Bayes on which words occur."""
    vectorizer = CountVectorizer(binary=True, tokenizer=re.compile(r"[a-z']+").findall, token_pattern=None)
    model = BernoulliNB().fit(vectorizer.fit_transform([*unsafe.texts, *safe.texts]), labels(unsafe, safe))
    return lambda new: _odds(model.predict_log_proba(vectorizer.transform(new.texts)))


def probe(unsafe: Measured, safe: Measured) -> Score:
    """Logistic regression on the state of one layer, the one whose cross-validated AUROC is best."""
    x, y = np.concatenate([unsafe.states, safe.states]), labels(unsafe, safe)
    best = int(np.argmax(crossed(x, y)))
    model = _logistic().fit(x[:, best], y)
    return lambda new: model.decision_function(new.states[:, best])


def safety_heads(unsafe: Measured, safe: Measured) -> Score:
    """Logistic regression on the outputs of 16 heads together (SAHs), those whose own probes are best."""
    x, y = np.concatenate([_flat(unsafe), _flat(safe)]), labels(unsafe, safe)
    chosen = np.argsort(-crossed(x, y), kind="stable")[:SAH]
    model = _logistic().fit(x[:, chosen].reshape(len(x), -1), y)
    return lambda new: model.decision_function(_flat(new)[:, chosen].reshape(len(new), -1))


def hidden_detect(unsafe: Measured, safe: Measured) -> Score:
    """Cosine to refusal words in the vocabulary (HiddenDetect, ACL 2025), summed over the layers that tell.

    A reconstruction: those layers count whose mean difference of the kinds is at least the last layer's.
    """
    gap = unsafe.words.mean(0) - safe.words.mean(0)
    layers = gap >= gap[-1]
    return lambda new: new.words[:, layers].sum(1)


def refusal(_unsafe: Measured, _safe: Measured) -> Score:
    """The log-probability that the answer begins with any of `REFUSALS`."""
    return lambda new: np.logaddexp.reduce(new.refusal.astype(float), axis=1)


def sorry(_unsafe: Measured, _safe: Measured) -> Score:
    """The log-probability that the answer begins with `Sorry`, the beginning that the tuning teaches."""
    place = REFUSALS.index("Sorry")
    return lambda new: new.refusal[:, place].astype(float)


def clusters(unsafe: Measured, safe: Measured) -> Score:
    """How much nearer the MLP's output is to the mean of unsafe prompts than of safe ones, −τ (Jain et al., 2024).

    One layer, the one whose cross-validated AUROC is best; at the last prompt token, where the paper averages over
    ten tokens of the answer.
    """
    x, y = np.concatenate([unsafe.mlp, safe.mlp]).astype(float), labels(unsafe, safe)
    found = []
    for layer in range(x.shape[1]):
        out = np.empty(len(y))
        for seen, left in _folds(y):
            out[left] = _nearer(x[seen, layer], y[seen])(x[left, layer])
        found.append(auroc(out[y == 0], out[y == 1]))
    best = int(np.argmax(found))
    score = _nearer(x[:, best], y)
    return lambda new: score(new.mlp[:, best].astype(float))


RIVALS: dict[str, Rival] = {
    "prompt length": length,
    "words (naive Bayes)": words,
    "linear probe, best layer": probe,
    f"probe on {SAH} heads (SAHs)": safety_heads,
    "cosine to refusal words (HiddenDetect)": hidden_detect,
    "refusal log-probability": refusal,
    "log-probability of “Sorry”": sorry,
    "cluster distance of MLPs": clusters,
}


def labels(unsafe: Measured, safe: Measured) -> np.ndarray:
    """1 for each unsafe prompt, then 0 for each safe one."""
    return np.concatenate([np.ones(len(unsafe), int), np.zeros(len(safe), int)])


def crossed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The cross-validated AUROC of a ridge regression on each part, (parts,). x: (n, parts, values). y: (n,) of 0, 1.

    It stands for the logistic regression where one part of many is chosen: all of them are solved at once.
    """
    x, out = x.transpose(1, 0, 2).astype(float), np.empty((x.shape[1], len(y)))
    for seen, left in _folds(y):
        mean, scale = x[:, seen].mean(1, keepdims=True), x[:, seen].std(1, keepdims=True)
        z = (x - mean) / np.where(scale > 0, scale, 1)
        kernel = z[:, seen] @ z[:, seen].transpose(0, 2, 1)
        weights = np.linalg.solve(kernel + x.shape[2] * np.eye(len(seen)), (y[seen] - y[seen].mean())[:, None])
        out[:, left] = (z[:, left] @ (z[:, seen].transpose(0, 2, 1) @ weights))[..., 0]
    return np.array([auroc(scores[y == 0], scores[y == 1]) for scores in out])


def _nearer(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    unsafe, safe = x[y == 1].mean(0), x[y == 0].mean(0)
    return lambda new: np.linalg.norm(new - safe, axis=1) - np.linalg.norm(new - unsafe, axis=1)


def _folds(y: np.ndarray) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(np.zeros(len(y)), y))


def _logistic() -> LogisticRegression:
    return make_pipeline(StandardScaler(), LogisticRegression(C=WEIGHT, max_iter=1000))


def _flat(features: Measured) -> np.ndarray:
    return features.heads.reshape(len(features), -1, features.heads.shape[-1])


def _odds(log_probabilities: np.ndarray) -> np.ndarray:
    return log_probabilities[:, 1] - log_probabilities[:, 0]

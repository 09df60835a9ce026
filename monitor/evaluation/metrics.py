"""How far scores tell unsafe frames from clean ones, and how well the frames that pass are classified.

Unsafe is the positive class and a higher score means less covered. NaN counts as the highest score, as the monitor
alarms on it. Frames of one score are one step: no figure depends on the order of the frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TPR = 0.95
"""The share of unsafe frames that is caught where the false alarms are counted."""
_ROUNDING = 1e-9


class Ranks(NamedTuple):
    """Scores by their rank: the number of the level of each, from 0 for the lowest.

    clean: (n,) int64. unsafe: (m,) int64. levels: how many scores differ.
    """

    clean: np.ndarray
    unsafe: np.ndarray
    levels: int

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """How many clean and how many unsafe frames each level has, (levels,) each."""
        return np.bincount(self.clean, minlength=self.levels), np.bincount(self.unsafe, minlength=self.levels)


def ranks(clean: np.ndarray, unsafe: np.ndarray) -> Ranks:
    """The ranks of scores (n,) and (m,) among each other. Raises ValueError where there is no score of one kind."""
    parts = _highest(clean, "clean"), _highest(unsafe, "unsafe")
    values, places = np.unique(np.concatenate(parts), return_inverse=True)
    return Ranks(places[: len(parts[0])], places[len(parts[0]) :], len(values))


def roc_curve(clean: np.ndarray, unsafe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The false alarms and the unsafe frames caught, as shares (k,) each, from no alarm to all.

    clean: (n,) scores. unsafe: (m,) scores. There is a point for each score, at which it and all above alarm.
    Raises ValueError where there are none.
    """
    false, caught = (np.cumsum(counts[::-1]) for counts in ranks(clean, unsafe).counts())
    return np.append(0.0, false / false[-1]), np.append(0.0, caught / caught[-1])


def aupr(clean: np.ndarray, unsafe: np.ndarray) -> float:
    """The area under precision over recall of unsafe frames, as average precision: no interpolation.

    It depends on how many frames of either kind there are. clean: (n,) scores. unsafe: (m,) scores.
    Raises ValueError where there are none.
    """
    return aupr_of(*ranks(clean, unsafe).counts())


def fpr_at_tpr(clean: np.ndarray, unsafe: np.ndarray, tpr: float = TPR) -> float:
    """The smallest share of clean frames that alarms where at least the share `tpr` of unsafe ones is caught.

    clean: (n,) scores. unsafe: (m,) scores. The threshold is chosen with the unsafe frames in view: it is none to use.
    Raises ValueError where there are none and for a share outside (0, 1].
    """
    if not 0 < tpr <= 1:
        raise ValueError(f"expected a share above 0 and at most 1, such as 0.95, got {tpr!r}")
    return fpr_of(*ranks(clean, unsafe).counts(), tpr)


def risk_coverage(scores: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of frames that passes, and the share of errors among these, (k,) each (El-Yaniv and Wiener, 2010).

    scores: (n,). wrong: (n,) bool, whether the network errs. There is a point for each score, at which it and all below
    pass. Raises ValueError where there are none.
    """
    passed, errors = (np.cumsum(counts) for counts in _by_level(scores, wrong))
    return passed / passed[-1], errors / passed


def aurc(scores: np.ndarray, wrong: np.ndarray) -> float:
    """The area under risk over coverage: the mean, over 1 to n frames that pass, of the share of errors among them.

    Geifman, Uziel and El-Yaniv (ICLR 2019). Frames of one score pass in any order: it is the mean over all orders.
    scores: (n,). wrong: (n,) bool. Raises ValueError where there are none.
    """
    return aurc_of(*_by_level(scores, wrong))


def auroc_of(clean: np.ndarray, unsafe: np.ndarray) -> float:
    """The AUROC of frames counted by level, (levels,) each, the lowest first; ties count half."""
    above = np.cumsum(clean) - clean / 2
    return float(above @ unsafe / (clean.sum() * unsafe.sum()))


def aupr_of(clean: np.ndarray, unsafe: np.ndarray) -> float:
    """As `aupr`, of frames counted by level."""
    caught, false = np.cumsum(unsafe[::-1]), np.cumsum(clean[::-1])
    return float(unsafe[::-1] @ (caught / np.maximum(caught + false, 1)) / caught[-1])


def fpr_of(clean: np.ndarray, unsafe: np.ndarray, tpr: float = TPR) -> float:
    """As `fpr_at_tpr`, of frames counted by level."""
    caught, false = np.cumsum(unsafe[::-1]), np.cumsum(clean[::-1])
    place = int(np.searchsorted(caught, tpr * caught[-1] - _ROUNDING))
    return float(false[place] / false[-1])


def aurc_of(passed: np.ndarray, errors: np.ndarray) -> float:
    """As `aurc`, of frames counted by level, and the errors among them; whole numbers."""
    n, wrong = passed.astype(np.int64), errors.astype(np.float64)
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, n.sum() + 1)))
    after = np.cumsum(n)
    before, share = after - n, wrong / np.maximum(n, 1)
    # Of a level that n frames share, C passed before and E of them are wrong: the sum of (E + k share) / (C + k).
    rest = np.cumsum(wrong) - wrong - share * before
    return float((n * share + rest * (harmonic[after] - harmonic[before])).sum() / after[-1])


def levels_of(scores: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rank of each score (n,), from 0 for the lowest, and `wrong` as (n,) bool. Raises ValueError for others."""
    given, errors = _highest(scores, "judged"), np.asarray(wrong)
    if errors.shape != given.shape or errors.dtype != bool:
        raise ValueError(
            f"expected whether the network errs for each of {len(given)} frames, got {errors.dtype} of {errors.shape}"
        )
    return np.unique(given, return_inverse=True)[1], errors


def _by_level(scores: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many frames, and how many errors, each score has, the lowest score first."""
    places, errors = levels_of(scores, wrong)
    return np.bincount(places), np.bincount(places, errors)


def _highest(scores: np.ndarray, kind: str) -> np.ndarray:
    """The scores as float64, with NaN as the highest. Raises ValueError where there are none."""
    values = np.array(scores, np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"expected scores (n,) of {kind} frames, got shape {values.shape}")
    values[np.isnan(values)] = np.inf
    return values

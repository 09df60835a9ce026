"""What the trusted data covered: criteria summarise neurons and measure how far a new batch lies outside.

Public is what `__all__` names, and nothing else: the criteria, their base `Criterion` with `check_criterion` for a
criterion of your own, criteria by name and by text, the `Signature` that each keeps of a layer, and what compares
many signatures at once (`join`) or tells the neurons of one apart (`neuron_parts`).
"""

from __future__ import annotations

if __name__ == "coverage":  # numba imports coverage.py by this name; started in our root it would find us and die
    raise ImportError(
        "expected outrider.coverage, got coverage: this folder is not coverage.py; import outrider.coverage"
    )

from .catalogue import criterion_names, describe_criterion, make_criterion, parse_criterion
from .conformance import check_criterion
from .criteria.bitmap import CoverageBitmap
from .criteria.box import Box
from .criteria.class_mahalanobis import ClassMahalanobis
from .criteria.gaussian import Gaussian
from .criteria.head_coverage import HeadCoverage
from .criteria.mahalanobis import Mahalanobis
from .criteria.multi_range import MultiRange
from .criteria.nearest_neighbour import NearestNeighbour
from .criteria.neighbours import Neighbours
from .criteria.neuron_rank import NeuronRank
from .criteria.norm import Norm
from .criteria.pattern import Pattern
from .criteria.relative_mahalanobis import RelativeMahalanobis
from .criteria.scores.energy import Energy
from .criteria.scores.margin import Margin
from .criteria.scores.softmax import Softmax
from .criteria.single_range import SingleRange
from .criterion import Criterion
from .joined import Joined, Parts, join, neuron_parts
from .signature import Signature

__all__ = [
    "Box", "ClassMahalanobis", "CoverageBitmap", "Criterion", "Energy", "Gaussian", "HeadCoverage", "Joined",
    "Mahalanobis", "Margin", "MultiRange", "NearestNeighbour", "Neighbours", "NeuronRank", "Norm", "Parts", "Pattern",
    "RelativeMahalanobis", "Signature", "SingleRange", "Softmax", "check_criterion", "criterion_names",
    "describe_criterion", "join", "make_criterion", "neuron_parts", "parse_criterion",
]  # fmt: skip

"""What the trusted data covered: criteria that summarise neurons and measure how far a new batch lies outside."""

from __future__ import annotations

if __name__ == "coverage":  # numba imports coverage.py by this name; started in our root it would find us and die
    raise ImportError(
        "expected outrider.coverage, got coverage: this folder is not coverage.py; import outrider.coverage"
    )

from .bitmap import CoverageBitmap
from .catalogue import criterion_names, describe_criterion, make_criterion, parse_criterion
from .conformance import check_criterion
from .criterion import Criterion
from .gaussian import Gaussian, Mahalanobis
from .joined import Joined, Parts, join, neuron_parts
from .multi_range import MultiRange
from .nearest_neighbour import NearestNeighbour
from .neuron_rank import NeuronRank
from .signature import Signature
from .single_range import SingleRange
from .softmax import Softmax

__all__ = [
    "CoverageBitmap",
    "Criterion",
    "Gaussian",
    "Joined",
    "Mahalanobis",
    "MultiRange",
    "NearestNeighbour",
    "NeuronRank",
    "Parts",
    "Signature",
    "SingleRange",
    "Softmax",
    "check_criterion",
    "criterion_names",
    "describe_criterion",
    "join",
    "make_criterion",
    "neuron_parts",
    "parse_criterion",
]

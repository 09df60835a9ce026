"""Cheaper taps: `python -m benchmarks.detection.stages mobilenet` (or another network of the detection tables).

`taps="stages"` observes of each size of map the last of the widest. The rows compare the default criteria on these taps
and on the default taps, each with and without the first activation unit by unit. `neurons="sample7"` reads at most
7 x 7 places of each map, `sample4` at most 4 x 4. All else is equal. Splits and columns are those of
`benchmarks.detection.detectors`. `mobilenet` runs in ONNX Runtime, as in `benchmarks.cost.onnx`, and has four rows more
for that benchmark's criterion `bitmap`. Nothing was chosen by these figures.
"""

from __future__ import annotations

import argparse
import sys

from outrider.coverage import CoverageBitmap
from outrider.monitor import Monitor, ZScore

from ..results import keep
from ..tables import show
from . import tables
from .detectors import NO_DATA, Run
from .experiments import NAMES, Experiment
from .rows import Row

TAPS: dict[str, dict] = {
    tables.DEFAULT: {},
    "default, taps stages": {"taps": "stages"},
    "default, taps stages and first:unit": {"taps": ("stages", "first:unit")},
    "default, taps auto": {"taps": "auto"},
    "default, sample7": {"neurons": "sample7"},
    "default, sample4": {"neurons": "sample4"},
}
BITMAPS = (
    {"taps": "auto"},
    {"taps": "stages"},
    {"taps": "auto", "neurons": "sample7"},
    {"taps": "auto", "neurons": "sample4"},
)


def choices(made: Experiment) -> tuple[list[Row], dict[str, list[str]]]:
    """The rows, and the taps of every choice; a choice that comes to the same as an earlier one gets no row."""
    rows: list[Row] = []
    taps: dict[str, list[str]] = {}
    for name, options in TAPS.items():
        chosen = [tap.id for tap in made.network(**options).taps]
        same = [known for known, ids in taps.items() if ids == chosen]
        taps[name] = chosen
        said = [f"the same as {same[0]!r}"] if same else chosen if len(chosen) < 10 else []
        print(f"{name}: {len(chosen)} taps", *said, sep="\n  ", flush=True)
        if not same:
            rows.append(Row(name, "", None, lambda options=options: Monitor(made.network(**options))))

    def bitmap(options: dict[str, str]) -> Monitor:
        return Monitor(made.network(**options), CoverageBitmap(), logic=ZScore())

    for options in BITMAPS if made.name == "mobilenet" else ():
        name = f"bitmap, z of log, {', '.join(options.values())}"
        rows.append(Row(name, "", CoverageBitmap(), lambda options=options: bitmap(options)))
    return rows, taps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NAMES, nargs="?", default="mobilenet")
    chosen = parser.parse_args().network
    try:
        found = Run(chosen)
    except FileNotFoundError as error:
        print(error)
        return NO_DATA
    rows, taps = choices(found.experiment)
    found.add(rows)
    figures = found.figures() | {"network": found.experiment.name, "taps": taps}
    show(tables.stages(figures))
    keep(f"stages-{chosen}", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())

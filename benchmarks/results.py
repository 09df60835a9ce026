"""The raw figures of the benchmarks: one JSON file each in `results/`, with the machine and the date."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from outrider.networks.cost import processor

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    """What a benchmark found, as JSON types, and the machine it ran on."""

    figures: Any
    processor: str
    cores: int
    python: str
    date: str


def names() -> list[str]:
    """The results that are kept."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str, folder: Path = FOLDER) -> Result:
    """A kept result. Raises FileNotFoundError where there is none."""
    stored = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return Result(stored["result"], **stored["machine"])


def keep(name: str, figures: Any, folder: Path = FOLDER, device: str = "cpu") -> None:
    """Write the figures, JSON types, with the machine they were measured on, to NAME.json. device: cpu, or cuda."""
    folder.mkdir(exist_ok=True)
    machine = {
        "processor": processor() if device == "cpu" else _accelerator(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "date": datetime.now(timezone.utc).date().isoformat(),
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine, "result": figures}, indent=1) + "\n", encoding="utf-8")
    print(f"Raw figures: {path}. `python -m benchmarks.report` puts them into RESULTS.md.")


def _accelerator() -> str:
    import torch

    return f"one {torch.cuda.get_device_name()}"

"""transformers first, in the way that works beside any torchvision: peft imports it too."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.networks.transformers import import_transformers

import_transformers()

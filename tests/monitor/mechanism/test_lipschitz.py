"""The gradient's norm against finite differences, and against a model whose gradient is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.monitor.mechanism import TokenInputs, lipschitz, median_interval  # noqa: E402

from .tiny import MODELS, gpt2, on_the_left, sequences  # noqa: E402


def by_differences(model, inputs, row, step=2e-3):
    """Central differences of float64 logits. Llama's norms compute in float32, so the step is not small."""
    model = model.double()
    tokens = inputs.tokens[row, : inputs.last[row] + 1]
    embedded = model.get_input_embeddings()(tokens[None]).detach()

    def highest(values, at):
        with torch.no_grad():
            return model(inputs_embeds=values).logits[0, -1, at].item()

    with torch.no_grad():
        at = int(model(inputs_embeds=embedded).logits[0, -1].argmax())
    total = 0.0
    for place in np.ndindex(*embedded.shape):
        up, down = embedded.clone(), embedded.clone()
        up[place] += step
        down[place] -= step
        total += ((highest(up, at) - highest(down, at)) / (2 * step)) ** 2
    return total**0.5


@pytest.mark.parametrize("name", MODELS)
def test_the_norm_is_that_of_finite_differences(name):
    inputs = sequences(n=2)
    found = lipschitz(MODELS[name](), inputs)
    for row in range(2):
        assert found[row] == pytest.approx(by_differences(MODELS[name](), inputs, row), rel=2e-3)


class Linear(torch.nn.Module):
    """logits at a place: the sum of all embeddings up to there, through one matrix."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = torch.nn.Parameter(matrix)
        self.embedding = torch.nn.Embedding(5, matrix.shape[1])

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids=None, attention_mask=None, use_cache=None, inputs_embeds=None):
        seen = inputs_embeds * attention_mask[..., None]
        return SimpleNamespace(logits=seen.cumsum(1) @ self.matrix.T)


def test_a_linear_model_has_the_norm_of_its_row():
    """Each of the k tokens of the prompt gets the same row w: √k ‖w‖."""
    model = Linear(torch.tensor([[3.0, 4.0], [3.0, 4.0]])).eval()
    mask = torch.ones(3, 6, dtype=torch.long)
    inputs = TokenInputs(torch.zeros(3, 6, dtype=torch.long), mask, torch.tensor([0, 3, 5]))
    np.testing.assert_allclose(lipschitz(model, inputs), [5, 10, 5 * 6**0.5], rtol=1e-6)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_padding_and_what_stands_behind_have_no_part(name):
    model, inputs = MODELS[name](), sequences()
    alone = [lipschitz(model, TokenInputs(inputs.tokens[i : i + 1, : e + 1], inputs.mask[i : i + 1, : e + 1],
                                          inputs.last[i : i + 1]))[0] for i, e in enumerate(inputs.last)]  # fmt: skip
    np.testing.assert_allclose(lipschitz(model, inputs, batch=2), alone, rtol=1e-4)
    np.testing.assert_allclose(lipschitz(model, on_the_left(inputs)), alone, rtol=1e-4)


def test_progress_is_told_and_training_refused():
    seen = []
    lipschitz(gpt2(), sequences(), batch=4, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(4, 5), (5, 5)]
    with pytest.raises(ValueError, match="eval mode"):
        lipschitz(gpt2().train(), sequences())


def test_the_interval_of_a_median_is_that_of_the_tables():
    """Conover's tables: 95 % for n = 6 is the whole range, for n = 10 the 2nd to the 9th, for 20 the 6th to 15th."""
    for n, low in ((1, 1), (5, 1), (6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (100, 40)):
        middle, first, last = median_interval(np.arange(n, 0, -1))
        assert (middle, first, last) == ((n + 1) / 2, low, n + 1 - low), n
    with pytest.raises(ValueError, match="at least one"):
        median_interval(np.empty(0))

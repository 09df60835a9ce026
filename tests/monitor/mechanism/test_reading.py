"""Readings against hooks written by hand, one sequence at a time and without padding."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.monitor.mechanism import TokenInputs, read  # noqa: E402
from outrider.monitor.mechanism.reading import forward, matrix_modules, mlps  # noqa: E402

from .tiny import LAYERS, MODELS, WIDTH, gpt2, llama, on_the_left, sequences  # noqa: E402


def layers_of(model):
    return model.transformer.h if hasattr(model, "transformer") else model.model.layers


def alone(model, inputs, row, count):
    """Mean MLP output of each layer for one row, its padding cut off."""
    kept = []
    handles = [layer.mlp.register_forward_hook(lambda _m, _i, out: kept.append(out[0])) for layer in layers_of(model)]
    with torch.no_grad():
        model(inputs.tokens[row][inputs.mask[row].bool()][None])
    for handle in handles:
        handle.remove()
    start = int(inputs.last[row] - (1 - inputs.mask[row])[: inputs.last[row]].sum())
    return np.stack([values[start : start + count].mean(0).numpy() for values in kept])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("padding", ["right", "left"])
def test_outputs_are_those_of_each_sequence_alone(name, padding):
    model, inputs = MODELS[name](), sequences()
    inputs = inputs if padding == "right" else on_the_left(inputs)
    found = read(model, inputs, positions=3, batch=2)
    assert found.outputs.shape == (LAYERS, len(inputs), WIDTH)
    assert found.outputs.dtype == np.float32
    for row in range(len(inputs)):
        np.testing.assert_allclose(found.outputs[:, row], alone(model, inputs, row, 3), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.first[:, row], alone(model, inputs, row, 1), rtol=1e-4, atol=1e-5)


def test_what_a_matrix_is_fed_gives_what_it_says():
    model, inputs = llama(), sequences()
    found = read(model, inputs, positions=1, matrices=True)
    assert set(found.inputs) == {f"{i}.mlp.{name}_proj" for i in range(LAYERS) for name in ("gate", "up", "down")}
    down = model.model.layers[1].mlp.down_proj.weight.detach().numpy()
    np.testing.assert_allclose(found.inputs["1.mlp.down_proj"] @ down.T, found.outputs[1], rtol=1e-4, atol=1e-5)


def test_the_matrices_of_the_attention_come_when_asked_for():
    names = {name.split(".", 1)[1] for name in matrix_modules(gpt2(), attention=True)}
    assert names == {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"}
    assert {name.split(".", 1)[1] for name in matrix_modules(gpt2())} == {"mlp.c_fc", "mlp.c_proj"}
    fed = read(gpt2(), sequences(), positions=2, matrices=True, attention=True).inputs
    assert fed["0.attn.c_attn"].shape == (5, WIDTH)


def test_what_stands_behind_the_positions_has_no_part():
    model, inputs = gpt2(), sequences()
    changed = inputs.tokens.clone()
    places = inputs.places(2)
    behind = torch.arange(changed.shape[1]) > places[:, -1:]
    changed[behind] = 1
    other = TokenInputs(changed, inputs.mask, inputs.last)
    np.testing.assert_array_equal(read(model, inputs, positions=2).outputs, read(model, other, positions=2).outputs)
    assert not np.allclose(read(model, inputs, positions=4).outputs, read(model, other, positions=4).outputs)


def test_progress_and_hooks():
    model, seen = gpt2(), []
    read(model, sequences(), positions=1, batch=2, matrices=True, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with pytest.raises(ValueError, match="output positions"):
        read(model, sequences(), positions=30)
    assert not any(module._forward_hooks for module in model.modules())


def test_other_models_are_refused():
    with pytest.raises(ValueError, match="eval mode"):
        read(gpt2().train(), sequences(), positions=1)
    model = gpt2()
    del model.transformer.h[1].mlp
    with pytest.raises(ValueError, match="layer 1: expected an MLP"):
        mlps(model)
    with pytest.raises(TypeError):
        mlps(torch.nn.Linear(2, 2))


def test_the_logits_kept_are_the_last():
    model, given = llama(), sequences()
    inputs = TokenInputs(given.tokens, torch.ones_like(given.mask), given.last)
    with torch.no_grad():
        whole = model(input_ids=inputs.tokens, attention_mask=inputs.mask).logits
        torch.testing.assert_close(forward(model, inputs, 3), whole[:, -3:])
        embedded = model.get_input_embeddings()(inputs.tokens)
        torch.testing.assert_close(forward(model, inputs, 2, embedded), whole[:, -2:])

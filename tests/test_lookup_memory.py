"""What is read by labels has its gradient added up at them: no rows of zeros with a single 1 are made to be multiplied."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from codegen.support import numpy_support, torch_support
from generated.numpy import embedding, embedding_bag, picked

GENERATED = Path(embedding.__file__).parent.parent
LENGTH = 3000
LABELS = np.random.default_rng(0).integers(0, LENGTH, (LENGTH, 1))
TABLES = {
    embedding: (np.ones((LENGTH, 2)), LABELS.reshape(1, -1)),
    embedding_bag: (np.ones((LENGTH, 2)), LABELS),
    picked: (np.ones((1, LENGTH)), LABELS.reshape(1, -1)),
}


@pytest.mark.parametrize("layer", TABLES, ids=lambda layer: layer.__name__.rpartition(".")[2])
def test_the_gradient_of_a_lookup_takes_the_memory_of_its_result(layer: object) -> None:
    table, labels = TABLES[layer]
    value, saved = layer.forward(table, labels)  # type: ignore[attr-defined]
    upstream = np.ones_like(value)
    tracemalloc.start()
    found = layer.backward(upstream, saved)  # type: ignore[attr-defined]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gradient = found[0] if isinstance(found, tuple) else found
    assert peak < 20 * (gradient.nbytes + upstream.nbytes) < LENGTH * LENGTH
    assert gradient.sum() == pytest.approx(upstream.sum())


def test_no_kernel_multiplies_rows_with_a_single_one() -> None:
    for path in sorted(GENERATED.glob("*/*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"_one_hot\(.*@|@ _one_hot\(", line), f"{path}: {line}"


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("rest", [(), (3,)])
@pytest.mark.parametrize("count", [0, 5])
def test_values_add_up_at_their_labels(batch: int, rest: tuple[int, ...], count: int) -> None:
    draw = np.random.default_rng(1)
    labels, values = draw.integers(0, 4, (2, count)), draw.standard_normal((2, count, *rest))
    hot = (labels[..., None] == np.arange(4)).astype(float)
    kept = "ab"[:batch]
    wanted = np.einsum(f"abv,ab...->{kept}v...", hot, values)
    np.testing.assert_allclose(numpy_support._scatter(labels, values, 4, batch), wanted)
    found = torch_support._scatter(torch.tensor(labels), torch.tensor(values), 4, batch)
    np.testing.assert_allclose(found.numpy(), wanted)


def test_half_precision_is_added_up_in_float32() -> None:
    labels, values = torch.zeros(4096, dtype=torch.long), torch.full((4096,), 0.25, dtype=torch.bfloat16)
    assert torch_support._scatter(labels, values, 1, 0).item() == 1024

"""Large products of a torch kernel are oneDNN's, and are the same products; what is picked or added is picked and added in time."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from kernel_checks import arrays
from kernel_reference import inputs_of, is_real
from kernel_switches import derivatives, in_parts
from torch import Tensor

from codegen.passes.reuse import marked, picked_first
from codegen.program import Block, Op, Read
from codegen.support import numpy_support, torch_support
from derive.expr import Idx
from derive.layers import layer as named

I, J = Idx("i", "I"), Idx("j", "J")
SHAPES = {"rows": 67, "inner": 35, "columns": 45}

needs_onednn = pytest.mark.skipif(torch_support._linear() is None, reason="torch is built without oneDNN")


def counted(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let oneDNN take every product that it can, and say which it took."""
    linear, taken = module._linear(), []
    monkeypatch.setattr(module, "_LARGE", 1)
    monkeypatch.setattr(module, "_linear", lambda: lambda a, *rest: (taken.append(a.shape), linear(a, *rest))[1])
    return taken


def gapped(shape: tuple[int, ...]) -> Tensor:
    """Rows with gaps between them, as a slice of columns has."""
    return torch.randn(*shape[:-1], 2 * shape[-1])[..., : shape[-1]]


LAYOUTS: dict[str, Callable[[tuple[int, ...]], Tensor]] = {
    "rows": torch.randn,
    "columns": lambda shape: torch.randn(*shape[:-2], shape[-1], shape[-2]).mT,
    "gaps": gapped,
    "gaps in columns": lambda shape: gapped((*shape[:-2], shape[-1], shape[-2])).mT,
    "one row, many times": lambda shape: torch.randn(*shape[:-2], 1, shape[-1]).expand(shape),
    "every second": lambda shape: torch.randn(*shape[:-1], 2 * shape[-1])[..., ::2],
}


@needs_onednn
@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
def test_a_large_product_is_the_product_however_its_operands_lie(first: str, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = counted(torch_support, monkeypatch)
    a, b = LAYOUTS[first]((SHAPES["rows"], SHAPES["inner"])), LAYOUTS[second]((SHAPES["inner"], SHAPES["columns"]))
    want = (a.double() @ b.double()).float()
    torch.testing.assert_close(torch_support._product(a, b), want, rtol=1e-5, atol=1e-4)
    batch = torch_support._product(a.expand(1, 1, *a.shape), b.expand(1, 1, *b.shape))
    torch.testing.assert_close(batch, want.expand(1, 1, *want.shape), rtol=1e-5, atol=1e-4)
    assert len(taken) == 2
    for few in (False, True):
        # In one go, and some rows at a time: there are at least 64 of them.
        monkeypatch.setattr(torch_support, "_CACHE", 1 if few else 1 << 20)
        out, total = torch.full_like(want, torch.nan), torch.ones_like(want)
        assert torch_support._product(a, b, out=out) is out
        torch.testing.assert_close(out, want, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(torch_support._product(a, b, spare=torch.empty_like(want)), want, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(torch_support._accumulate(total, a, b), want + 1, rtol=1e-5, atol=1e-4)


@needs_onednn
@pytest.mark.filterwarnings("ignore:TF32")
def test_what_onednn_does_not_know_or_must_not_see_stays_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = counted(torch_support, monkeypatch)
    a, b = torch.randn(20, 30), torch.randn(30, 40)
    product = torch_support._product
    assert product(a.double(), b.double()).dtype == torch.float64
    assert product(a[:3], b).shape == (3, 40) and product(a, b[:, :3]).shape == (20, 3)
    torch.testing.assert_close(product(a.expand(3, 20, 30), b.expand(3, 30, 40))[2], a @ b)
    recorded = product(a.requires_grad_(), b)
    (gradient,) = torch.autograd.grad(recorded.sum(), a)
    torch.testing.assert_close(gradient, b.sum(1).expand(20, 30))
    a = a.detach()
    torch.testing.assert_close(torch.func.vmap(lambda row: product(row, b))(a.expand(3, 20, 30))[1], a @ b)
    with torch.autocast("cpu", torch.bfloat16):
        assert product(a, b).dtype == torch.bfloat16
    with torch.backends.mkldnn.flags(enabled=False):
        product(a, b)
    torch.compile(product, backend="eager", fullgraph=True)(a, b)
    assert not taken
    product(a, b)
    assert len(taken) == 1


@needs_onednn
@pytest.mark.parametrize(
    ("name", "parts"),
    [("linear", False), *itertools.product(("attention_causal", "linear_cross_entropy", "mlp_gelu"), (False, True))],
)
def test_a_kernel_with_these_products_computes_what_it_computes_in_float64(name: str, parts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, kernel = named(name), importlib.import_module(f"generated.torch.{name}")
    dims = dict.fromkeys(dim for each in layer.inputs for dim in (*layer.tensor(each).dims, *filter(None, [layer.tensor(each).values])))
    heads = ("B", "H") if "H" in dims else ()  # oneDNN takes one matrix at a time
    sizes = {dim: 1 if dim in heads else 17 + 2 * n for n, dim in enumerate(dims)}
    exact = inputs_of(layer, sizes)
    want = derivatives(layer, getattr(kernel, name), exact)
    taken = counted(kernel, monkeypatch)
    if parts:
        in_parts(kernel, monkeypatch.setattr)
        monkeypatch.setattr(kernel, "_parts", lambda lengths, *_: itertools.product(*([slice(0, 16), slice(16, n)] for n in lengths)))
    found = derivatives(layer, getattr(kernel, name), [t.detach().float() if is_real(t) else t for t in exact])
    assert taken
    for mine, other in zip(arrays(found), arrays(want), strict=True):
        assert np.abs(mine - other).max() <= 2e-4 * max(np.abs(other).max(), 1)


def test_entries_that_are_picked_are_read_before_their_array_is_written_over() -> None:
    product = Op("Z", "contract", (I, J), (Read("X", (I, Idx("k", "K"))), Read("W", (Idx("k", "K"), J))), (Idx("k", "K"),))
    largest = Op("m", "reduce", (I,), (Read("Z", (I, J)),), (J,), "max")
    minus = Op("%1", "number", number=Fraction(-1))
    negative = Op("%2", "map", (I,), (Read("%1"), Read("m", (I,))), fn="mul")
    shifted = Op("E", "map", (I, J), (Read("Z", (I, J)), Read("%2", (I,))), fn="add")
    picked = Op("%3", "gather", (I,), (Read("Z", (I, J)), Read("y", (I,))), (J,))
    loss = Op("L", "map", (I,), (Read("%3", (I,)), Read("%2", (I,))), fn="add")
    block = Block(("X", "W", "y"), (product, largest, minus, negative, shifted, picked, loss), ("E", "L"))
    assert {op.out: op.into for op in marked(block, apart=True).ops}["E"] == ""
    first = picked_first(block)
    assert [op.out for op in first.ops] == ["Z", "%3", "m", "%1", "%2", "E", "L"]
    assert {op.out: op.into for op in marked(first, apart=True).ops}["E"] == "Z"


@pytest.mark.parametrize("cache", [1, 1 << 20], ids=["some columns at a time", "in one go"])
def test_a_product_is_added_in_numpy_some_columns_at_a_time(cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_support, "_CACHE", cache)
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 5, 7)), random.standard_normal((2, 131, 7)).transpose(0, 2, 1)
    total = np.ones((2, 5, 131))
    assert numpy_support._add_product(total, a, b) is total
    np.testing.assert_allclose(total, 1 + a @ b, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(numpy_support._add_product(None, a, b), a @ b)

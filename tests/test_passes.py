"""Every pass: the values before and after are the same, on the catalogue's programs and on random ones."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from derivations import derived
from kernel_reference import inputs_of, listed, load, sizes_of
from kernel_switches import ROUNDING, apart, difference, in_parts, module_of, results

import codegen
from benchmarks.passes import ALLOCATIONS
from benchmarks.saved import held, inputs
from codegen.files import GENERATED
from codegen.passes import OPTIONAL
from codegen.passes.reuse import marked
from codegen.program import Block, Op, Read
from codegen.source import rendered, sources
from codegen.targets.inplace import Unfolding
from codegen.targets.text import ATOM, Factor, Text, product, total
from derive.engine import derive
from derive.errors import SpecError
from derive.expr import Idx
from derive.layers import LAYERS
from derive.layers import layer as named
from derive.spec import Layer

I, J = Idx("i", "I"), Idx("j", "J")


def test_memory_is_taken_over_only_at_the_last_read_and_never_from_an_output() -> None:
    exp = Op("E", "map", (I, J), (Read("X", (I, J)),), fn="exp")
    norm = Op("Z", "reduce", (I,), (Read("E", (I, J)),), (J,), "sum")
    inverse = Op("%1", "map", (I,), (Read("Z", (I,)),), fn="power", number=Fraction(-1))
    ratio = Op("P", "map", (I, J), (Read("E", (I, J)), Read("%1", (I,))), fn="mul")
    assert [op.into for op in marked(Block(("X",), (exp, norm, inverse, ratio), ("P",))).ops] == ["", "", "", "E"]
    assert not any(op.into for op in marked(Block(("X",), (exp, norm, inverse, ratio), ("P", "E"))).ops), "an output is kept"
    square = Op("Q", "map", (I, J), (Read("E", (I, J)), Read("E", (I, J))), fn="mul")
    assert not marked(Block(("X",), (exp, square), ("Q",))).ops[1].into, "an array that is read twice is not written between the reads"


def test_an_expression_is_computed_in_one_array_and_the_smaller_factors_meet_first() -> None:
    X, r, s, g = Text("X", ATOM, (I, J)), Text("r[:, None]", ATOM, (I,)), Text("s[:, None]", ATOM, (I,)), Text("g", ATOM, (J,))
    _, scaled = product(Fraction(2), [Factor(X), Factor(r), Factor(s, below=True), Factor(g)], (I, J))
    sums = total([(False, scaled), (True, X)], (I, J))
    assert Unfolding("Y", (I, J), "", "np").statements(sums) == ["Y = X * (r[:, None] * 2 / s[:, None])", "Y *= g", "Y -= X"]
    assert Unfolding("Y", (I, J), "X", "np").statements(scaled)[0] == "Y = np.multiply(X, r[:, None] * 2 / s[:, None], out=X)"
    values = {
        "X": np.arange(6.0).reshape(2, 3),
        "r": np.array([2.0, 3.0]),
        "s": np.array([5.0, 7.0]),
        "g": np.array([1.0, 2.0, 4.0]),
        "np": np,
    }
    before = eval(sums.code, values)
    exec("\n".join(Unfolding("Y", (I, J), "", "np").statements(sums)), values)
    np.testing.assert_allclose(values["Y"], before, rtol=1e-14)


# ---------------------------------------------------------------------------------------------------- blocking


LOOPED = [layer for layer in LAYERS[::3] if "_CACHE" in (GENERATED / f"numpy/{layer.name}.py").read_text("utf-8")]
every_layer = pytest.mark.parametrize("layer", LOOPED, ids=[layer.name for layer in LOOPED])


@every_layer
def test_parts_give_what_the_whole_gives(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = importlib.import_module(f"generated.numpy.{layer.name}")
    if not hasattr(kernel, "_CACHE"):
        pytest.skip("it has no loop")
    sizes = sizes_of(layer, 3)
    want = results(layer, kernel, sizes)
    in_parts(kernel, monkeypatch.setattr)
    assert apart(results(layer, kernel, sizes), want) <= ROUNDING


@every_layer
def test_torch_parts_give_what_the_whole_gives_twice_and_under_vmap(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = importlib.import_module(f"generated.torch.{layer.name}")
    if not hasattr(kernel, "_CACHE"):
        pytest.skip("it has no loop")
    function, sizes = getattr(kernel, layer.name), sizes_of(layer, 3)
    want = results(layer, kernel, sizes)
    in_parts(kernel, monkeypatch.setattr)
    assert apart(results(layer, kernel, sizes), want) <= ROUNDING
    inputs = inputs_of(layer, sizes)
    moving = [tensor.requires_grad_() for name, tensor in zip(layer.inputs, inputs) if name in layer.wrt]
    (value, *_) = listed(function(*inputs))
    upstream = torch.stack([torch.ones_like(value), torch.cos(value.detach())])
    together = torch.autograd.grad(value, moving, upstream, is_grads_batched=True, retain_graph=True)
    for n, each in enumerate(upstream):
        for got, expected in zip(together, torch.autograd.grad(value, moving, each, retain_graph=True)):
            torch.testing.assert_close(got[n], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["mse", "cross_entropy_labels", "linear_cross_entropy"])
def test_gradients_made_in_the_forward_pass_are_made_once_and_only_where_wanted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, kernel = named(name), importlib.import_module(f"generated.torch.{name}")
    function, sizes = getattr(kernel, name), sizes_of(layer, 3)
    inputs = inputs_of(layer, sizes)
    moving = [tensor.requires_grad_() for at, tensor in zip(layer.inputs, inputs) if at in layer.wrt]
    want = torch.autograd.grad(3 * function(*inputs), moving)
    made: list[int] = []
    early = kernel._early_pass
    monkeypatch.setattr(kernel, "_early_pass", lambda *given: (made.append(1), early(*given))[1])
    for check in ("_whole", "_saved_whole"):
        if hasattr(kernel, check):
            monkeypatch.setattr(kernel, check, lambda _, *given: kernel._traced(*given))
    value = function(*inputs)
    first = torch.autograd.grad(3 * value, moving, retain_graph=True)
    kept = [gradient.clone() for gradient in first]
    for gradient in first:
        gradient.zero_()  # it is the caller's now
    for found in (kept, torch.autograd.grad(3 * value, moving, retain_graph=True), torch.autograd.grad(3 * value, moving)):
        for got, expected in zip(found, want):
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-14)
    assert made == [1]
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(value, moving)
    with torch.no_grad():
        function(*inputs)
    function(*(tensor.detach() for tensor in inputs))
    assert made == [1], "nobody asked for a gradient"


KERNEL_ATTENTION = """\
D[i,j] = sum(c, (Q[i,c] - K[j,c])^2)
P[i,j] = exp(-D[i,j])/sum(k, exp(-D[i,k]))
O[i,e] = sum(j, P[i,j]*V[j,e])
"""


def test_attention_with_other_scores_takes_memory_in_proportion_to_its_length(tmp_path: Path) -> None:
    kernel = load(sources(derive(Layer.parse("hidden", KERNEL_ATTENTION)))["numpy"], "hidden", tmp_path)
    peaks = []
    for length in (1024, 2048):
        Q, K, V = (np.random.default_rng(n).standard_normal((length, 16), dtype=np.float32) for n in range(3))
        tracemalloc.start()
        O, saved = kernel.forward(Q, K, V)
        kernel.backward(np.ones_like(O), saved)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.5 * peaks[0], "twice the length takes four times the memory"
    assert peaks[1] < 2048 * 2048 * 4, "no array over queries and keys is whole"


MEASURED = """
import importlib.util, sys, torch
from benchmarks.passes import added
spec = importlib.util.spec_from_file_location("hidden", sys.argv[1])
kernel = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kernel)
for length in (64, 1536, 3072):
    Q, K, V = (torch.rand(length, 16, requires_grad=True) for _ in range(3))
    print(added(lambda: kernel.hidden(Q, K, V).sum().backward()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_the_same_attention_in_torch_takes_memory_in_proportion_to_its_length(tmp_path: Path) -> None:
    path = tmp_path / "hidden.py"
    path.write_text(rendered(derive(Layer.parse("hidden", KERNEL_ATTENTION)), ("torch",))["torch"], encoding="utf-8")
    asked = [sys.executable, "-c", MEASURED, str(path)]
    done = subprocess.run(asked, cwd=GENERATED.parent, env={**os.environ, **ALLOCATIONS}, capture_output=True, text=True, check=True)
    _, *peaks = map(float, done.stdout.split())
    assert peaks[1] < 2.5 * peaks[0], "twice the length takes four times the memory"
    assert peaks[1] < 2 * 3072 * 3072 * 4 / 1024, "two arrays over queries and keys are whole"


SEEN = """\
S[i,j] = sum(d, Q[i,d]*K[j,d])
P[i,j] = where({sees}, exp(S[i,j]), 0)/sum(k, where({sees_k}, exp(S[i,k]), 0))
O[i,e] = sum(j, P[i,j]*V[j,e])
"""


@pytest.mark.parametrize(
    "sees", ["position(j) <= position(i)", "position(i) - width < position(j)", "position(j) == 2*position(i)", "position(j) < r[i]"]
)
def test_a_part_reads_no_more_than_its_rows_see(sees: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SEEN.format(sees=sees, sees_k=sees.replace("(j)", "(k)"))
    kernel = load(sources(derive(Layer.parse("hidden", text, wrt=("Q", "K", "V"))), ("numpy",))["numpy"], "hidden", tmp_path)
    rng = np.random.default_rng(0)
    Q, K, V = rng.standard_normal((7, 5)), rng.standard_normal((15, 5)), rng.standard_normal((15, 3))
    more = {"width": [np.float64(4)], "r[i]": [np.array([1.0, 3, 2, 5, 1, 15, 1])]}
    given = [Q, K, *(array for mark, arrays in more.items() if mark in sees for array in arrays), V]
    O, saved = kernel.forward(*given)
    want = [O, *kernel.backward(np.cos(O), saved)]
    read: list[int] = []
    monkeypatch.setattr(kernel, "_CACHE", 16)
    monkeypatch.setattr(kernel, "_saved_whole", lambda *_: False)
    monkeypatch.setattr(kernel, "_parts", lambda *_: [(slice(0, 3),), (slice(3, 5),), (slice(5, 7),)])
    part = kernel._backward_part
    monkeypatch.setattr(kernel, "_backward_part", lambda Q, K, *rest, **more: (read.append(len(K)), part(Q, K, *rest, **more))[1])
    O, saved = kernel.forward(*given)
    for got, expected in zip([O, *kernel.backward(np.cos(O), saved)], want):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
    every = {"j) <= ": [3, 5, 7], "width": [15, 15, 13], "==": [5, 3, 3], "r[i]": [3, 5, 15]}
    assert read == next(lengths for mark, lengths in every.items() if mark in sees)


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_what_rows_are_not_let_see_is_found_once_for_all_heads(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, kernel = named("attention_causal"), importlib.import_module(f"generated.{target}.attention_causal")
    sizes = {"B": 2, "H": 3, "N": 5, "M": 5, "d_k": 2, "d_v": 4}
    want = results(layer, kernel, sizes)
    in_parts(kernel, monkeypatch.setattr)
    found: list[int] = []
    unseen = kernel._unseen
    monkeypatch.setattr(kernel, "_unseen", lambda kept: (found.append(kept.ndim), unseen(kept))[1])
    monkeypatch.setattr(kernel, "_together", lambda run, parts, *_: run(list(parts)))
    assert apart(results(layer, kernel, sizes), want) <= ROUNDING
    rows = len(list(kernel._parts((5,), 5, torch.empty(0, dtype=torch.float64), 2)))
    passes = 2 if target == "numpy" else 3  # the second order runs a backward pass again
    assert found.count(2) == passes * rows, "a pass over six heads makes it once for each stretch of rows"


# ---------------------------------------------------------------------------------------------------- switches

CHANGED = {
    "early": ("linear_cross_entropy",),
    "masking": ("attention_causal", "attention_sliding_window"),
    "fused": ("softmax",),
    "admitting": ("attention_causal",),
    "dead": (),
    "rematerialization": ("cross_entropy_labels", "huber"),
}
"""Pass -> layers whose kernels are others without it; those of `attention` for a pass that is not here."""
DRAWN = {
    "scores": KERNEL_ATTENTION,
    "columns": "D[i,j] = exp(sum(c, Q[i,c]*K[j,c]))\nO[i,e] = sum(j, D[i,j]*V[j,e]/sum(k, D[k,j]))",
    "number": "A[i,j] = tanh(X[i,j])*sum(c, W[j,c]*V[i,c])\nY = sum(i,j, A[i,j]*exp(-A[i,j]))",
    "seen": "S[i,j] = sum(c, Q[i,c]*K[j,c])\nO[i,e] = sum(j, (where(j <= i, exp(S[i,j]), 0) + S[i,j])*V[j,e])",
    "transposed": "Y[i,j] = exp(X[i,j])*exp(X[j,i]) + w[j]*X[i,i]",
    "places": "Y[i,j] = X[i,j] + tanh(w[j]*position(i))",
    "labels": "int y:M\nY[i,j] = X[i,j]*u[i]/(1 + X[i,y[i]]^2) + where(j <= i, sum(k, X[i,k]*X[j,k]), 0)",
}


@cache
def with_all(layer: Layer) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """Both kernels of a layer with every pass, and what they compute: the same whole and in parts."""
    texts, sizes = rendered(derived(layer)), sizes_of(layer, 3)
    want = {target: results(layer, module_of(text), sizes) for target, text in texts.items()}
    assert all(difference(layer, text, want[target], sizes) <= ROUNDING for target, text in texts.items()), layer.name
    return texts, want


@pytest.mark.parametrize("name", OPTIONAL)
def test_leaving_out_a_pass_changes_no_value(name: str) -> None:
    """The whole catalogue: `python -m benchmarks.switches`."""
    changed = [named(each) for each in CHANGED.get(name, ("attention",))]
    few = [layer for layer in LAYERS if len(layer.equations) < 5][OPTIONAL.index(name) :: 61]
    layers = [*changed, *few, *(Layer.parse(f"drawn_{key}", text) for key, text in DRAWN.items())]
    for layer in layers:
        texts, want = with_all(layer)
        others = {target: text for target, text in rendered(derived(layer), without=(name,)).items() if text != texts[target]}
        assert others or layer not in changed, "the switch does nothing"
        for target, text in others.items():
            assert difference(layer, text, want[target], sizes_of(layer, 3)) <= ROUNDING, (layer.name, target)


def test_every_pass_has_its_row_in_the_docs_and_a_wrong_name_is_refused() -> None:
    page = (GENERATED.parent / "docs/passes.md").read_text("utf-8")
    assert [name for name in OPTIONAL if f"| `{name}` |" not in page] == []
    with pytest.raises(SpecError, match="no pass 'blokcing' to leave out; choose saving, sharing, dead, "):
        codegen.kernel(named("softmax"), without=("blokcing",))


@pytest.mark.parametrize("name", ["layer_norm", "mlp_gelu", "attention"])
def test_without_saving_a_graph_holds_inputs_and_outputs_alone(name: str) -> None:
    given = [value[:5].detach().requires_grad_() if value.ndim > 2 else value for value in inputs(name)]
    results = []
    for without in ((), ("saving",)):
        function = codegen.kernel(named(name), without=without)
        total, own = held(function, given)
        assert (total == own) == bool(without)
        value = function(*given)
        results.append(torch.autograd.grad(value.square().sum(), [tensor for tensor in given if tensor.requires_grad]))
    for got, want in zip(*results):
        torch.testing.assert_close(got, want)


STRICTLY_EARLIER = """\
S[i,j] = sum(c, Q[i,c]*K[j,c])/3
P[i,j] = where(j < i, exp(S[i,j]), 0)/sum(k, where(k < i, exp(S[i,k]), 0))
O[i,e] = sum(j, P[i,j]*V[j,e])
"""


def small_parts(kernel: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a kernel run in parts of a few rows."""
    parts = kernel._parts
    monkeypatch.setattr(kernel, "_parts", lambda lengths, width, like, least: parts(lengths, width, like, 3))
    monkeypatch.setattr(kernel, "_CACHE", 16)
    monkeypatch.setattr(kernel, "_saved_whole" if hasattr(kernel, "_saved_whole") else "_whole", lambda *_: False)


def test_rows_that_a_mask_admits_nothing_of_are_zero_in_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sources(derive(Layer.parse("strict", STRICTLY_EARLIER)))
    for target in texts:
        (tmp_path / target).mkdir()
    ours, theirs = (load(texts[target], "strict", tmp_path / target) for target in ("numpy", "torch"))
    random = np.random.default_rng(0)
    inputs = [random.standard_normal(shape) for shape in ((23, 5), (19, 5), (19, 4))]
    leaves = [torch.tensor(array, requires_grad=True) for array in inputs]

    def both() -> list[Any]:
        O, saved = ours.forward(*inputs)
        value = theirs.strict(*leaves)
        gradients = torch.autograd.grad(value, leaves, torch.cos(value.detach()))
        return [O, *ours.backward(np.cos(O), saved), value.detach().numpy(), *(g.numpy() for g in gradients)]

    whole = both()
    assert not whole[0][0].any(), "the first row sees nothing"
    for kernel in (ours, theirs):
        small_parts(kernel, monkeypatch)
    for got, expected in zip(both(), whole):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


# ---------------------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_pass_that_is_one_operator_has_no_loop(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, kernel = named("softmax"), importlib.import_module("generated.torch.softmax")
    assert not hasattr(kernel, "_parts"), "the operator reads memory once by itself"
    operators: list[bool] = []
    gradient = kernel._share_gradient
    monkeypatch.setattr(kernel, "_share_gradient", lambda *given, **more: (operators.append("out" in more), gradient(*given, **more))[1])
    S = torch.randn(7, 5, dtype=dtype).T
    dP = torch.randn(5, 1, dtype=dtype).expand(5, 7)
    (want,) = torch.autograd.grad(torch.softmax(S.requires_grad_(), -1), S, dP)
    for whole in (True, False):
        monkeypatch.setattr(kernel, "_whole", lambda *_, whole=whole: whole)
        P, saved = kernel.forward(S)
        torch.testing.assert_close(P, torch.softmax(S.detach(), -1))
        torch.testing.assert_close(kernel.backward(dP, saved), want)
    assert operators == [False, True]
    assert "_share_gradient" not in rendered(derived(layer), ("torch",), without=("fused",))["torch"]


class ThreeThreads:
    """A BLAS of three threads, which notes that it is told to keep to one."""

    def __init__(self) -> None:
        self.limits: list[int] = []

    def info(self) -> list[dict[str, int]]:
        return [{"num_threads": 3}]

    def limit(self, limits: int) -> Any:
        self.limits.append(limits)
        return contextlib.nullcontext()


@pytest.mark.parametrize("name", ["rms_norm", "layer_norm", "attention", "attention_causal", "cross_entropy_labels"])
def test_parts_at_the_same_time_give_what_they_give_one_after_the_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = named(name)
    dims = list(sizes_of(layer))
    sizes = {dim: (37 if len(dims) < 4 or n > 1 else 2) + n for n, dim in enumerate(dims)}
    ours, theirs = (importlib.import_module(f"generated.{target}.{name}") for target in ("numpy", "torch"))
    for kernel in (ours, theirs):
        small_parts(kernel, monkeypatch)
    blas = ThreeThreads()
    alone, together = [], []
    for found, threads in ((alone, None), (together, blas)):
        monkeypatch.setattr(ours, "_blas", lambda threads=threads: threads)
        found += results(layer, ours, sizes)
    assert blas.limits and set(blas.limits) == {1}, "BLAS has one thread meanwhile"
    before = torch.get_num_threads()
    try:
        for found, count in ((alone, 1), (together, 3)):
            torch.set_num_threads(count)
            found += results(layer, theirs, sizes)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    for got, expected in zip(together, alone):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)

"""Places along an axis: what is read outside is 0, deltas of places are solved, and the layers built on them are torch's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kernel_reference import inputs_of, listed, load, plain, sizes_of
from torch.nn import functional as F

from codegen.source import sources
from codegen.support.numpy_support import _place, _read
from derive import rules
from derive.affine import place, solved
from derive.check import check_document
from derive.composition import compose, wire
from derive.engine import derive
from derive.equality import equal
from derive.expr import Affine, Idx, Position, Size, add, mul, neg, num
from derive.layers import layer
from derive.spec import Layer
from derive.write import write, write_index

I, K, L = Idx("i", "I"), Idx("k", "K"), Idx("l", "L")


def at(*terms: Any) -> Any:
    return place(add(*terms), "L")


# ---------------------------------------------------------------------------------------------------- arithmetic


def test_equal_places_are_equal_nodes() -> None:
    one = at(mul(num(2), Position(I)), neg(num(1)), Position(K))
    assert one == at(Position(K), Position(I), Position(I), num(3), neg(num(4)))
    assert write_index(one) == "2*i + k - 1"
    assert at(Position(L), Position(I), neg(Position(I))) == L
    assert write_index(place(Position(I), "L")) == "position(i)"


def test_a_delta_is_solved_for_an_index_whose_multiple_is_one() -> None:
    reached = at(Position(I), neg(Position(K)), Size("K"))
    assert write_index(solved(L, reached, I)) == "k + l - size(K)"
    assert write_index(solved(L, reached, K)) == "i - l + size(K)"
    assert solved(L, at(mul(num(2), Position(I)), Position(K)), I) is None
    assert solved(L, at(mul(Size("K"), Position(I)), Position(K)), I) is None


def gradient(text: str, name: str) -> str:
    return write(derive(Layer.parse("layer", text)).gradient(name).equation.value)


def test_by_stride_one_a_gradient_reads_and_by_another_it_adds_into_places() -> None:
    rest = "shape X[L]\nsize(i) = size(L) - size(k) + 1\nY[i] = sum(k, X[{}]*W[k])"
    assert gradient(rest.format("i + k"), "X") == "sum(k, dY[l - k]*W[k])"
    assert gradient(rest.format("i - k + 2"), "X") == "sum(k, dY[k + l - 2]*W[k])"
    assert gradient(rest.format("3*i + k"), "X") == "sum(i,k, dY[i]*delta(3*i + k,l)*W[k])"
    assert gradient(rest.format("i + k"), "W") == "sum(i, dY[i]*X[i + k])"


def test_a_condition_is_added_where_nothing_is_read_at_the_place() -> None:
    # An earlier tensor that is no 0 at 0 is 0 outside of its axis all the same.
    chain = Layer.parse("layer", "axes j:J i:I\nshape A[J]\nA[j] = exp(X[j])\nY[i] = A[i + 1]*W[i]")
    derivation = derive(chain)
    assert derivation.check().ok
    whole = rules.unfold(derivation.definitions[1].value, [derivation.definitions[0]])
    assert "where(" in write(whole)


@pytest.mark.parametrize(
    "text",
    [
        "shape X[L]\nsize(i) = size(L) - 1\nY[i] = X[i + 1] - X[position(i)]",
        "shape X[L]\nsize(i) = 2*size(L)\nY[i] = X[size(L) - 1 - i]^2*X[position(i)]",
        "axes i:L\nshape X[L,L]\nY[i] = X[i,i + 1]*w[i]",
        "axes i:L j:L\nY[i,j] = X[i,j]*delta(j, i - 1) + Z[i]*delta(i, 2*j)",
        "shape X[L] A[L]\nA[l] = sigmoid(X[l])\nsize(i) = size(L)\nY[i] = log(A[position(i)] + 1)/(2 + A[i - 1]) + A[0]",
        "axes i:N j:M\nshape X[N,M]\nint p\nY[i] = sum(j, v[j]*delta(i, p*j - j + 1))*X[i + 1,p*i - i + 1]*u[i]",
        "axes i:N\nshape X[N,N]\nsize(f) = size(N)*size(N)\nY[f] = sum(i,j, X[i,j]*delta(f, size(N)*i + j))^2",
        "shape X[N,L]\nint y:L\nsize(i) = size(L)\nY[n,i] = sum(k, X[n,i - 2*k + 1]*W[k,y[n]])*X[n,y[n]]",
    ],
)
def test_every_line_of_a_layer_with_places_holds_and_both_kernels_equal_autograd(text: str, tmp_path: Path) -> None:
    derivation = derive(Layer.parse("layer", text))
    for document in derivation.documents():
        report = check_document(document)
        assert report.ok, [(p.name, p.first_problem) for p in report.proofs if not p.ok]
    found = sources(derivation)
    kernels = {target: load(text, f"layer_{target}", tmp_path) for target, text in found.items()}
    spec = derivation.layer
    inputs = inputs_of(spec, sizes_of(spec, 3), positive=True)
    moving = [value.requires_grad_() for name, value in zip(spec.inputs, inputs) if name in spec.wrt]
    (want,) = plain(spec, *inputs)
    upstream = torch.rand(want.shape, dtype=want.dtype, generator=torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad(want, moving, upstream)
    value, saved = kernels["numpy"].forward(*(v.detach().numpy() if isinstance(v, torch.Tensor) else v for v in inputs))
    for got, expected in zip([value, *listed(kernels["numpy"].backward(upstream.numpy(), saved))], [want, *gradients]):
        np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-10, atol=1e-13)
    ours = kernels["torch"].layer(*inputs)
    for got, expected in zip([ours, *torch.autograd.grad(ours, moving, upstream)], [want, *gradients]):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-13)


# ---------------------------------------------------------------------------------------------------- torch's own operations


def kernels(name: str, folder: Path) -> tuple[Any, Callable[..., Any]]:
    made = {target: load(text, f"{name}_{target}", folder) for target, text in sources(derive(layer(name))).items()}
    return made["numpy"], getattr(made["torch"], name)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()


def with_groups(X: torch.Tensor, W: torch.Tensor, stride: int, pad: int) -> torch.Tensor:
    return F.conv2d(X, W[:, None], None, stride, pad, groups=X.shape[1])


OWN: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "convolution_1d": (F.conv1d, (random(2, 3, 9), random(4, 3, 2), random(4), 2, 1)),
    "convolution_1d by a stride beyond the window": (F.conv1d, (random(2, 3, 9), random(4, 3, 2), random(4), 3, 0)),
    "convolution_1d by a padding beyond the window": (F.conv1d, (random(2, 3, 5), random(4, 3, 2), random(4), 1, 3)),
    "convolution_2d": (F.conv2d, (random(2, 3, 6, 7), random(4, 3, 2, 5), random(4), 2, 1)),
    "depthwise_convolution": (with_groups, (random(2, 3, 6, 7), random(3, 2, 4), 2, 1)),
    "average_pool_1d": (F.avg_pool1d, (random(2, 3, 9), 3, 2, 1)),
    "average_pool_2d": (F.avg_pool2d, (random(2, 3, 6, 7), 3, 2, 1)),
    "max_pool_1d": (F.max_pool1d, (random(2, 3, 9), 3, 2)),
    "max_pool_2d": (F.max_pool2d, (random(2, 3, 6, 7), 3, 2)),
    "flatten": (lambda X: X.flatten(1), (random(2, 3, 4),)),
    "reshape": (lambda X, width: X.reshape(len(X), -1, width), (random(2, 3, 4), 6)),
    "concatenation": (lambda X, Z: torch.cat((X, Z), 1), (random(2, 3), random(2, 4))),
}


@pytest.mark.parametrize("case", list(OWN))
def test_the_layer_is_torchs_operation(case: str, tmp_path: Path) -> None:
    theirs, arguments = OWN[case]
    numpy_kernel, ours = kernels(case.split()[0], tmp_path)
    moving = [value for value in arguments if isinstance(value, torch.Tensor)]
    want = theirs(*arguments)
    upstream = torch.randn(want.shape, dtype=want.dtype, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(want, moving, upstream)
    got = ours(*arguments)
    for a, b in zip([got, *torch.autograd.grad(got, moving, upstream)], [want, *gradients]):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)
    value, saved = numpy_kernel.forward(*(a.detach().numpy() if isinstance(a, torch.Tensor) else a for a in arguments))
    found = numpy_kernel.backward(upstream.numpy(), saved)
    for a, b in zip([value, *(found if isinstance(found, tuple) else (found,))], [want, *gradients]):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_a_decay_scan_is_its_recurrence(tmp_path: Path) -> None:
    X, a = random(2, 6, 3), random(3)
    state, states = torch.zeros(2, 3, dtype=torch.float64), []
    for step in X.unbind(1):
        state = a * state + step
        states.append(state)
    _, ours = kernels("decay_scan", tmp_path)
    want, got = torch.stack(states, 1), ours(X, a)
    upstream = torch.randn(want.shape, dtype=want.dtype, generator=torch.Generator().manual_seed(1))
    for one, other in zip(torch.autograd.grad(got, (X, a), upstream), torch.autograd.grad(want, (X, a), upstream)):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(got, want)


def test_what_a_delta_puts_outside_of_its_axis_is_nowhere(tmp_path: Path) -> None:
    """Two terms of one index are a place, but no label: in the second row of A they reach beyond Y."""
    text = "axes k:K j:J d:D\nshape X[K] A[D,J]\nint p\nY[d,k] = X[k] + sum(j, A[d,j]*delta(k, j + p*d - p*j))"
    made = Layer.parse("placed", text)
    kernel = load(sources(derive(made), ("numpy",))["numpy"], "placed", tmp_path)
    X, A, p = np.arange(3.0), np.arange(1.0, 11).reshape(2, 5), 3
    want = np.tile(X, (2, 1))
    for d, j in itertools.product(range(2), range(5)):
        if 0 <= j + p * d - p * j < 3:
            want[d, j + p * d - p * j] += A[d, j]
    given = {"X": X, "A": A, "p": p}
    np.testing.assert_allclose(kernel.forward(*(given[name] for name in made.inputs))[0], want)


def test_attention_with_one_hot_weights_at_a_fixed_shift_is_a_convolution() -> None:
    """The rules carry the one layer's output to the other's, each line an equality that the checker holds."""
    attention, convolution = layer("convolution_as_attention"), layer("convolution_same")
    weights, heads, output = attention.equations
    opened = rules.distribute(rules.unfold(rules.unfold(output.value, [heads]), [weights]))
    contracted = rules.contract_delta(opened)
    assert contracted is not None and isinstance(contracted[2], Affine)
    assert equal(contracted[0], convolution.equations[0].value)


def test_lengths_follow_one_another_in_a_composed_net(tmp_path: Path) -> None:
    parts = {
        "convolution": wire(layer("convolution_1d"), Y="A"),
        "pool": wire(layer("average_pool_1d"), X="A", Y="P"),
        "rows": wire(layer("flatten"), X="P"),
    }
    net = compose("net", parts)
    assert Layer.parse("net", net.text(), doc=net.doc) == net
    derivation = derive(net)
    assert derivation.check().ok
    ours = load(sources(derivation)["torch"], "net", tmp_path).net
    X, W, h = random(2, 3, 12), random(4, 3, 2), random(4)
    got = ours(X, W, h, 1, 1, 3, 2, 0)
    want = F.avg_pool1d(F.conv1d(X, W, h, 1, 1), 3, 2).flatten(1)
    for a, b in zip((got, *torch.autograd.grad(got.sum(), (X, W, h))), (want, *torch.autograd.grad(want.sum(), (X, W, h)))):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((9, 10, 1, 0), "convolution_1d: axis I would have length 0, with L = 9, pad = 0, K = 10, stride = 1: no output is left"),
        ((3, 9, 2, 1), "convolution_1d: axis I would have length -1, with L = 3, pad = 1, K = 9, stride = 2: no output is left"),
        ((9, 2, 0, 0), "convolution_1d: stride is 0, expected at least 1"),
        ((9, 2, 1, -1), "convolution_1d: pad is -1, expected at least 0"),
    ],
)
def test_a_stride_or_a_padding_that_leaves_no_output_is_refused(arguments: tuple[int, ...], message: str, tmp_path: Path) -> None:
    length, window, stride, pad = arguments
    numpy_kernel, ours = kernels("convolution_1d", tmp_path)
    X, W, h = random(2, 3, length), random(4, 3, window), random(4)
    for call, given in ((ours, (X, W, h)), (numpy_kernel.forward, tuple(t.detach().numpy() for t in (X, W, h)))):
        with pytest.raises(ValueError) as caught:
            call(*given, stride, pad)
        assert sorted(str(caught.value)) == sorted(message)
    with pytest.raises(TypeError, match=r"stride is 1\.5, expected an integer"):
        ours(X, W, h, 1.5, 0)


def test_an_empty_batch_gives_an_empty_output(tmp_path: Path) -> None:
    numpy_kernel, ours = kernels("convolution_1d", tmp_path)
    X, W, h = random(0, 3, 9), random(4, 3, 2), random(4)
    assert ours(X, W, h, 2, 1).shape == (0, 4, 5)
    Y, saved = numpy_kernel.forward(*(t.detach().numpy() for t in (X, W, h)), 2, 1)
    assert [g.shape for g in numpy_kernel.backward(Y, saved)] == [(0, 3, 9), (4, 3, 2), (4,)]


def test_what_is_read_and_what_is_placed_are_transposes() -> None:
    draw = np.random.default_rng(0)
    for offset, first, second in itertools.product((-7, -1, 0, 3), (-2, 0, 1, 3), (-1, 2)):
        x, y = draw.standard_normal((2, 5, 3)), draw.standard_normal((2, 4, 2, 3))
        read = _read(x, {1: (offset, (first, 4), (second, 2))})
        placed = _place(y, 1, 5, offset, first, second)
        assert read.shape == y.shape and placed.shape == x.shape
        assert (read * y).sum() == pytest.approx((x * placed).sum())

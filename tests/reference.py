"""A test-side interpreter of the IR in torch: the author's equations, evaluated as they stand and differentiable by autograd.

It shares nothing with the kernels: every index is an axis of a broadcast tensor, every sum a reduction of the last axis.
"""

from __future__ import annotations

import torch

from derive import rules
from derive.expr import (
    Add,
    Affine,
    Delta,
    Equation,
    Expr,
    Fact,
    Fn,
    Idx,
    Index,
    Iverson,
    MatrixFn,
    Max,
    Mul,
    Num,
    Position,
    Pow,
    Ref,
    Size,
    Sum,
    walk,
)
from derive.lengths import plain_integers, small_sizes
from derive.recurrence import groups
from derive.spec import Layer

FUNCTIONS = {
    "exp": torch.exp,
    "log": torch.log,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "abs": torch.abs,
    "sign": torch.sign,
    "erf": torch.erf,
    "softplus": torch.nn.functional.softplus,
    "sin": torch.sin,
    "cos": torch.cos,
    "max": torch.maximum,
    "min": torch.minimum,
    "pow": torch.pow,
    "xlogy": torch.xlogy,
    "heaviside": torch.heaviside,
}
SIZES = (3, 4, 5, 6, 2, 7, 8, 9)

Env = dict[str, torch.Tensor]


def evaluate(expr: Expr, env: Env, sizes: dict[str, int], order: list[Idx]) -> torch.Tensor:
    """The value of `expr` with one axis for each index in `order` (of length 1 where the value does not depend on it)."""
    flat = [1] * len(order)
    if isinstance(expr, Num):
        return torch.tensor(float(expr.value), dtype=torch.float64).reshape(flat)
    if isinstance(expr, Size):
        return torch.tensor(float(sizes[expr.dim]), dtype=torch.float64).reshape(flat)
    if isinstance(expr, Ref):
        value = env[expr.tensor]
        return _entry(expr, env, sizes, order) if expr.indices else value.reshape(flat)
    if isinstance(expr, Delta):
        return (_positions(expr.a, env, sizes, order) == _positions(expr.b, env, sizes, order)).to(torch.float64)
    if isinstance(expr, Add):
        result = evaluate(expr.terms[0], env, sizes, order)
        for term in expr.terms[1:]:
            result = result + evaluate(term, env, sizes, order)
        return result
    if isinstance(expr, Mul):
        # What a condition excludes is 0, be it infinite or no number: 1/x where x > 0 is 0 at x = 0.
        conditions = [evaluate(factor, env, sizes, order) for factor in expr.factors if isinstance(factor, Iverson)]
        values = [evaluate(factor, env, sizes, order) for factor in expr.factors if not isinstance(factor, Iverson)]
        result = torch.ones(flat, dtype=torch.float64)
        for value in values:
            result = result * value
        for condition in conditions:
            result = torch.where(condition != 0, result, torch.zeros_like(result))
        return result
    if isinstance(expr, Pow):
        base = evaluate(expr.base, env, sizes, order)
        return base ** int(expr.exponent) if expr.exponent.denominator == 1 else base ** float(expr.exponent)
    if isinstance(expr, Fn):
        if expr.name == "pi":
            return torch.tensor(torch.pi, dtype=torch.float64).reshape(flat)
        return FUNCTIONS[expr.name](*(evaluate(arg, env, sizes, order) for arg in expr.args))
    if isinstance(expr, Position):
        return _positions(expr.index, env, sizes, order).to(torch.float64)
    if isinstance(expr, Iverson):
        compare = {"<": torch.lt, "<=": torch.le, "==": torch.eq, "!=": torch.ne}[expr.relation]
        return compare(evaluate(expr.left, env, sizes, order), evaluate(expr.right, env, sizes, order)).to(torch.float64)
    if isinstance(expr, MatrixFn):
        rows = [*order, *expr.indices]
        size = [sizes[i.dim] for i in expr.indices]
        # The matrix at every value of the other indices; torch's functions work on the last two axes.
        matrix = evaluate(expr.body, env, sizes, rows)
        matrix = matrix.expand([*matrix.shape[: len(order)], *size])
        if expr.name != "inv":
            return torch.linalg.det(matrix) if expr.name == "det" else torch.linalg.slogdet(matrix).logabsdet
        inverse = torch.linalg.inv(matrix)
        lead = [torch.arange(n).reshape([-1 if m == place else 1 for m in range(len(order))]) for place, n in enumerate(inverse.shape[:-2])]
        return inverse[(*lead, *(_positions(i, env, sizes, order) for i in expr.at))]
    assert isinstance(expr, (Sum, Max))
    inner = [*order, *expr.indices]
    body = evaluate(expr.body, env, sizes, inner)
    body = body.expand([sizes[i.dim] if n >= len(order) else body.shape[n] for n, i in enumerate(inner)])
    for _ in expr.indices:
        body = body.sum(-1) if isinstance(expr, Sum) else body.amax(-1)
    return body


def _positions(index: Index, env: Env, sizes: dict[str, int], order: list[Idx]) -> torch.Tensor:
    if isinstance(index, Idx):
        shape = [1] * len(order)
        shape[order.index(index)] = sizes[index.dim]
        return torch.arange(sizes[index.dim]).reshape(shape)
    if isinstance(index, Affine):
        return evaluate(index.value, env, sizes, order).round().long()
    if not index.indices:
        return torch.as_tensor(env[index.tensor]).reshape([1] * len(order))
    return _entry(index, env, sizes, order)


def _entry(ref: Ref, env: Env, sizes: dict[str, int], order: list[Idx]) -> torch.Tensor:
    """An entry of a tensor; 0 at a place outside of an axis."""
    value = env[ref.tensor]
    places = [_positions(i, env, sizes, order) for i in ref.indices]
    outside = [(p < 0) | (p >= n) for p, n, i in zip(places, value.shape, ref.indices) if isinstance(i, Affine)]
    if not outside:
        return value[tuple(places)]
    if 0 in value.shape:
        # There is no entry to read, but as many zeros as there are places.
        return (value.sum() * 0).expand(torch.broadcast_shapes(*(place.shape for place in places)))
    read = value[tuple(place.clamp(0, n - 1) for place, n in zip(places, value.shape))]
    return torch.where(torch.stack(torch.broadcast_tensors(*outside)).any(0), torch.zeros((), dtype=read.dtype), read)


def compute(equation: Equation, env: Env, sizes: dict[str, int]) -> torch.Tensor:
    """The whole tensor an equation defines."""
    order = [i for i in equation.target.indices if isinstance(i, Idx)]
    return evaluate(equation.value, env, sizes, order).expand([sizes[i.dim] for i in order])


def run(equations: tuple[Equation, ...], env: Env, sizes: dict[str, int]) -> Env:
    """`env` with every equation's target computed, in order.

    Equations that need one another are computed over and over from zeros, until nothing is left of these: an entry is right as soon
    as those before it are.
    """
    found = dict(env)
    for group in groups(equations):
        if group.recurs:
            dtype = next(value.dtype for value in env.values() if torch.is_floating_point(value))
            for equation in group.equations:
                found[equation.target.tensor] = torch.zeros([sizes[i.dim] for i in equation.target.indices], dtype=dtype)
        rounds = max(sizes[i.dim] for e in group.equations for i in e.target.indices) * len(group.equations) if group.recurs else 1
        for _ in range(rounds):
            for equation in group.equations:
                found[equation.target.tensor] = compute(equation, found, sizes)
    return found


def sizes_of(layer: Layer) -> dict[str, int]:
    """Pairwise distinct axis sizes, all at least 2."""
    if layer.sizes or plain_integers(layer):
        return small_sizes(layer)
    assert len(layer.dims) <= len(SIZES)
    return dict(zip(layer.dims, SIZES))


def square(layer: Layer) -> tuple[str, ...]:
    """The square inputs of a layer that inverts a matrix or takes its determinant: they have to be far from singular."""
    if not any(isinstance(node, MatrixFn) for equation in layer.equations for node in walk(equation.value)):
        return ()
    return tuple(name for name in layer.inputs if len(dims := layer.tensor(name).dims) > 1 and dims[-1] == dims[-2])


def far_from_singular(matrix: torch.Tensor, symmetric: bool) -> torch.Tensor:
    """A matrix near twice the identity, made of a random one."""
    moved = 0.3 * matrix + 2 * torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    return (moved + moved.mT) / 2 if symmetric else moved


def bounded(env: Env, item: Fact) -> None:
    """The entries that a comparison is about, moved to where it holds."""
    assert isinstance(item.left, Iverson)
    low, high = item.left.left, item.left.right
    if isinstance(high, Ref):
        assert isinstance(low, Num) and low.value == 0, item
        env[high.tensor] = env[high.tensor].abs()
    else:
        assert isinstance(low, Ref) and isinstance(high, Num) and high.value == 1, item
        env[low.tensor] = env[low.tensor].abs() / (1 + env[low.tensor].abs())


def inputs_of(layer: Layer, sizes: dict[str, int], seed: int, positive: bool = False) -> Env:
    """Random inputs that respect the declared facts, float64; those differentiated require grad."""
    draw = torch.Generator().manual_seed(seed)
    env: Env = {}
    for name in layer.inputs:
        tensor = layer.tensor(name)
        shape = [sizes[dim] for dim in tensor.dims]
        if tensor.is_plain_integer:
            env[name] = torch.tensor(sizes[name])
        elif tensor.kind == "int":
            assert tensor.values is not None
            env[name] = torch.randint(0, sizes[tensor.values], shape, generator=draw)
        else:
            env[name] = torch.randn(shape, generator=draw, dtype=torch.float64)
            if positive or tensor.kind == "const":
                env[name] = env[name].abs() + 0.5
    symmetric_ones = {rules.symmetric(item) for item in layer.facts} - {None}
    for name in (*square(layer), *(n for n in symmetric_ones if n is not None and n not in square(layer))):
        env[name] = far_from_singular(env[name], name in symmetric_ones)
    for item in layer.facts:
        # The facts of the catalogue say that a tensor's entries sum to a number along one axis, or are above 0 or below 1.
        if isinstance(item.left, Iverson):
            bounded(env, item)
        if isinstance(item.left, Sum) and isinstance(item.left.body, Ref):
            ref = item.left.body
            axis = ref.indices.index(item.left.indices[0])
            env[ref.tensor] = torch.softmax(env[ref.tensor], axis)
    for name in layer.wrt:
        env[name].requires_grad_()
    return env
